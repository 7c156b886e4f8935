"""FanOut: carries the log to every client, and waits for none of them.

One task, the pump, walks the clients that are behind and awaits their sends one after the other.
A send that completes at once (the rule, on every server that buffers) costs neither a task nor a
timer. When a send suspends, a callback that was queued before it finds the pump standing there:
that task becomes the client's own writer, its deadline begins, and a new pump goes on with the
others. So a blocked client costs one task and one turn of the loop, once, and the order of each
client's events is the order of the log.

Where the server offers a direct connection frames are written to it, without a task or a coroutine;
a client whose connection has not sent what it has is held until then.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from flock_ws.acknowledgements import Acknowledgements
from flock_ws.deadlines import Deadlines
from flock_ws.direct import Frames, text_frame
from flock_ws.limits import Limits
from flock_ws.log import BroadcastLog
from flock_ws.outbox import Outbox

__all__ = ["FanOut"]

_TURN_SENDS = 128
"""Sends in one go before other callbacks of the loop have their turn: about 2 ms at 17 µs."""

_TURN = 0.005
"""Seconds in one go, where sends cost more: a megabyte on the ordinary way takes one of them."""

_LOOK_EVERY = 8
"""Writes between two looks at the time."""

_CLIENT_SENDS = 32
"""Sends to one client in one go before the next one has its turn; on the direct way, writes of the
same bytes to as many clients before a look at the time."""

_Evict = Callable[[Outbox, str, BaseException | None], None]


class FanOut:
    """The sending side of a manager, bound to one running loop.

    Args:
        loop: the loop everything runs on.
        log: where the events are.
        limits: the numbers to keep to.
        evict: called as `evict(outbox, reason, error)` when a client broke a limit; it must call
            `drop` for it.
        pinged: called when an application ping went out.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: BroadcastLog,
        *,
        limits: Limits,
        evict: _Evict,
        pinged: Callable[[Outbox], None],
    ) -> None:
        self._loop = loop
        self._log = log
        self._limits = limits
        self._evict = evict
        self._pinged = pinged
        self._idle: dict[Outbox, None] = {}
        self._queue: deque[Outbox] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._flush_planned = False
        self._serving: Outbox | None = None
        self._ending: dict[Any, asyncio.Task[None]] = {}
        self._sending = Deadlines[Outbox](loop, limits.send_timeout, self._timed_out)
        self._frames = Frames(log)
        self._acknowledgements = Acknowledgements(loop, limits=limits, missed=self._unanswered)
        self.delivered = 0

    def add(self, outbox: Outbox) -> None:
        """Take on a client that is behind nothing.

        A cancelled send of its socket's earlier stay, which has not ended yet, is its send in
        flight, with a deadline of its own.
        """
        if outbox.direct is not None:
            outbox.direct.on_pong = lambda number: self._acknowledgements.answered(outbox, number)
        ending = self._ending.get(outbox.socket)
        if ending is None:
            self._idle[outbox] = None
        else:
            outbox.writer = ending
            self._sending.start(outbox)
            ending.add_done_callback(lambda _: self._freed(outbox))

    def drop(self, outbox: Outbox) -> asyncio.Task[None] | None:
        """Let go of a client: nothing more is sent to it.

        Returns:
            The task whose send to this client was just cancelled, if one was under way.
        """
        outbox.gone = True
        self._idle.pop(outbox, None)
        self._sending.stop(outbox)
        outbox.ping_done()
        if outbox.direct is not None:
            outbox.direct.on_pong = None
            self._acknowledgements.drop(outbox)
        if self._serving is outbox and asyncio.current_task(self._loop) is not self._pump:
            self._detach()
        elif outbox.writer is not None:
            self._cut_off(outbox.socket, outbox.writer)
        return outbox.writer

    def wake(self) -> None:
        """There is a new event: see that every client gets it."""
        if self._idle:
            self._queue.extend(self._idle)
            self._idle.clear()
        if self._queue:
            self._start_pump()
        if self._sending:
            self._check_lags()

    def ping(self, outbox: Outbox) -> asyncio.Future[None]:
        """Send an application ping, after the send in flight if there is one.

        Returns:
            A future that is done when the ping was sent or the client is gone. It never fails.
        """
        if outbox.ping is None:
            outbox.ping = self._loop.create_future()
            if outbox in self._idle:
                del self._idle[outbox]
                self._queue.append(outbox)
                self._start_pump()
        return outbox.ping

    def _start_pump(self) -> None:
        if self._pump is not None or self._flush_planned:
            return
        if self._queue[0].offer is not None:
            self._flush_planned = True
            self._loop.call_soon(self._flush)
        else:
            # Not create_task: an eager task factory would run it inside publish().
            self._pump = asyncio.Task(self._run_pump(), loop=self._loop, name="flock-ws pump")

    def _flush(self) -> None:
        """Serve direct clients at the head of the queue, which takes no task."""
        self._flush_planned = False
        if self._pump is None:
            self._write_queued(_TURN_SENDS, until=self._loop.time() + _TURN)
            if self._queue:
                self._start_pump()

    async def _run_pump(self) -> None:
        """Serve queued clients until none is left, or until a send suspends."""
        queue, log, loop = self._queue, self._log, self._loop
        task = asyncio.current_task()
        loop.call_soon(self._detach)
        turn_ends = loop.time() + _TURN
        sends = 0
        try:
            while queue:
                outbox = queue[0]
                if outbox.offer is not None:
                    sends += self._write_queued(_TURN_SENDS - sends, until=turn_ends)
                else:
                    queue.popleft()
                    if outbox.gone:
                        continue
                    self._serving = outbox
                    sends += 1
                    if outbox.ping is None and outbox.number < log.end:
                        # As `_serve` does, without a coroutine of its own: it is most of the cost.
                        try:
                            await outbox.socket.send_text(log[outbox.number].text)
                        except BaseException as error:  # noqa: BLE001 - `_broke` raises it again
                            self._broke(outbox, error)
                        else:
                            self._took(outbox)
                    if outbox.number < log.end or outbox.ping is not None or outbox.writer:
                        sends += await self._serve(outbox)
                    if self._serving is not outbox:
                        return  # detached on the way: this task was the client's own writer
                    self._serving = None
                    self._put_back(outbox)
                if sends >= _TURN_SENDS or (not sends % _LOOK_EVERY and loop.time() >= turn_ends):
                    await asyncio.sleep(0)
                    loop.call_soon(self._detach)
                    turn_ends = loop.time() + _TURN
                    sends = 0
        finally:
            log.settle()
            if task is self._pump:
                self._pump = None
                self._serving = None

    def _write_queued(self, most: int, *, until: float) -> int:
        """Write to the direct clients at the head of the queue, each what it is behind.

        Args:
            most: writes before others have their turn.
            until: loop time after which others have it anyway.

        Returns:
            The writes made.
        """
        queue = self._queue
        writes = 0
        while queue and writes < most:
            outbox = queue[0]
            if outbox.offer is None:
                break
            if outbox.gone:
                queue.popleft()
            elif outbox.ping is not None:
                queue.popleft()
                self._write_ping(outbox, outbox.offer)
                writes += 1
            elif outbox.number >= self._log.end:
                queue.popleft()
                self._idle[outbox] = None
            else:
                writes += self._write_alike(outbox, min(most - writes, _CLIENT_SENDS))
            if self._loop.time() >= until:
                break
        return writes

    def _write_alike(self, first: Outbox, most: int) -> int:
        """Write to the first client, and to those behind it that need the same bytes.

        They are moved in the log together: alone that would cost as much as all the rest.
        """
        queue, idle = self._queue, self._idle
        number, bits = first.number, first.window_bits
        frames, end = self._frames.after(number, window_bits=bits)
        behind = end < self._log.end
        outbox, moved = first, 0
        error: Exception | None = None
        full = False
        for _ in range(min(most, len(queue))):
            outbox = queue[0]
            offer = outbox.offer
            if outbox.number != number or outbox.window_bits != bits or offer is None:
                break
            if outbox.gone or outbox.ping is not None:
                break
            queue.popleft()
            try:
                full = not offer(frames)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is this client's
                error = failure
            if full or error is not None:
                break
            moved += 1
            outbox.number = end
            if outbox.askable:
                self._acknowledgements.sent(outbox)
            if behind:
                queue.append(outbox)
            else:
                idle[outbox] = None
        if moved:
            self._log.move(number, end, moved)
            self.delivered += moved * (end - number)
        if error is not None:
            self._fail(outbox, error)
        elif full:
            self._hold(outbox)
        return moved + (full or error is not None)

    def _hold(self, outbox: Outbox) -> None:
        """Nothing more is written to a client until its connection has sent what it has."""
        outbox.held = True
        self._sending.start(outbox)
        if outbox.direct is not None:
            outbox.direct.when_writable(lambda: self._release(outbox))
        self._check_lag(outbox)

    def _write_ping(self, outbox: Outbox, offer: Callable[[bytes], bool]) -> None:
        """Write an application ping; the events come after it."""
        try:
            written = offer(text_frame(json.dumps(self._ping_message()).encode()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this client's
            self._fail(outbox, error)
            return
        if written:
            outbox.ping_done()
            self._pinged(outbox)
            self._put_back(outbox)
        else:
            self._hold(outbox)

    def _release(self, outbox: Outbox) -> None:
        """The transport of a client that was held has drained, or is gone."""
        outbox.held = False
        if not outbox.gone:
            self._sending.stop(outbox)
            self._queue.append(outbox)
            self._start_pump()

    def _cut_off(self, socket: Any, writer: asyncio.Task[None]) -> None:
        """Cancel a client's send, once; its socket may come again before that has ended."""
        if self._ending.get(socket) is not writer:
            self._ending[socket] = writer
            writer.add_done_callback(lambda _: self._ended(socket, writer))
            writer.cancel()

    def _ended(self, socket: Any, writer: asyncio.Task[None]) -> None:
        if self._ending.get(socket) is writer:
            del self._ending[socket]

    def _freed(self, outbox: Outbox) -> None:
        """The send that was left from its socket's earlier stay has ended."""
        if not outbox.gone:
            outbox.writer = None
            self._sending.stop(outbox)
            self._queue.append(outbox)
            self._start_pump()

    async def _serve(self, outbox: Outbox) -> int:
        """Send until it is behind nothing; to a client not busy at most `_CLIENT_SENDS`.

        Returns:
            The sends made. What a send raises is seen to.
        """
        log = self._log
        sends = 0
        try:
            while not outbox.gone and (outbox.ping is not None or outbox.number < log.end):
                if outbox.ping is not None:
                    await self._send_ping(outbox)
                else:
                    await outbox.socket.send_text(log[outbox.number].text)
                    self._took(outbox)
                sends += 1
                if sends % _CLIENT_SENDS == 0:
                    if outbox.writer is None:
                        break
                    await asyncio.sleep(0)
        except BaseException as error:  # noqa: BLE001 - `_broke` raises what is not the client's
            self._broke(outbox, error)
        if outbox.writer is not None and not outbox.gone:
            self._sending.stop(outbox)
            outbox.writer = None
            self._put_back(outbox)
        return sends

    def _took(self, outbox: Outbox) -> None:
        """A send of the next event has completed; the next deadline begins where one is needed."""
        if not outbox.gone:
            number = outbox.number
            outbox.number = number + 1
            self.delivered += 1
            if outbox.writer is None:
                self._log.step(number)
            else:
                self._log.move(number, number + 1)
                self._sending.start(outbox)

    def _broke(self, outbox: Outbox, error: BaseException) -> None:
        """See to a client whose send raised; raise again what ends the task as well."""
        if isinstance(error, GeneratorExit):
            raise error  # its loop was left behind, and what is left of it is being collected
        if isinstance(error, asyncio.CancelledError):
            if outbox.gone:
                return  # we cancelled it
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # Somebody cancels every task: the loop is ending, so nothing new is started. If it
                # goes on after all, the client is found by its deadline: a send that was cut off
                # is not made again, and nothing follows it.
                if outbox.writer is None:
                    outbox.writer = task
                    self._sending.start(outbox)
                raise error
        self._fail(outbox, error)
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise error

    def _fail(self, outbox: Outbox, error: BaseException) -> None:
        """Evict a client whose send raised; its task needs no cancelling."""
        if not outbox.gone:
            outbox.writer = None
            self._evict(outbox, "send_failed", error)

    async def _send_ping(self, outbox: Outbox) -> None:
        await outbox.socket.send_json(self._ping_message())
        if not outbox.gone:
            outbox.ping_done()
            self._pinged(outbox)
            if outbox.writer is not None:
                self._sending.start(outbox)

    def _ping_message(self) -> dict[str, object]:
        return {"type": "ping", "timestamp": self._loop.time()}

    def _put_back(self, outbox: Outbox) -> None:
        """Queue the client again if it is still behind, else let it rest."""
        if outbox.gone:
            return
        if outbox.number < self._log.end:
            self._queue.append(outbox)
            self._start_pump()
        else:
            self._idle[outbox] = None

    def _detach(self) -> None:
        """Make the pump, found standing in a send, that client's own writer."""
        outbox = self._serving
        if outbox is None or self._pump is None:
            return
        self._log.settle()
        outbox.writer = self._pump
        self._serving = None
        self._pump = None
        if self._queue:
            self._start_pump()
        if outbox.gone:
            self._cut_off(outbox.socket, outbox.writer)
        else:
            self._sending.start(outbox)
            self._check_lag(outbox)

    def _timed_out(self, outbox: Outbox) -> None:
        self._evict(outbox, "send_timeout", None)
        if self._queue:
            self._start_pump()  # there is none if somebody else cancelled it

    def _unanswered(self, outbox: Outbox) -> None:
        self._evict(outbox, "no_ack", None)

    def _check_lags(self) -> None:
        """Look at the busy clients if anybody can be too far behind."""
        log = self._log
        if (
            log.end - log.start > self._limits.max_lag_messages
            or log.end_bytes - log.start_bytes > self._limits.max_lag_bytes
        ):
            for outbox in self._sending.items():
                self._check_lag(outbox)

    def _check_lag(self, outbox: Outbox) -> None:
        """Evict a busy client that is too far behind; who had no turn yet is not slow."""
        if outbox.gone or outbox.number >= self._log.end:
            return
        lag = self._log.lag(outbox.number, now=self._loop.time())
        if lag.messages > self._limits.max_lag_messages:
            self._evict(outbox, "lag_messages", None)
        elif lag.messages > 1 and lag.bytes > self._limits.max_lag_bytes:
            self._evict(outbox, "lag_bytes", None)
