"""FanOut: carries the log to every client, and waits for none of them.

One task, the pump, walks the clients that are behind and awaits their sends one after the other.
A send that completes at once (the rule, on every server that buffers) costs neither a task nor a
timer. When a send suspends, a callback that was queued before it finds the pump standing there:
that task becomes the client's own writer, its deadline begins, and a new pump goes on with the
others. So a blocked client costs one task and one turn of the loop, once, and the order of each
client's events is the order of the log.

Where the server offers a direct connection the pump writes frames to its transport, without a
coroutine; a client whose transport is full is held until it has drained.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable

from flock_ws.acknowledgements import Acknowledgements
from flock_ws.deadlines import Deadlines
from flock_ws.direct import DirectConnection, Frames, text_frame
from flock_ws.limits import Limits
from flock_ws.log import BroadcastLog
from flock_ws.outbox import Outbox

__all__ = ["FanOut"]

_TURN_SENDS = 128
"""Sends in one go before other callbacks of the loop have their turn: about 2 ms at 17 µs."""

_CLIENT_SENDS = 32
"""Sends to one client in one go before the next client has its turn."""

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
        self._serving: Outbox | None = None
        self._sending = Deadlines[Outbox](loop, limits.send_timeout, self._timed_out)
        self._frames = Frames(log)
        self._acknowledgements = Acknowledgements(loop, limits=limits, missed=self._unanswered)
        self.delivered = 0

    def add(self, outbox: Outbox) -> None:
        """Take on a client that is behind nothing."""
        self._idle[outbox] = None
        if outbox.direct is not None:
            outbox.direct.on_pong = lambda number: self._acknowledgements.answered(outbox, number)

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
            outbox.writer.cancel()
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
        if self._pump is None:
            # Not create_task: an eager task factory would run it inside publish().
            self._pump = asyncio.Task(self._run_pump(), loop=self._loop, name="flock-ws pump")

    async def _run_pump(self) -> None:
        """Serve queued clients until none is left, or until a send suspends."""
        queue = self._queue
        sends = 0
        self._loop.call_soon(self._detach)
        try:
            while queue:
                outbox = queue.popleft()
                if outbox.gone:
                    continue
                if (direct := outbox.direct) is not None:
                    sends += self._write(outbox, direct)
                else:
                    self._serving = outbox
                    sends += await self._serve(outbox)
                    if self._serving is not outbox:
                        return  # detached on the way: this task was the client's own writer
                    self._serving = None
                    self._put_back(outbox)
                if sends >= _TURN_SENDS:
                    sends = 0
                    await asyncio.sleep(0)
                    self._loop.call_soon(self._detach)
        finally:
            if asyncio.current_task() is self._pump:
                self._pump = None
                self._serving = None

    def _write(self, outbox: Outbox, direct: DirectConnection) -> int:
        """Write what the client is behind to its transport, or hold it while that is full.

        Returns:
            What it cost, in sends.
        """
        if not direct.can_write:
            outbox.held = True
            self._sending.start(outbox)
            direct.when_writable(lambda: self._release(outbox))
            self._check_lag(outbox)
            return 1
        number = outbox.number
        try:
            if outbox.ping is not None:
                direct.write(text_frame(json.dumps(self._ping_message()).encode()))
                outbox.ping_done()
                self._pinged(outbox)
            if number < self._log.end:
                frames, end = self._frames.after(number)
                direct.write(frames)
                self._log.move(number, end)
                outbox.number = end
                outbox.delivered += end - number
                self.delivered += end - number
                self._acknowledgements.sent(outbox)
        except OSError as error:
            self._fail(outbox, error)
        self._put_back(outbox)
        return 1

    def _release(self, outbox: Outbox) -> None:
        """The transport of a client that was held has drained, or is gone."""
        outbox.held = False
        if not outbox.gone:
            self._sending.stop(outbox)
            self._queue.append(outbox)
            self._start_pump()

    async def _serve(self, outbox: Outbox) -> int:
        """Send what the client is behind; see to it if a send fails. Returns the sends made."""
        sends = 0
        try:
            sends = await self._send_pending(outbox)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if outbox.gone:
                pass  # we cancelled it
            elif task is not None and task.cancelling():
                # Somebody cancels every task: the loop is ending. Start nothing new.
                self._sending.stop(outbox)
                outbox.writer = None
                self._queue.append(outbox)
                raise
            else:
                self._fail(outbox, error)
        except BaseException as error:
            self._fail(outbox, error)
            if not isinstance(error, Exception):
                raise
        if outbox.writer is not None and not outbox.gone:
            self._sending.stop(outbox)
            outbox.writer = None
            self._put_back(outbox)
        return sends

    async def _send_pending(self, outbox: Outbox) -> int:
        """Send until it is behind nothing; to a client not busy at most `_CLIENT_SENDS`."""
        log = self._log
        sends = 0
        while (pinging := outbox.ping is not None) or outbox.number < log.end:
            if pinging:
                await self._send_ping(outbox)
            else:
                await outbox.socket.send_text(log[outbox.number].text)
            if outbox.gone:
                break
            if not pinging:
                log.move(outbox.number, outbox.number + 1)
                outbox.number += 1
                outbox.delivered += 1
                self.delivered += 1
            sends += 1
            if outbox.writer is not None:
                self._sending.start(outbox)
                if sends % _CLIENT_SENDS == 0:
                    await asyncio.sleep(0)
            elif sends >= _CLIENT_SENDS:
                break
        return sends

    def _fail(self, outbox: Outbox, error: BaseException) -> None:
        """_Evict a client whose send raised; its task needs no cancelling."""
        if not outbox.gone:
            outbox.writer = None
            self._evict(outbox, "send_failed", error)

    async def _send_ping(self, outbox: Outbox) -> None:
        await outbox.socket.send_json(self._ping_message())
        if not outbox.gone:
            outbox.ping_done()
            self._pinged(outbox)

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
        outbox.writer = self._pump
        self._serving = None
        self._pump = None
        if self._queue:
            self._start_pump()
        if outbox.gone:
            outbox.writer.cancel()
        else:
            self._sending.start(outbox)
            self._check_lag(outbox)

    def _timed_out(self, outbox: Outbox) -> None:
        self._evict(outbox, "send_timeout", None)

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
        """_Evict a busy client that is too far behind; who had no turn yet is not slow."""
        if outbox.gone or outbox.number >= self._log.end:
            return
        lag = self._log.lag(outbox.number, now=self._loop.time())
        if lag.messages > self._limits.max_lag_messages:
            self._evict(outbox, "lag_messages", None)
        elif lag.messages > 1 and lag.bytes > self._limits.max_lag_bytes:
            self._evict(outbox, "lag_bytes", None)
