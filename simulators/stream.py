"""A WebSocket between an ASGI application and an httpx-ws session, over a modelled wire.

`WireConnection` is the stream that httpx-ws reads from and writes to, and the ``receive`` and
``send`` of the application at its other end. `simulators.transport` makes them.

Not modelled: what uvicorn's legacy protocol raises after the application has heard of the end; on
any order of the wire a send raises ConnectionResetError then, as servers do by default.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import httpcore
import httpx
from starlette.types import Message
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import FrameProtocol

from simulators.asgi import ServerConnection
from simulators.behaviours import Behaviour
from simulators.errors import CloseRefused
from simulators.faults import Reset, SlowReader, StalledReader
from simulators.link import Lag, Link, Signal
from simulators.wire import Wire, close_travels

__all__ = ["WireConnection"]

_DENIED = 1006


class _Frame(NamedTuple):
    """What lies on the wire. Without bytes it is the end: the server has closed its socket."""

    data: bytes
    message_bytes: int | None


class WireConnection(httpcore.AsyncNetworkStream):
    """One WebSocket connection between the application and an httpx-ws session.

    It is what httpx-ws reads from and writes to. Tests find it in `WireTransport.connections`, to
    make the peer stall or die whatever its user does.

    Attributes:
        wire: what lies between.
        behaviour: what the peer does besides what its user does.
        received_messages: how many messages httpx-ws has taken, the one it reads ahead included.
        server: what the server can do with the connection.
        answer: to be the response to the upgrade request.
    """

    def __init__(
        self, wire: Wire, behaviour: Behaviour, *, accept_headers: list[tuple[bytes, bytes]]
    ) -> None:
        self.wire = wire
        self.received_messages = 0
        self._received_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._link: Link[_Frame] = Link(wire, read=self._take)
        self._link.bind(self._loop)
        self.behaviour = behaviour = behaviour.drawn(self._link.draw)
        self.server = ServerConnection(self._link, abort=self._abort)
        # Builds the frames; it has no state, so that a cancelled close was none.
        self._frames = FrameProtocol(client=False, extensions=[])
        self._parser = Connection(ConnectionType.SERVER)
        self._parts: list[str | bytes] = []
        # The peer's side: what it holds of the frame it has read, and whether it reads.
        self._left = b""
        self._reading = False
        self._told_to_stall = False
        self._broken = False
        self._ended = False
        self._handed = Signal()
        self._room = Signal()
        # The application's side.
        self._inbound: deque[tuple[Message, int]] = deque([({"type": "websocket.connect"}, 0)])
        self._inbound_bytes = 0
        self._inbound_latest = 0.0
        self._arrived = Signal()
        self._taken = Signal()
        self._close_sent = False
        self._denial: tuple[int, list[tuple[bytes, bytes]], bytearray] | None = None
        self.answer: asyncio.Future[httpx.Response] = self._loop.create_future()
        self._accept_headers = accept_headers
        self._timers: list[asyncio.TimerHandle] = []
        self._slow = behaviour.fault(SlowReader)
        self._stalled = behaviour.fault(StalledReader)
        self._reset = behaviour.fault(Reset)

    def __repr__(self) -> str:
        """Show what the peer does, what it has taken, and whether the connection stands."""
        state = "open" if self._link.open else "gone"
        return (
            f"<{type(self).__name__} {self.behaviour.name}, {self.received_messages} received, "
            f"{state}>"
        )

    @property
    def lag(self) -> Lag:
        """What was sent and not taken by httpx-ws, with the headers of the frames."""
        return self._link.lag

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, as far as the server knows."""
        return not self._link.open

    # What the peer does when told.

    def stall(self) -> None:
        """Read nothing more from the wire, whatever the user of the session asks for."""
        self._told_to_stall = True
        self._link.stall()

    def resume(self) -> None:
        """Read again, when httpx-ws asks."""
        self._told_to_stall = False
        if self._reading:
            self._link.resume()

    def die(self) -> None:
        """Die by a TCP reset. The application gets a disconnect with the wire's `lost_code`."""
        if self._broken or self._ended:
            return
        self._break()
        self._later(self._lose, {"type": "websocket.disconnect", "code": self.wire.lost_code})

    # What httpx-ws calls.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's signature
        """Read at most `max_bytes` of one frame; nothing is taken from the wire before.

        Raises:
            httpcore.ReadError: the connection was reset.
            httpcore.ReadTimeout: nothing came within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._wait_frame()
        except TimeoutError:
            raise httpcore.ReadTimeout(f"nothing to read after {timeout:g} s") from None
        data, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return data

    async def _wait_frame(self) -> None:
        self._reading = True
        try:
            while not self._is_readable():
                if not self._told_to_stall:
                    self._link.resume()
                # A frame that was there has been handed over by now.
                if not self._is_readable():
                    await self._handed.wait()
        finally:
            self._reading = False
            self._link.stall(fill=False)
        if self._broken and not self._left:
            raise httpcore.ReadError("the connection was reset")

    def _is_readable(self) -> bool:
        return bool(self._left) or self._ended or self._broken

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's signature
        """Write to the application; it waits while more lies unread there than the wire holds.

        Raises:
            httpcore.WriteError: the connection is gone.
            httpcore.WriteTimeout: the application took too little within `timeout` seconds.
        """
        if self._broken or not self._link.open:
            raise httpcore.WriteError("the connection is gone")
        data = bytes(buffer)
        self._inbound_bytes += len(data)
        self._later(self._arrive, data)
        limit = self.wire.kernel_bytes + self.wire.high_water_bytes
        try:
            async with asyncio.timeout(timeout):
                while self._inbound_bytes > limit and self._link.open:
                    await self._taken.wait()
        except TimeoutError:
            raise httpcore.WriteTimeout(f"not taken after {timeout:g} s") from None

    async def aclose(self) -> None:
        """Close the peer's socket."""
        if not self._broken:
            self._break()
            self._later(self._lose, {"type": "websocket.disconnect", "code": self.wire.lost_code})

    # What the application calls.

    async def receive(self) -> Message:
        """Return what the peer did next, as ASGI says."""
        while not self._inbound:
            await self._arrived.wait()
        message, size = self._inbound.popleft()
        self._inbound_bytes -= size
        self._taken.fire()
        return message

    async def send(self, message: Message) -> None:
        """Send what ASGI allows; it waits as the wire says.

        Raises:
            ConnectionResetError: the connection is gone, or went while it waited.
            RuntimeError: ASGI does not allow it now.
            CloseRefused: no close frame can hold its code or reason.
        """
        kind = message["type"]
        if not self.answer.done():
            self._shake_hands(message)
            return
        if self._close_sent:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}, after sending 'websocket.close'")
        if kind == "websocket.send":
            payload = message.get("bytes")
            if payload is None:
                payload = message["text"].encode()
                data = self._frames.send_data(message["text"], fin=True)
            else:
                data = self._frames.send_data(payload, fin=True)
            await self._send_frame(_Frame(bytes(data), len(payload)))
        elif kind == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason") or ""
            if (why := close_travels(code, reason)) is not None:
                raise CloseRefused(f"{self!r} was not closed: {why}")
            await self._send_frame(_Frame(bytes(self._frames.close(code, reason)), None))
            self._close_sent = True
            self._tell({"type": "websocket.disconnect", "code": code, "reason": reason})
        else:
            raise RuntimeError(
                f"Expected ASGI message 'websocket.send' or 'websocket.close', but got {kind!r}"
            )

    async def _send_frame(self, frame: _Frame) -> None:
        wire = self.wire
        # What travels is in no buffer of the link, but a sender's window is bounded.
        while (wire.latency or wire.jitter) and self._link.open and self._window_is_full():
            await self._room.wait()
        await self._link.send(frame, len(frame.data))

    def _window_is_full(self) -> bool:
        return self._link.lag.bytes > self.wire.kernel_bytes + self.wire.high_water_bytes

    def _shake_hands(self, message: Message) -> None:
        kind = message["type"]
        if not self._link.open:
            raise ConnectionResetError("the peer is gone")
        if kind == "websocket.accept" and self._denial is None:
            headers = [*self._accept_headers, *message.get("headers", [])]
            if message.get("subprotocol"):
                headers.append((b"sec-websocket-protocol", message["subprotocol"].encode()))
            extensions = {"network_stream": self}
            self.answer.set_result(httpx.Response(101, headers=headers, extensions=extensions))
            self._begin()
        elif kind == "websocket.close" and self._denial is None:
            self.deny(403, [], b"")
        elif kind == "websocket.http.response.start" and self._denial is None:
            self._denial = (message["status"], list(message.get("headers", [])), bytearray())
        elif kind == "websocket.http.response.body" and self._denial is not None:
            status, headers, body = self._denial
            body += message.get("body", b"")
            if not message.get("more_body", False):
                self.deny(status, headers, bytes(body))
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r} before the handshake was done")

    def deny(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the upgrade request with a response."""
        self._close_sent = True
        self.answer.set_result(httpx.Response(status, headers=headers, content=body))
        self._lose({"type": "websocket.disconnect", "code": _DENIED})

    def app_ended(self) -> None:
        """Close the server's socket as servers do, unless its closing handshake is under way."""
        if self._link.open and not self._close_sent:
            self._link.write(_Frame(b"", None), 0)

    # What happens in between.

    def _take(self, frame: _Frame, _: float) -> None:
        """The peer takes a frame from the wire: one, because httpx-ws asked once."""
        self._left = frame.data
        self._ended = self._ended or not frame.data
        self._link.stall(fill=False)
        self._handed.fire()
        self._room.fire()
        if frame.message_bytes is None:
            return
        self.received_messages += 1
        self._received_bytes += frame.message_bytes
        count, size = self.received_messages, self._received_bytes
        if self._reset is not None and _reached(count, self._reset.after_messages):
            self.die()
        elif self._stalled is not None and (
            _reached(count, self._stalled.after_messages)
            or _reached(size, self._stalled.after_bytes)
        ):
            self._stall_as_told()

    def _arrive(self, data: bytes) -> None:
        """What the peer wrote reaches the server."""
        if not self._link.open:
            return
        self._parser.receive_data(data)
        messages: list[Message] = []
        closed: CloseConnection | None = None
        for event in self._parser.events():
            if isinstance(event, TextMessage | BytesMessage):
                part = event.data
                self._parts.append(part if isinstance(part, str) else bytes(part))
                if event.message_finished:
                    messages.append(_message(self._parts))
                    self._parts = []
            elif isinstance(event, Ping):
                pong = bytes(self._frames.pong(event.payload))
                self._link.write(_Frame(pong, None), len(pong))
            elif isinstance(event, CloseConnection):
                closed = event
        for message in messages:
            self._tell(message, len(data) if message is messages[-1] else 0)
        if not messages:
            self._inbound_bytes -= len(data)
        if closed is not None:
            told: Message = {"type": "websocket.disconnect", "code": closed.code}
            self._lose(None if self._close_sent else {**told, "reason": closed.reason or ""})

    def _later(self, act: Callable[[Any], None], argument: Any) -> None:
        """Let something that the peer did reach the server, in order."""
        if not (self.wire.latency or self.wire.jitter):
            act(argument)
            return
        self._inbound_latest = max(self._inbound_latest, self._loop.time() + self._link.delay())
        self._loop.call_at(self._inbound_latest, act, argument)

    def _tell(self, message: Message, size: int = 0) -> None:
        self._inbound.append((message, size))
        self._arrived.fire()

    def _lose(self, message: Message | None) -> None:
        """The server's end of the connection is gone."""
        if not self._link.open:
            return
        self._link.cut()
        self._forget_faults()
        if message is not None:
            self._tell(message)
        self._taken.fire()
        self._room.fire()
        self._later(self._see_end, None)

    def _see_end(self, _: None) -> None:
        """The peer finds the end when it reads."""
        self._ended = True
        self._handed.fire()

    def _break(self) -> None:
        """The peer's end of the connection is gone: it reads and writes no more."""
        self._broken = True
        self._link.stall(fill=False)
        self._forget_faults()
        self._handed.fire()

    def _abort(self) -> None:
        if self._link.open:
            self._later(lambda _: self._break(), None)
            self._lose({"type": "websocket.disconnect", "code": self.wire.lost_code})

    def _begin(self) -> None:
        """Do what the behaviour does at once, and set its timers. It counts from the handshake."""
        slow, stalled, reset = self._slow, self._stalled, self._reset
        if slow is not None:
            self._after(slow.after_seconds, self._slow_down)
        if stalled is not None:
            self._after(0.0 if stalled.at_once else stalled.after_seconds, self._stall_as_told)
        if reset is not None:
            self._after(0.0 if reset.at_once else reset.after_seconds, self.die)
        if not self._told_to_stall:
            self._link.stall(fill=False)

    def _after(self, seconds: float | None, act: Callable[[], None]) -> None:
        if seconds:
            self._timers.append(self._loop.call_later(seconds, act))
        elif seconds is not None:
            act()

    def _slow_down(self) -> None:
        if self._slow is not None:
            self._link.pace(self._slow.bytes_per_second, chunk_bytes=self._slow.chunk_bytes)

    def _stall_as_told(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None:
            self.stall()
            if stalled.resume_after is not None:
                self._after(stalled.resume_after, self.resume)

    def _forget_faults(self) -> None:
        self._slow = self._stalled = self._reset = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def _reached(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


def _message(parts: list[str | bytes]) -> Message:
    """Join what came in fragments."""
    text = [part for part in parts if isinstance(part, str)]
    if text:
        return {"type": "websocket.receive", "text": "".join(text)}
    data = b"".join(part for part in parts if isinstance(part, bytes))
    return {"type": "websocket.receive", "bytes": data}
