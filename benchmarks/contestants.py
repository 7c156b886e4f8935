"""Who is measured: the reference, managers written by hand, the field's libraries, and the floor.

Each is a class with the same face: it listens on a socket, knows how many clients it has, and
sends one batch of events at a time. `benchmarks/broadcast.js` is the one that is not Python.
"""

import asyncio
import base64
import contextlib
import hashlib
import operator
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel
from readers import STAMP

from flock_ws import WebSocketManager
from flock_ws.direct import text_frame
from flock_ws.events import StreamingOutputEvent
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol

__all__ = ["COMPRESSING", "CONTESTANTS", "Application", "Contestant", "Note", "Sent", "event"]

_SMALLEST = 300

_UPGRADE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\n\r\n"
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Note(BaseModel):
    """An event smaller than any of the flock's."""

    content: str


Sent = StreamingOutputEvent | Note


def event(number: int, event_bytes: int, *, due: float | None = None, words: bool = False) -> Sent:
    """Return an event of so many bytes on the wire, with a stamp of when it is due: by default now.

    Below 300 bytes it is a `Note`, which has at least 48. With `words` the rest of it is not one
    letter but words drawn from 400, which compress about as prose does.
    """
    content = STAMP.decode() + f"{int((due or time.monotonic()) * 1e6):016}"
    made: Sent = Note(content=content)
    if event_bytes >= _SMALLEST:
        made = StreamingOutputEvent(
            correlation_id="c",
            agent_name="agent",
            run_id="r",
            output_type="llm_token",
            content=content,
            sequence=number,
        )
    room = max(0, event_bytes - len(made.model_dump_json()))
    filler = _words(number, room) if words else "x" * room
    return made.model_copy(update={"content": content + filler})


def _words(seed: int, size: int) -> str:
    letters = random.Random(0)  # no secret
    words = ["".join(letters.choices("etaoinshrdlu", k=letters.randint(2, 9))) for _ in range(400)]
    chosen = random.Random(seed).choices(words, k=size // 3 + 1)  # no secret
    return " ".join(chosen)[:size]


class Contestant(Protocol):
    """What every contestant does."""

    async def start(self, listener: socket.socket) -> None:
        """Accept clients."""

    @property
    def clients(self) -> int:
        """How many clients have joined."""

    async def send(self, events: Sequence[Sent]) -> None:
        """Broadcast events that are published in one turn; return as its users would go on."""


class Application:
    """A manager behind FastAPI on uvicorn: `manager` and `protocol` tell which."""

    def __init__(
        self, manager: Any, protocol: Any = "websockets-sansio", *, compression: bool = False
    ) -> None:
        self.manager = manager
        self._protocol = protocol
        self._compression = compression
        self.server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """How many clients have joined."""
        return len(self.manager.clients)

    async def start(self, listener: socket.socket) -> None:
        """Serve."""
        app = FastAPI()

        @app.websocket("/ws")
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await self.manager.add_client(websocket)
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await websocket.receive_text()

        await self.serve(app, listener)

    async def serve(self, app: Any, listener: socket.socket) -> None:
        """Run uvicorn in this loop."""
        config = uvicorn.Config(
            app,
            ws=self._protocol,
            lifespan="off",
            log_level="error",
            ws_per_message_deflate=self._compression,
            ws_ping_interval=None,
        )
        self.server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self.server.serve(sockets=[listener]))

    async def send(self, events: Sequence[Sent]) -> None:
        """Broadcast."""
        if len(events) == 1:
            await self.manager.broadcast(events[0])
        else:
            await asyncio.gather(*map(self.manager.broadcast, events))


class Naive:
    """Sends to one client after the other, without a deadline."""

    def __init__(self) -> None:
        self.clients: set[WebSocket] = set()

    async def add_client(self, websocket: WebSocket) -> None:
        """Add a client."""
        self.clients.add(websocket)

    async def broadcast(self, event: Sent) -> None:
        """Send to everybody."""
        text = event.model_dump_json()
        for client in list(self.clients):
            await client.send_text(text)


class Common(Naive):
    """The common pattern: a gather of sends, each with a deadline."""

    async def broadcast(self, event: Sent) -> None:
        """Send to everybody."""
        text = event.model_dump_json()
        sends = [asyncio.wait_for(client.send_text(text), 0.5) for client in list(self.clients)]
        await asyncio.gather(*sends, return_exceptions=True)


class WebsocketsBroadcast:
    """`websockets.broadcast`: never waits, and buffers without a bound for who does not read."""

    def __init__(self) -> None:
        self._connections: set[Any] = set()
        self._server: Any = None

    @property
    def clients(self) -> int:
        """How many clients have joined."""
        return len(self._connections)

    async def start(self, listener: socket.socket) -> None:
        """Serve."""
        from websockets.asyncio.server import serve  # noqa: PLC0415 # one of several

        async def handler(connection: Any) -> None:
            self._connections.add(connection)
            await connection.wait_closed()

        self._server = await serve(handler, sock=listener, compression=None, ping_interval=None)

    async def send(self, events: Sequence[Sent]) -> None:
        """Broadcast; then give the loop a turn, as whoever awaits something does."""
        from websockets.asyncio.server import broadcast  # noqa: PLC0415 # the same

        for one in events:
            broadcast(self._connections, one.model_dump_json())
        await asyncio.sleep(0)


class SocketIO(Application):
    """python-socketio on uvicorn: an emit queues, a task for each client sends."""

    def __init__(self) -> None:
        import socketio  # type: ignore[import-untyped] # noqa: PLC0415 # no types, and may be missing

        super().__init__(None)
        # Long enough for a run: its own pings are not what is measured.
        self._io = socketio.AsyncServer(async_mode="asgi", ping_interval=3_600)
        self._application = socketio.ASGIApp(self._io)
        self._joined: set[str] = set()

    @property
    def clients(self) -> int:
        """How many clients have joined."""
        return len(self._joined)

    async def start(self, listener: socket.socket) -> None:
        """Serve."""

        async def joined(sid: str, _: Any) -> None:
            self._joined.add(sid)

        self._io.on("connect", joined)
        await self.serve(self._application, listener)

    async def send(self, events: Sequence[Sent]) -> None:
        """Emit; then give the loop a turn."""
        for one in events:
            await self._io.emit("event", one.model_dump(mode="json"))
        await asyncio.sleep(0)


class _Upgrades(asyncio.Protocol):
    """Answers the upgrade and nothing else."""

    def __init__(self, joined: list[asyncio.Transport]) -> None:
        self._joined = joined
        self._head = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head.endswith(b"\r\n\r\n"):
            return
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            key = self._head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
            accept = base64.b64encode(digest).decode()
            self._transport.write(_UPGRADE.format(accept=accept).encode())
            self._joined.append(self._transport)


class WriteFloor:
    """The floor in asyncio: one encoded frame, `transport.write` to each; a burst is joined."""

    def __init__(self) -> None:
        self._transports: list[asyncio.Transport] = []

    @property
    def clients(self) -> int:
        """How many clients have joined."""
        return len(self._transports)

    async def start(self, listener: socket.socket) -> None:
        """Accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Upgrades(self._transports), sock=listener)

    async def send(self, events: Sequence[Sent]) -> None:
        """Write."""
        frames = b"".join(text_frame(one.model_dump_json().encode()) for one in events)
        for transport in self._transports:
            transport.write(frames)
        await asyncio.sleep(0)


class SendFloor(WriteFloor):
    """The floor of the kernel: `socket.send` in a loop that runs in C, and no buffer at all."""

    def __init__(self) -> None:
        super().__init__()
        self._sends: list[Callable[[bytes], int]] = []

    async def send(self, events: Sequence[Sent]) -> None:
        """Send."""
        if not self._sends:
            # A second socket for each connection: the event loops hide the send of theirs.
            for transport in self._transports:
                descriptor = os.dup(transport.get_extra_info("socket").fileno())
                self._sends.append(socket.socket(fileno=descriptor).send)
        frames = b"".join(text_frame(one.model_dump_json().encode()) for one in events)
        sent = sum(map(operator.call, self._sends, repeat(frames)))
        if sent != len(frames) * len(self._sends):
            raise RuntimeError("a socket buffer is full, and this floor has no other: fewer events")
        await asyncio.sleep(0)


CONTESTANTS: dict[str, tuple[str, Any]] = {
    "fast": (
        "flock_ws with its uvicorn protocol",
        lambda **limits: Application(WebSocketManager(**limits), FlockWebSocketProtocol),
    ),
    "plain": (
        "flock_ws on plain uvicorn",
        lambda **limits: Application(WebSocketManager(**limits)),
    ),
    "common": ("gather of wait_for(send_text)", lambda: Application(Common())),
    "naive": ("one send after the other", lambda: Application(Naive())),
    "websockets": ("websockets.broadcast", WebsocketsBroadcast),
    "socketio": ("python-socketio on uvicorn", SocketIO),
    "write floor": ("encoded once, transport.write", WriteFloor),
    "send floor": ("encoded once, socket.send in C", SendFloor),
}
"""What each is, and how it is made; the reference takes `Limits` fields."""

COMPRESSING: dict[str, tuple[str, Any]] = {
    "fast deflate": (
        "flock_ws, compressed once for all",
        lambda **limits: Application(
            WebSocketManager(**limits), FlockWebSocketProtocol, compression=True
        ),
    ),
    "plain deflate": (
        "flock_ws on plain uvicorn, which compresses for each",
        lambda **limits: Application(WebSocketManager(**limits), compression=True),
    ),
}
"""The same with permessage-deflate; see `benchmarks/compression.py`."""
