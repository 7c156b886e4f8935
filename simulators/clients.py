"""Fake clients: real Starlette WebSockets whose peer behaves as told.

A `FakeClient` goes wherever an accepted WebSocket goes. State changes, exceptions and the results
of ``close`` are Starlette's own; what lies below is a modelled connection (`simulators.link`) and
a peer with a `Behaviour`. It works on any asyncio loop, and in no time on a `SimLoop`.

Not modelled: the upgrade request on the wire, compression, fragmentation, protocol pings.
"""

import asyncio
import contextlib
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketState

from simulators.asgi import ServerConnection, websocket_scope
from simulators.behaviours import Behaviour, require
from simulators.calls import Calls
from simulators.errors import CloseRefused, NotSeen, OptionError, SimulatorError
from simulators.faults import Handshake
from simulators.link import Lag, Signal, seeded_draw
from simulators.misuses import Misuse
from simulators.peer import Peer
from simulators.records import Closed, Received
from simulators.wire import Wire, close_travels, frame_bytes, require_wire

__all__ = ["FakeClient"]

_DEFAULT_WIRE = Wire.uvicorn(filled=True)
_HEALTHY = Behaviour.healthy()
# What a server answers to an upgrade that the application closes.
_REFUSED = 403
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED
_MISUSES_KEPT = 100
# Outside a SimLoop, which has numbers of its own.
_NUMBERS: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))


class FakeClient(WebSocket):
    """A WebSocket as an application holds it, and the peer at its other end.

    The peer reads by itself, as its behaviour says, and answers an application ping
    ``{"type": "ping", …}`` with ``{"type": "pong", "timestamp": <the loop's time in ms>}`` once it
    has read it.

    Misuse by the application is recorded in `misuses`, never raised. Whether a manager encodes one
    event anew for each client is told by `simulators.misuses.encoded_anew`.

    Args:
        behaviour: what the peer does; healthy by default. A fault of the handshake needs
            ``accepted=False``.
        wire: what lies between. By default uvicorn's buffers without the kernel's, and full from
            the moment the peer stops reading or reads slowly, so that the next send waits. Pass a
            wire of your own for the time that filling takes.
        name: shown everywhere; by default the behaviour's name and a running number.
        accepted: whether the application has accepted it already.
        abortable: whether ``scope["extensions"]["flock_ws"]`` offers a `ServerConnection`, as
            `flock_ws.uvicorn_protocol` does.
        path: the path of the request.

    Attributes:
        behaviour: as given, without the faults whose toxicity did not hit it.
        wire: as given.
        name: as given, or numbered.
        close_called: the first close by the application: its code, reason and time.
        misuses: the first hundred misuses.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        wire: Wire | None = None,
        name: str | None = None,
        accepted: bool = True,
        abortable: bool = False,
        path: str = "/ws",
    ) -> None:
        loop = _running_loop()
        numbers = getattr(loop, "numbers", _NUMBERS)
        behaviour = _HEALTHY if behaviour is None else behaviour
        self.behaviour = behaviour = _possible(behaviour, loop, accepted=accepted)
        self.name = name or f"{behaviour.name}-{next(numbers[behaviour.name])}"
        # Not derived from the name: the hash of a string changes from process to process.
        self._number: int = next(numbers["client"])
        self.wire = wire = _DEFAULT_WIRE if wire is None else wire
        require_wire(wire)
        self._inbound: deque[Message] = deque()
        self._arrived = Signal()
        self._changed = Signal()
        self._peer = peer = Peer(
            behaviour,
            wire,
            accepted=accepted,
            hear=self._hear,
            unread=self._inbound.__len__,
            change=self._changed.fire,
        )
        self._link = peer.link
        self._received = peer.received
        connection = ServerConnection(peer.link, abort=peer.abort) if abortable else None
        scope = websocket_scope(self.name, number=self._number, path=path, connection=connection)
        super().__init__(scope, self._asgi_receive, self._asgi_send)
        self.close_called: Closed | None = None
        self.misuses: list[Misuse] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sends = 0
        self._cancelled_sends = 0
        self._heard_end = False
        if accepted:
            self.client_state = self.application_state = WebSocketState.CONNECTED
        else:
            self._inbound.append({"type": "websocket.connect"})
        self._calls: Calls | None = None
        if behaviour.faults:
            self._calls = Calls(behaviour.faults, draw=peer.link.draw) or None
        if loop is not None:
            peer.link.bind(loop)
        peer.begin()
        if loop is not None:
            self._bind(loop)

    def __hash__(self) -> int:
        """Return a number that does not change from run to run, so that sets keep their order."""
        return self._number

    def __repr__(self) -> str:
        """Show the name, what it does, what it has read and how it ended."""
        if self.closed is not None:
            state = f"closed {self.closed.code}"
        elif self._link.open:
            state = "open" if self._peer.accepted else "not accepted"
        else:
            state = "aborted"
        return (
            f"<{type(self).__name__} {self.name} {self.behaviour.name}, "
            f"{len(self._received)} received, {state}>"
        )

    # What the peer has seen.

    @property
    def websocket(self) -> WebSocket:
        """The client as its server holds it, which is itself."""
        return self

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, as the peer saw it; None while it stands.

        A peer that does not read sees no close frame.
        """
        return self._peer.closed

    @property
    def received(self) -> list[Received]:
        """The messages that the peer has read, with the times at which it had them."""
        return self._received

    @property
    def messages(self) -> list[str]:
        """The text messages that the peer has read."""
        return [message for message, _ in self._received if isinstance(message, str)]

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as the peer has seen."""
        return self._peer.connected

    @property
    def stalled(self) -> bool:
        """Whether the peer does not read now."""
        return self._link.stalled and self.closed is None

    @property
    def lag(self) -> Lag:
        """What was sent and not read, with the headers of the frames."""
        return self._link.lag

    @property
    def sending(self) -> int:
        """How many sends the application has begun that have not returned."""
        return self._sends

    @property
    def observer(self) -> Callable[[str, float, object], None] | None:
        """Called with what happens, the time and what belongs to it; None for nobody.

        ``received`` with the message, ``close_called`` and ``ended`` with a `Closed`; ``stalled``,
        ``resumed``, ``blocked`` and ``unblocked`` (a send begins and ends to wait) with None. It
        must not raise. `simulators.trace.Trace` sets it.
        """
        return self._peer.observer

    @observer.setter
    def observer(self, observer: Callable[[str, float, object], None] | None) -> None:
        link = self._peer.link
        self._peer.observer = observer
        link.on_wait = None if observer is None else lambda what: observer(what, link.now, None)

    # What the peer does when told.

    def stall(self) -> None:
        """Stop reading, and keep the connection."""
        self._move_in()
        self._peer.stall()

    def resume(self) -> None:
        """Read again."""
        self._move_in()
        self._peer.resume()

    def heal(self) -> None:
        """Be healthy from now on, and the path as well.

        A peer that is gone stays so; if the path kept that from the server, it learns of it now.
        """
        self._calls = None
        self._move_in()
        self._peer.heal()

    def die(self, *, how: Literal["reset", "fin"] = "reset") -> None:
        """Die without a close frame, by a TCP reset or by closing the socket.

        To the application both are a disconnect with the wire's `lost_code`.
        """
        if how not in {"reset", "fin"}:
            raise OptionError(f"how must be 'reset' or 'fin', not {how!r}")
        self._move_in()
        if how == "reset":
            self._peer.reset()
        else:
            self._peer.fin()

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close properly, with a close frame.

        Raises:
            OptionError: no close frame can hold this code or reason.
        """
        if (why := close_travels(code, reason)) is not None:
            raise OptionError(why)
        self._move_in()
        self._peer.leave(code, reason)

    def say(self, message: str | bytes | Mapping[str, Any]) -> None:
        """Send a message to the application; a mapping goes as JSON.

        Raises:
            SimulatorError: the peer is not connected.
        """
        if not self.connected:
            raise SimulatorError(f"{self!r} cannot say anything: it is not connected")
        self._move_in()
        self._peer.say(message)

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the limit is part of the error
        """Wait until the peer has read at least `count` messages in all.

        Raises:
            NotSeen: it has not within `timeout` seconds, or its connection ended before.
            OptionError: `count` is no whole number.
        """
        if not isinstance(count, int):
            raise OptionError(f"wait_received takes a number of messages, not {count!r}")
        await self._wait(
            lambda: len(self._received) >= count or self.closed is not None, limit=timeout
        )
        if len(self._received) < count:
            raise NotSeen(
                f"{self!r} had {len(self._received)} of {count} messages "
                f"{self._after(timeout)}; it {self.behaviour.describe()}"
            )

    async def wait_closed(self, *, timeout: float = 10.0) -> Closed:  # noqa: ASYNC109  # the limit is part of the error
        """Wait until the peer has seen the end of the connection, and return how it ended.

        Raises:
            NotSeen: it has not within `timeout` seconds.
        """
        await self._wait(lambda: self.closed is not None, limit=timeout)
        if self.closed is None:
            called = self.close_called
            raise NotSeen(
                f"{self!r} had seen no end of its connection {self._after(timeout)}; "
                + (
                    "close() was not called"
                    if called is None
                    else f"close({called.code}) was called at {called.time:g} s"
                )
                + f"; it {self.behaviour.describe()}"
            )
        return self.closed

    def _after(self, timeout: float) -> str:
        return "when it ended" if self.closed is not None else f"after {timeout:g} s"

    async def _wait(self, condition: Callable[[], bool], *, limit: float) -> None:
        self._bind(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return

    # What the application calls, around Starlette and below it.

    async def send(self, message: Message) -> None:
        """Send as Starlette does, and notice what comes too late."""
        if message["type"] != "websocket.send":
            await super().send(message)
            return
        # The way of nearly every message of a large run, as Starlette would go it: no wait, no
        # timer, no task.
        if (
            self._link.direct
            and not self._sends
            and not self._cancelled_sends
            and self.application_state is _CONNECTED
            and asyncio.get_running_loop() is self._loop
        ):
            frame = message.get("text")
            self._peer.take(message["bytes"] if frame is None else frame, self._loop.time())
            return
        if self.application_state is _DISCONNECTED:
            self._notice_late()
            await super().send(message)
            return
        with self._in_flight():
            if self._calls is not None and self.application_state is _CONNECTED:
                await self._calls.begin()
            await super().send(message)

    async def _asgi_send(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        if self._heard_end and self.wire.order == "write_then_wait":
            # In the words of uvicorn's legacy protocol; the others raise what means a disconnect.
            raise RuntimeError(
                f"Unexpected ASGI message '{message['type']}', after sending 'websocket.close' or "
                "response already completed."
            )
        if message["type"] != "websocket.send":
            await self._send_control(message)
            return
        if self._calls is not None:
            await self._calls.delay()
        frame = message.get("text")
        await self._deliver(message["bytes"] if frame is None else frame)

    async def _deliver(self, frame: str | bytes) -> None:
        """Send a message as far as the server's buffer."""
        payload = frame.encode() if isinstance(frame, str) else frame
        conduct = self._peer.conduct
        if conduct is None:
            await self._link.send(frame, frame_bytes(len(payload)))
            return
        await conduct.sending()
        timer = conduct.watch()
        try:
            await self._link.send(frame, frame_bytes(len(payload)))
        finally:
            if timer is not None:
                timer.cancel()
        conduct.sent()

    @contextlib.contextmanager
    def _in_flight(self) -> Iterator[None]:
        """Count a send while it is in flight, and notice what is wrong about it."""
        if self._sends:
            self._notice("sends_overlap", f"{self._sends} sends were in flight")
        if self._cancelled_sends:
            self._notice("send_after_cancel", f"{self._cancelled_sends} sends were cancelled")
        if self._calls is not None and self._calls.raised:
            self._notice("send_after_failure", "an earlier send had failed")
        self._sends += 1
        try:
            yield
        except asyncio.CancelledError:
            self._cancelled_sends += 1
            raise
        finally:
            self._sends -= 1

    async def _send_control(self, message: Message) -> None:
        peer = self._peer
        if message["type"] == "websocket.accept":
            await peer.accept()
            return
        if message["type"].startswith("websocket.http.response."):
            peer.deny(message.get("status", _REFUSED))
            return
        code, reason = message.get("code", 1000), message.get("reason") or ""
        now = self._link.now
        if peer.accepted and (why := close_travels(code, reason)) is not None:
            raise CloseRefused(f"{self!r} was not closed: {why}")
        if self.close_called is None:
            self.close_called = Closed(code, reason, now)
            if peer.observer is not None:
                peer.observer("close_called", now, self.close_called)
        if not peer.accepted:
            peer.deny(_REFUSED)
            return
        if peer.conduct is not None:
            peer.conduct.closing()
        frame = Closed(code, reason, now)
        try:
            await self._link.send(frame, frame_bytes(2 + len(reason.encode())))
        except ConnectionResetError:
            # On the legacy order it may have waited for a peer that answered meanwhile.
            if peer.closed is None or peer.closed[:2] != frame[:2]:
                raise
        self._hear({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def _asgi_receive(self) -> Message:
        self._bind(asyncio.get_running_loop())
        while not self._inbound:
            await self._arrived.wait()
        message = self._inbound.popleft()
        self._heard_end = self._heard_end or message["type"] == "websocket.disconnect"
        return message

    def _hear(self, message: Message) -> None:
        """Have the application told something."""
        self._inbound.append(message)
        self._arrived.fire()

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop. What a behaviour does after a time counts from the first one."""
        if loop is not self._loop:
            self._loop = loop
            self._peer.bind(loop)

    def _move_in(self) -> None:
        """Live on the loop that runs, if one does."""
        if (loop := _running_loop()) is not None:
            self._bind(loop)

    def _notice_late(self) -> None:
        if self.close_called is not None:
            self._notice("send_after_close", f"closed at {self.close_called.time:g} s")
        else:
            self._notice("send_after_failure", "an earlier send had failed")

    def _notice(self, kind: str, detail: str) -> None:
        if len(self.misuses) < _MISUSES_KEPT:
            self.misuses.append(Misuse(kind, self._link.now, detail))


def _possible(
    behaviour: Behaviour, loop: asyncio.AbstractEventLoop | None, *, accepted: bool
) -> Behaviour:
    """Return what a behaviour is for this client, if it can be."""
    require(behaviour, wire="in process")
    behaviour = behaviour.drawn(seeded_draw(loop))
    if accepted and (handshake := behaviour.fault(Handshake)) is not None:
        raise OptionError(
            f"{handshake.kind} is a fault of the handshake, which an accepted client has behind "
            "it: pass accepted=False and have the application accept it"
        )
    return behaviour


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
