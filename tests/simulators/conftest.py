"""Servers on 127.0.0.1 that tell what a client did to them."""

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import pytest

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def until(condition: Callable[[], Any], limit: float) -> None:
    """Wait for a condition that nobody announces."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0.001)


def upgraded(request: bytes, *more: bytes) -> bytes:
    """Return the answer that accepts an upgrade, with these lines besides."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    digest = hashlib.sha1(key + GUID, usedforsecurity=False).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Peer:
    """A server of bytes for one client: what came from it, frame by frame, and how it ended."""

    def __init__(self, *, extensions: str = "") -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.request = b""
        self.end: str | None = None
        self.writer: asyncio.StreamWriter | None = None
        self._more = [b"Sec-WebSocket-Extensions: " + extensions.encode()] if extensions else []
        self._rest = b""
        self._close_sent = False

    @property
    def texts(self) -> list[bytes]:
        return [payload for first, payload in self.frames if first == 0x81]

    def said(self, first: int) -> list[bytes]:
        """Return the payloads of the frames with this first byte."""
        return [payload for byte, payload in self.frames if byte == first]

    def send(self, first: int, payload: bytes = b"") -> None:
        """Send one frame with this first byte."""
        size = len(payload)
        head = bytes((first, size)) if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big")
        assert self.writer is not None
        self._close_sent = self._close_sent or first == 0x88
        self.writer.write(head + payload)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            self.request = await reader.readuntil(b"\r\n\r\n")
            writer.write(upgraded(self.request, *self._more))
            while data := await reader.read(65536):
                self._rest += data
                self._cut()
            self.end = "fin"
        except ConnectionError:
            self.end = "reset"
        except TimeoutError:
            self.end = "timeout"
        except asyncio.IncompleteReadError:
            self.end = "fin"

    def _cut(self) -> None:
        while len(self._rest) >= 6:
            first, size, body = self._rest[0], self._rest[1] & 0x7F, 2
            if size >= 126:
                body = 4 if size == 126 else 10
                size = int.from_bytes(self._rest[2:body], "big")
            mask, stop = self._rest[body : body + 4], body + 4 + size
            if len(self._rest) < stop:
                return
            masked = self._rest[body + 4 : stop]
            if mask.strip(b"\0"):
                masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))
            self.frames.append((first, masked))
            self._rest = self._rest[stop:]
            if first == 0x88 and not self._close_sent:
                self.send(0x88, masked)


class Served:
    """An application behind uvicorn in the test's own loop, and what it saw."""

    def __init__(self, server: Any, url: str) -> None:
        self.server = server
        self.url = url
        self.websockets: list[Any] = []
        self.heard: list[str] = []
        self.disconnects: list[int] = []

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)

    @property
    def blocked(self) -> bool:
        """Whether a send waits for a client."""
        return any(not connection.writable.is_set() for connection in self.connections)


@pytest.fixture
def loop() -> Iterator[Any]:
    """Give a loop in virtual time that does not run, and close it."""
    from simulators.clock import SimLoop  # noqa: PLC0415 - few need it

    loop = SimLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def server_process() -> Callable[..., AbstractContextManager[tuple[int, str]]]:
    """Give a function that serves the reference in a process of its own; its id and its URL."""

    @contextlib.contextmanager
    def make(*options: str) -> Iterator[tuple[int, str]]:
        with subprocess.Popen(  # noqa: S603 - options of our own tests
            [sys.executable, "-m", "flock_ws", "serve", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield process.pid, json.loads(process.stdout.readline())["url"]
            finally:
                process.kill()

    return make


@pytest.fixture
def attempt() -> Callable[..., Coroutine[Any, Any, str]]:
    """Give a function that sends with the original manager's deadline, and says how it went."""
    from starlette.websockets import WebSocketDisconnect  # noqa: PLC0415 - few need it

    async def attempt(websocket: Any, text: str = "x") -> str:
        try:
            async with asyncio.timeout(0.5):
                await websocket.send_text(text)
        except TimeoutError:
            return "timeout"
        except WebSocketDisconnect as gone:
            return f"disconnect {gone.code}"
        return "sent"

    return attempt


@pytest.fixture
def disconnect_of() -> Callable[[Any], Awaitable[tuple[int, float]]]:
    """Give a function that receives until the end, and returns its code and time."""

    async def disconnect_of(websocket: Any) -> tuple[int, float]:
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            pass
        return message["code"], asyncio.get_running_loop().time()

    return disconnect_of


@pytest.fixture
def peer() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Give a function that makes a `Peer` and its URL."""

    @contextlib.asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[tuple[Peer, str]]:
        made = Peer(**options)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        running = await asyncio.start_server(made.serve, sock=listening)
        try:
            yield made, f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            running.close()
            if made.writer is not None:
                made.writer.transport.abort()
                with contextlib.suppress(OSError):
                    await made.writer.wait_closed()

    return make


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Give a function that serves an application with uvicorn's default protocol."""

    @contextlib.asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[Served]:
        import uvicorn  # noqa: PLC0415 - only tests over sockets need it
        from starlette.applications import Starlette  # noqa: PLC0415 - the same
        from starlette.routing import WebSocketRoute  # noqa: PLC0415 - the same
        from starlette.websockets import WebSocket  # noqa: PLC0415 - the same

        from flock_ws.server import listening_socket  # noqa: PLC0415 - the same

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            served.websockets.append(websocket)
            while (message := await websocket.receive())["type"] == "websocket.receive":
                served.heard.append(message.get("text") or "")
            served.disconnects.append(message["code"])

        app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
        settings = {"lifespan": "off", "log_level": "critical", "ws_ping_interval": None, **options}
        config = uvicorn.Config(app, **settings)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        listener = listening_socket("127.0.0.1", 0)
        scheme = "wss" if "ssl_certfile" in options else "ws"
        served = Served(server, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/ws")
        # Without its main loop, which looks only every 0.1 s whether it is to end.
        await server.startup(sockets=[listener])
        try:
            yield served
        finally:
            for listening in server.servers:
                listening.close()
            for connection in served.connections:
                connection.transport.abort()
            await until(lambda: not (served.connections or server.server_state.tasks), 10)
            listener.close()

    return make


@pytest.fixture
def wait(patience: float) -> Callable[[Callable[[], Any]], Any]:
    """Give a function that waits for a condition, for as long as a test may."""
    return lambda condition: until(condition, patience)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(
    request: pytest.FixtureRequest, patience: float
) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Give a function that runs a coroutine to its end on each kind of loop, with a limit."""
    factory = None
    if request.param == "uvloop":
        if importlib.util.find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        import uvloop  # noqa: PLC0415 - it may be missing

        factory = uvloop.new_event_loop

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main, 2 * patience))

    return run


@pytest.fixture
def upgrading() -> Callable[[bytes], bytes]:
    """Give a function that makes the answer to a request for an upgrade."""
    return upgraded


@pytest.fixture
def server() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Give a function that serves with the websockets library and gives the URL.

    Without a handler it sends back what it gets.
    """
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415 - few need it
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - the same

    async def echo(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    @contextlib.asynccontextmanager
    async def make(
        handler: Callable[[ServerConnection], Awaitable[None]] = echo, **options: Any
    ) -> AsyncIterator[str]:
        async with serve(handler, "127.0.0.1", 0, compression=None, **options) as running:
            yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"

    return make


@pytest.fixture
def raw_server() -> Callable[..., AbstractAsyncContextManager[str]]:
    """Give a function that serves bytes by a script, through small kernel buffers, and the URL.

    The script begins when the upgrade is done, or before it with ``upgrades=False``.
    """

    @contextlib.asynccontextmanager
    async def make(script: Script, *, upgrades: bool = True) -> AsyncIterator[str]:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        tasks: set[asyncio.Task[None]] = set()

        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                if upgrades:
                    writer.write(upgraded(await reader.readuntil(b"\r\n\r\n")))
                await script(reader, writer)
                writer.close()
                await writer.wait_closed()
            except (ConnectionError, RuntimeError, asyncio.CancelledError):
                # uvloop raises a RuntimeError for a write to a transport that a reset has closed.
                writer.transport.abort()

        running = await asyncio.start_server(serve_one, sock=listening)
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            running.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)

    return make
