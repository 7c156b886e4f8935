"""WebSocketManager: a pool of clients and a broadcast in which a slow client delays nobody."""

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, Unpack

from flock_ws.background import Background
from flock_ws.closing import Closings
from flock_ws.deadlines import Deadlines
from flock_ws.delivery import Delivery
from flock_ws.direct import direct_of
from flock_ws.errors import NotOnLoopError, PoolFull
from flock_ws.events import StreamingOutputEvent
from flock_ws.evictions import CLOSE_CODES, EvictionRecord, describe
from flock_ws.fanout import FanOut
from flock_ws.heartbeat import Heartbeat, is_pong
from flock_ws.history import StreamingHistory
from flock_ws.limits import LimitOptions, Limits, check_seconds
from flock_ws.log import BroadcastLog
from flock_ws.outbox import Outbox, name_of
from flock_ws.overview import Overview, look
from flock_ws.pool import ClientPool
from flock_ws.statistics import Eviction, Statistics

__all__ = ["Event", "WebSocketManager"]

logger = logging.getLogger("flock_ws.manager")


class Event(Protocol):
    """Anything that encodes itself as one JSON text; every Pydantic model does."""

    def model_dump_json(self) -> str:
        """Return the JSON text that goes on the wire."""


class WebSocketManager:
    """Broadcasts events to a pool of WebSockets; drops clients that break a limit.

    A drop-in for the dashboard manager of the flock project. A slow, stalled or dead client
    delays neither other clients, nor the next event, nor who joins or leaves. Each client gets
    events in the order of publication, each once, from the moment it joined until it leaves or is
    evicted; it never gets a later event after a lost one.

    Not promised: that a peer has read what was delivered (servers and kernels buffer), delivery
    across a reconnect, and use from several threads (see `publish_threadsafe`).

    Sockets are Starlette WebSockets, or anything with an async ``send_text(str)``.

    Args:
        heartbeat_interval: seconds between two application pings.
        enable_heartbeat: whether to ping at all; off by default, as on the original.
        limits: every other number, see `Limits`.
        on_evict: called with the `Eviction` soon after each eviction, on the loop; may be async.
            What it raises is logged.
        **options: single fields of `Limits`, which override `limits`.

    Raises:
        ValueError: a number that means nothing; the message names the field.

    Example:
        >>> manager = WebSocketManager(send_timeout=0.25)
        >>> manager.limits.send_timeout
        0.25
    """

    def __init__(
        self,
        heartbeat_interval: float = 120,
        enable_heartbeat: bool = False,  # noqa: FBT001, FBT002  # as on the original manager
        *,
        limits: Limits | None = None,
        on_evict: Callable[[Eviction], object] | None = None,
        **options: Unpack[LimitOptions],
    ) -> None:
        check_seconds("heartbeat_interval", heartbeat_interval)
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self.limits = replace(limits or Limits(), **options)
        self.on_evict = on_evict
        self._shutdown = False
        self._closed = False
        self._streaming_history = StreamingHistory(self.limits)
        self._heartbeat = Heartbeat()
        self._pool = ClientPool(self._join, self._leave)
        self._outboxes: dict[Any, Outbox] = {}
        self._log = BroadcastLog()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fan_out: FanOut | None = None
        self._pongs: Deadlines[Outbox] | None = None
        self._background = Background()
        self._closings = Closings()
        self._evictions = EvictionRecord()
        self._delivered = 0
        self._joined = 0
        self._left = 0

    # Joining and leaving

    @property
    def clients(self) -> set[Any]:
        """The pool. A client added to or taken from the set joins or leaves the manager."""
        return self._pool

    @clients.setter
    def clients(self, clients: Iterable[Any]) -> None:
        self._pool.become(clients)

    async def add_client(self, websocket: Any, *, name: str | None = None) -> None:
        """Add an accepted socket to the pool; it gets every event that is published from now on.

        One that is being closed after its eviction stays out. After `shutdown()` the socket is
        closed with code 1012 instead. To add it to `clients` is the same, without a name.

        Args:
            websocket: the socket; adding it twice is the same as once.
            name: for statistics and log lines; by default made from its address.

        Raises:
            PoolFull: the pool holds `Limits.max_clients` clients.
        """
        self._bind()
        if websocket not in self._pool:
            most = self.limits.max_clients
            if most is not None and len(self._pool) >= most:
                raise PoolFull(most)
            set.add(self._pool, websocket)
            self._join(websocket, name)
        await self.start_heartbeat()

    async def remove_client(self, websocket: Any) -> None:
        """Take a socket out of the pool without closing it; no error if it is not there.

        A send to it that is under way is cancelled. When the pool is empty afterwards the
        heartbeat has ended on return.
        """
        self._bind()
        self._pool.discard(websocket)
        if not self._pool:
            await self._heartbeat.stop()

    def client_said(self, websocket: Any, message: str | bytes | dict[str, Any]) -> None:
        """Report what a client sent. A pong counts as the answer to the application pings.

        Everything else is ignored, at any size and of any form.
        """
        outbox = self._outboxes.get(websocket)
        if outbox is not None and self._pongs is not None and is_pong(message):
            self._pongs.stop(outbox)

    # Publishing

    def publish(self, event: Event) -> Delivery:
        """Publish an event without waiting.

        The event is encoded now: what changes in it afterwards reaches nobody. A
        `StreamingOutputEvent` is remembered, with or without clients.

        Returns:
            The delivery, which may be awaited or ignored.

        Raises:
            NotOnLoopError: called from a thread that does not run the manager's loop.
            Exception: whatever the event raised on being encoded; it is then not remembered and
                touches no client.
        """
        self._bind()
        text = event.model_dump_json()
        return self._publish(event, text, _size_bytes(text))

    async def broadcast(self, event: Event) -> Delivery:
        """Publish an event and wait until every client of this moment has it or was evicted.

        Waits at most the send timeout, however many clients stall. Cancelling it cancels the
        waiting only.

        Raises:
            Exception: as `publish`.
        """
        return await self.publish(event)

    def publish_threadsafe(self, event: Event) -> concurrent.futures.Future[Delivery]:
        """Publish an event from another thread than the loop's.

        The event is encoded in the calling thread. Events of one thread keep their order.

        Returns:
            A future that gives the finished delivery. It stays unfinished if the loop stops before
            it has taken the event: wait for it with a timeout.

        Raises:
            NotOnLoopError: the manager's loop does not run.
            Exception: whatever the event raised on being encoded.
        """
        loop = self._loop
        if loop is None or not loop.is_running():
            raise NotOnLoopError(
                "publish_threadsafe needs the manager's event loop to be running: no client was "
                "added and nothing was published on a running loop yet, or that loop has ended"
            )
        text = event.model_dump_json()
        size_bytes = _size_bytes(text)
        future: concurrent.futures.Future[Delivery] = concurrent.futures.Future()

        def publish() -> None:
            self._background.start(_settle(self._publish(event, text, size_bytes), future))

        loop.call_soon_threadsafe(publish)
        return future

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        """Return an agent's remembered events, oldest first, in a new list."""
        return list(self._streaming_history.get(agent_name, ()))

    # The heartbeat

    @property
    def _heartbeat_task(self) -> asyncio.Task[None] | None:
        return self._heartbeat.task

    @_heartbeat_task.setter
    def _heartbeat_task(self, task: asyncio.Task[None] | None) -> None:
        self._heartbeat.task = task

    async def start_heartbeat(self) -> None:
        """Start the heartbeat if it is enabled, none runs, and the manager is not shut down."""
        if self.enable_heartbeat and not self._shutdown:
            self._bind()
            self._heartbeat.start(self._heartbeat_loop)

    async def _heartbeat_loop(self) -> None:
        await self._heartbeat.run(
            interval=lambda: self.heartbeat_interval,
            jitter=self.limits.heartbeat_jitter,
            alive=lambda: bool(self._pool) and not self._shutdown,
            ping_all=self._ping_all,
        )

    async def _ping_all(self) -> None:
        pings = [self._ping_if_there(outbox) for outbox in list(self._outboxes.values())]
        for result in await asyncio.gather(*pings, return_exceptions=True):
            if isinstance(result, Exception):
                logger.error("a ping raised", exc_info=result)

    async def _ping_if_there(self, outbox: Outbox) -> None:
        if not outbox.gone:  # it may have left since the heartbeat looked
            await self._ping_client(outbox.socket)

    async def _ping_client(self, client: Any) -> None:
        """Ping one client in its turn, after the send in flight; evict it if that fails."""
        _, fan_out = self._bind()
        outbox = self._outboxes.get(client)
        if outbox is not None:
            await fan_out.ping(outbox)
            return
        try:
            async with asyncio.timeout(self.limits.send_timeout):
                await client.send_json(
                    {"type": "ping", "timestamp": asyncio.get_running_loop().time()}
                )
        except Exception as error:  # noqa: BLE001  # whatever a socket raises is its own failure
            logger.debug("ping of %r, not in the pool, failed: %s", client, describe(error))

    def _pinged(self, outbox: Outbox) -> None:
        if self._pongs is not None and outbox not in self._pongs:
            self._pongs.start(outbox)

    # The end

    async def shutdown(self) -> None:
        """Close every client with code 1012 and empty the pool, for good.

        Clients that can take it get what was published before. Returns after `close_timeout` at
        the latest, whatever the peers do; safe to call again, and to cancel.
        """
        self._shutdown = True
        self._closed = True
        _, fan_out = self._bind()
        await self._heartbeat.stop()
        last = self._log.end
        fan_out.wake()
        outboxes = self._outboxes
        # Takes turns of the loop and no time: whoever blocks gets a writer.
        while any(box.number < last and not box.busy for box in outboxes.values()):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for outbox in list(outboxes.values()):
            self._evict(outbox, "shutdown", None)
        await self._closings.wait(self.limits.close_timeout)

    # What happened

    @property
    def evictions(self) -> tuple[Eviction, ...]:
        """The last evictions, oldest first, at most `EvictionRecord.KEPT`."""
        return self._evictions.last

    def statistics(self) -> Statistics:
        """Return an immutable snapshot. Costs a few µs for each client."""
        now = self._now()
        return Statistics(
            time=now,
            clients=len(self._pool),
            per_client=tuple(
                outbox.statistics(self._log.lag(outbox.number, now=now))
                for outbox in self._outboxes.values()
            ),
            published=self._log.end,
            history=self._streaming_history.sizes,
            evictions=self.evictions,
            **self._totals(),
        )

    def overview(self, *, lanes: int = 40) -> Overview:
        """Return the totals and the `lanes` clients furthest behind, for who looks often."""
        return look(
            self._outboxes.values(),
            self._log,
            lanes=lanes,
            now=self._now(),
            history=self._streaming_history.sizes,
            evictions=self.evictions,
            **self._totals(),
        )

    def _totals(self) -> dict[str, Any]:
        return {
            "delivered": self._delivered + (self._fan_out.delivered if self._fan_out else 0),
            "joined": self._joined,
            "left": self._left,
            "evicted": self._evictions.by_reason,
            "closing": len(self._closings),
        }

    def __repr__(self) -> str:
        """Show the pool and the totals."""
        return (
            f"<WebSocketManager {len(self._pool)} clients, {self._log.end} published, "
            f"{self._evictions.total} evicted{', shut down' if self._closed else ''}>"
        )

    # Inside

    def _bind(self) -> tuple[asyncio.AbstractEventLoop, FanOut]:
        """Return the running loop and the sending side on it; move to a new loop if there is one.

        Raises:
            NotOnLoopError: no loop runs in this thread, or the manager's runs in another.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NotOnLoopError(
                "a WebSocketManager is used on its event loop's thread, and no loop runs in this "
                "one; from another thread call publish_threadsafe(event)"
            ) from None
        if self._loop is loop and self._fan_out is not None:
            return loop, self._fan_out
        if self._loop is not None and self._loop.is_running():
            raise NotOnLoopError(
                "this WebSocketManager belongs to an event loop that runs in another thread; "
                "call publish_threadsafe(event) from here"
            )
        self._loop = loop
        before = self._fan_out
        if before is not None:
            self._delivered += before.delivered
        self._fan_out = FanOut(
            loop, self._log, limits=self.limits, evict=self._evict, pinged=self._pinged
        )
        self._pongs = (
            Deadlines(loop, self.limits.pong_timeout, self._pong_missed)
            if self.limits.pong_timeout is not None
            else None
        )
        self._heartbeat = Heartbeat()
        self._background = Background()
        self._closings = Closings()
        for outbox in list(self._outboxes.values()):  # left over from a loop that has ended
            outbox.gone = True
            if outbox.direct is not None and before is not None:
                outbox.direct.on_pong = None
            self._log.leave(outbox.number, evicted=False)
            self._take_on(outbox.socket, outbox.name)
        return loop, self._fan_out

    def _now(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return time.monotonic()

    def _join(self, websocket: Any, name: str | None = None) -> None:
        """A socket came into the pool; out it goes again if its end, or ours, has begun."""
        if self._closed or websocket in self._closings:
            set.discard(self._pool, websocket)
            if websocket not in self._closings:
                self._bind()
                self._close(websocket, reason="shutdown", code=CLOSE_CODES["shutdown"])
            return
        self._joined += 1
        name = name or name_of(websocket) or f"client-{self._joined}"
        self._take_on(websocket, name)
        logger.debug("%s joined: %d clients", name, len(self._pool))

    def _take_on(self, websocket: Any, name: str) -> None:
        outbox = Outbox(
            websocket,
            name=name,
            number=self._log.join(),
            joined_at=self._now(),
            direct=direct_of(websocket),
        )
        self._outboxes[websocket] = outbox
        if self._fan_out is not None:
            self._fan_out.add(outbox)

    def _leave(self, websocket: Any) -> None:
        """A socket went out of the pool by itself."""
        self._left += 1
        outbox = self._outboxes[websocket]
        self._drop(outbox, evicted=False)
        logger.debug("%s left: %d clients", outbox.name, len(self._pool))

    def _drop(self, outbox: Outbox, *, evicted: bool) -> asyncio.Task[None] | None:
        del self._outboxes[outbox.socket]
        if self._pongs is not None:
            self._pongs.stop(outbox)
        outbox.gone = True
        writer = self._fan_out.drop(outbox) if self._fan_out is not None else None
        self._log.leave(outbox.number, evicted=evicted)
        return writer

    def _publish(self, event: Event, text: str, size_bytes: int) -> Delivery:
        loop, fan_out = self._bind()
        if isinstance(event, StreamingOutputEvent):
            self._streaming_history.remember(event, size_bytes)
        delivery = self._log.append(text, size_bytes, time=loop.time(), readers=len(self._outboxes))
        fan_out.wake()
        return delivery

    def _pong_missed(self, outbox: Outbox) -> None:
        self._evict(outbox, "no_pong", None)

    def _evict(self, outbox: Outbox, reason: str, error: BaseException | None) -> None:
        """Take a client that broke a limit out of the pool at once; close it in the background."""
        if outbox.gone:
            return  # an echo from a loop that was left behind
        loop, _ = self._bind()
        lag = self._log.lag(outbox.number, now=loop.time())
        eviction = self._evictions.add(outbox, reason, lag=lag, at=loop.time(), error=error)
        set.discard(self._pool, outbox.socket)
        writer = self._drop(outbox, evicted=True)
        if not self._pool:
            self._heartbeat.cancel()
        logger.log(
            logging.INFO if reason == "shutdown" else logging.WARNING,
            "evicted %s; %d clients left",
            eviction,
            len(self._pool),
        )
        self._close(
            outbox.socket, reason=reason, code=eviction.code, after=writer
        ).add_done_callback(lambda _: self._evictions.gone(eviction, at=loop.time()))
        if (hook := self.on_evict) is not None:
            loop.call_soon(self._background.tell, hook, eviction)

    def _close(
        self, websocket: Any, *, reason: str, code: int, after: asyncio.Task[None] | None = None
    ) -> asyncio.Task[None]:
        """Close a socket in the background."""
        return self._closings.start(
            websocket, code=code, reason=reason, timeout=self.limits.close_timeout, after=after
        )


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


async def _settle(delivery: Delivery, future: concurrent.futures.Future[Delivery]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(await delivery)
    except BaseException as error:
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            future.set_exception(error)
        raise
