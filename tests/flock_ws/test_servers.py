"""The manager over real TCP on every server and loop: the same promises, whoever carries them."""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from flock_ws import WebSocketManager
from flock_ws.closing import connection_of
from flock_ws.events import StreamingOutputEvent
from flock_ws.server import listening_socket
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from loadtests.ports import ReservedPort
from simulators.behaviours import Behaviour
from simulators.sockets import SocketClient
from tests.flock_ws.scene import said
from tests.flock_ws.uvicorns import running, until

pytestmark = [
    pytest.mark.sockets,
    # What uvicorn's legacy protocol says, and the package that it stands on.
    pytest.mark.filterwarnings("ignore:.*websockets.* is deprecated"),
    pytest.mark.filterwarnings("ignore:remove second argument of ws_handler"),
]

UVICORN_PROTOCOLS: dict[str, Any] = {
    "flock": FlockWebSocketProtocol,
    "uvicorn sansio": "websockets-sansio",
    "uvicorn legacy": "websockets",
    "uvicorn wsproto": "wsproto",
}


@contextlib.asynccontextmanager
async def on_uvicorn(app: FastAPI, *, ws: Any) -> AsyncIterator[str]:
    async with running(app, ws=ws) as server:
        yield server.url


@contextlib.asynccontextmanager
async def on_hypercorn(app: Any) -> AsyncIterator[str]:
    from hypercorn.asyncio import serve  # noqa: PLC0415  # installed only by the group "servers"
    from hypercorn.config import Config  # noqa: PLC0415  # the same

    listener = listening_socket("127.0.0.1", 0)
    config = Config()
    # It makes a socket of its own from the descriptor.
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = 0.1
    config.loglevel = "CRITICAL"
    over = asyncio.Event()
    running = asyncio.create_task(serve(app, config, shutdown_trigger=over.wait))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    finally:
        over.set()
        await asyncio.wait([running], timeout=2)
        running.cancel()
        await asyncio.wait([running], timeout=2)
        listener.detach()


@contextlib.asynccontextmanager
async def served(name: str, manager: WebSocketManager) -> AsyncIterator[str]:
    """Serve a manager on the named server; give the address."""
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await manager.add_client(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                manager.client_said(websocket, await websocket.receive_text())
        await manager.remove_client(websocket)

    async with (
        on_hypercorn(app) if name == "hypercorn" else on_uvicorn(app, ws=UVICORN_PROTOCOLS[name])
    ) as url:
        try:
            yield url
        finally:
            await manager.shutdown()


Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=[*UVICORN_PROTOCOLS, "hypercorn"])
def server(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name == "hypercorn":
        pytest.importorskip(name, reason="hypercorn is not installed: pip install --group servers")
    return name


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop

    def start(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    return start


def test_a_stalled_client_is_evicted_and_a_healthy_one_beside_it_misses_nothing(
    server: str, run: Run, patience: float
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=0.5, close_timeout=0.1)
        async with (
            served(server, manager) as url,
            SocketClient(url) as healthy,
            SocketClient(url, Behaviour.stalled()),
        ):
            await until(lambda: len(manager.clients) == 2, patience)
            number = 0
            async with asyncio.timeout(patience):
                while not manager.evictions:
                    await manager.broadcast(said(number, size_bytes=50_000))
                    number += 1
            manager.publish(said(number))
            await healthy.wait_received(number + 1, timeout=patience)
            assert manager.evictions[0].reason == "send_timeout"
            assert len(manager.evictions) == len(manager.clients) == 1
            assert [
                StreamingOutputEvent.model_validate_json(message).sequence
                for message, _ in healthy.received
            ] == list(range(number + 1))

    run(main)


def test_a_shutdown_tells_the_reading_peer_its_code_and_is_bounded_beside_a_stalled_one(
    server: str, run: Run, patience: float
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=10 * patience, close_timeout=0.2)
        async with (
            served(server, manager) as url,
            SocketClient(url) as healthy,
            SocketClient(url, Behaviour.stalled()),
        ):
            await until(lambda: len(manager.clients) == 2, patience)
            number = 0
            while max(client.lag.messages for client in manager.statistics().per_client) < 20:
                manager.publish(said(number, size_bytes=50_000))
                number += 1
                await healthy.wait_received(number, timeout=patience)
            async with asyncio.timeout(patience):
                await manager.shutdown()
            closed = await healthy.wait_closed(timeout=patience)
            assert (closed.code, closed.reason) == (1012, "shutdown")
            assert manager.clients == set()

    run(main)


def test_a_reset_connection_leaves_the_pool_without_being_evicted(
    server: str, run: Run, patience: float
) -> None:
    async def main() -> None:
        manager = WebSocketManager()
        async with served(server, manager) as url, SocketClient(url) as dying:
            await until(lambda: manager.clients, patience)
            dying.die()
            await until(lambda: not manager.clients, patience)
            assert (manager.statistics().left, manager.evictions) == (1, ())

    run(main)


def test_an_evicted_connection_is_aborted_where_the_server_lets_it(
    run: Run, patience: float
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=0.5, close_timeout=0.1)
        async with served("flock", manager) as url, SocketClient(url, Behaviour.stalled()):
            await until(lambda: manager.clients, patience)
            (websocket,) = manager.clients
            connection = connection_of(websocket)
            assert connection is not None
            async with asyncio.timeout(patience):
                while not manager.evictions:
                    await manager.broadcast(said(0, size_bytes=50_000))
            await until(lambda: connection.lost, patience)

    run(main)


class Granian:
    """The application on granian, whose workers are processes of its own, asked over HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/ws"

    def ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, text
            return dict(json.loads(text))

    async def stats(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.ask, "GET", "/api/stats")

    async def publish(self, number: int, size_bytes: int) -> None:
        event = said(number, size_bytes=size_bytes).model_dump(mode="json")
        body = json.dumps({"kind": "StreamingOutputEvent", "event": event})
        await asyncio.to_thread(self.ask, "POST", "/api/events", body)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def granian(request: pytest.FixtureRequest) -> Iterator[Granian]:
    for package in ("granian", request.param):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install --group servers")
    with ReservedPort("127.0.0.1") as reserved:
        where = ["--port", str(reserved.port), "--factory", "flock_ws.app:create_app"]
        options = ["--interface", "asgi", "--loop", request.param, "--no-log", *where]
        command = [sys.executable, "-m", "granian", *options]
        process = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # all of it is above
        try:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    Granian(reserved.port).ask("GET", "/api/stats")
                    break
                assert process.poll() is None, "granian did not start"
                time.sleep(0.05)  # not in a loop's thread; the process has no event to wait for
            yield Granian(reserved.port)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_on_granian_a_stalled_client_is_evicted_and_a_healthy_one_misses_nothing(
    granian: Granian, patience: float
) -> None:
    async def main() -> None:
        async with (
            SocketClient(granian.url) as healthy,
            SocketClient(granian.url, Behaviour.stalled()),
            asyncio.timeout(patience),
        ):
            while (await granian.stats())["clients"] < 2:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0)
            number = 0
            while (stats := await granian.stats())["evicted"] != {"send_timeout": 1}:
                if not any(client["lag"]["messages"] for client in stats["per_client"]):
                    await granian.publish(number, 500_000)
                    number += 1
            await granian.publish(number, 10)
            await healthy.wait_received(number + 1, timeout=patience)
            assert [
                StreamingOutputEvent.model_validate_json(message).sequence
                for message, _ in healthy.received
            ] == list(range(number + 1))

    asyncio.run(main())


def test_on_granian_a_reset_connection_leaves_the_pool_without_being_evicted(
    granian: Granian, patience: float
) -> None:
    async def main() -> None:
        before = await granian.stats()
        async with SocketClient(granian.url) as dying, asyncio.timeout(patience):
            while (await granian.stats())["joined"] == before["joined"]:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0)
            dying.die()
            while (stats := await granian.stats())["left"] == before["left"]:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0)
            assert stats["evicted"] == before["evicted"]

    asyncio.run(main())
