"""Eviction over real TCP: what becomes of a peer that does not read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from flock_ws.server import listening_socket
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from simulators.behaviours import Behaviour
from simulators.sockets import SocketClient

pytestmark = pytest.mark.sockets

PROTOCOLS: list[Any] = [FlockWebSocketProtocol, "websockets-sansio", "wsproto"]


def said(number: int, size_bytes: int = 100) -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="stdout",
        content="x" * size_bytes,
        sequence=number,
    )


class Served:
    """A manager behind uvicorn, in the test's own loop."""

    def __init__(self, manager: WebSocketManager, server: uvicorn.Server, url: str) -> None:
        self.manager = manager
        self.server = server
        self.url = url
        self.endpoints = 0

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@contextlib.asynccontextmanager
async def serving(
    manager: WebSocketManager, *, ws: Any = FlockWebSocketProtocol
) -> AsyncIterator[Served]:
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        served.endpoints += 1
        await manager.add_client(websocket)
        try:
            while True:
                manager.client_said(websocket, await websocket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            served.endpoints -= 1
            await manager.remove_client(websocket)

    config = uvicorn.Config(app, ws=ws, lifespan="off", log_level="critical", ws_ping_interval=None)
    server = uvicorn.Server(config)
    listener = listening_socket("127.0.0.1", 0)
    served = Served(manager, server, f"ws://127.0.0.1:{listener.getsockname()[1]}/ws")
    running = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        while not server.started:  # noqa: ASYNC110  # uvicorn tells no other way
            await asyncio.sleep(0)
        yield served
    finally:
        await manager.shutdown()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        server.should_exit = True
        await running
        listener.close()


async def until(condition: Any, limit: float) -> None:
    """Wait for a condition that nobody announces, in turns of the loop."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110  # the socket of another process has no event
            await asyncio.sleep(0)


async def fill(served: Served, limit: float) -> None:
    """Publish until the stalled client is out."""
    number = 0
    async with asyncio.timeout(limit):
        while not served.manager.evictions:
            await served.manager.broadcast(said(number, 30_000))
            number += 1


def test_an_evicted_peer_that_does_not_read_loses_its_socket_and_its_endpoint(
    patience: float,
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=0.05, close_timeout=0.05)
        async with serving(manager) as served:
            async with SocketClient(served.url, Behaviour.stalled()):
                await until(lambda: manager.clients, patience)
                await fill(served, patience)
                await until(lambda: served.connections == 0 and served.endpoints == 0, patience)
            await until(lambda: manager.statistics().closing == 0, patience)
            (eviction,) = manager.evictions
            assert eviction.reason == "send_timeout"
            assert eviction.gone_at is not None
            assert eviction.gone_at - eviction.at >= 0.05

    asyncio.run(main())


def test_without_the_protocol_the_bounded_close_gives_up_and_the_socket_stays(
    patience: float,
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=0.05, close_timeout=0.05)
        async with (
            serving(manager, ws="websockets-sansio") as served,
            SocketClient(served.url, Behaviour.stalled()),
        ):
            await until(lambda: manager.clients, patience)
            await fill(served, patience)
            await until(lambda: manager.statistics().closing == 0, patience)
            assert (served.connections, manager.clients) == (1, set())

    asyncio.run(main())


@pytest.mark.parametrize("ws", PROTOCOLS, ids=["flock", "sansio", "wsproto"])
def test_a_healthy_peer_beside_a_stalled_one_gets_every_event_in_order(
    ws: Any, patience: float
) -> None:
    async def main() -> None:
        manager = WebSocketManager(send_timeout=0.05, close_timeout=0.05)
        async with (
            serving(manager, ws=ws) as served,
            SocketClient(served.url) as healthy,
            SocketClient(served.url, Behaviour.stalled()),
        ):
            await until(lambda: len(manager.clients) == 2, patience)
            await fill(served, patience)
            last = manager.publish(said(10_000))
            await healthy.wait_received(last.number + 1, timeout=patience)
            numbers = [
                StreamingOutputEvent.model_validate_json(message).sequence
                for message, _ in healthy.received
            ]
            assert numbers == [*range(last.number), 10_000]

    asyncio.run(main())


def test_a_peer_that_takes_nothing_is_evicted_at_low_traffic_long_before_buffers_fill(
    patience: float,
) -> None:
    async def main() -> None:
        manager = WebSocketManager(ack_interval=0.05, ack_timeout=0.2)
        async with (
            serving(manager) as served,
            SocketClient(served.url) as healthy,
            SocketClient(served.url, Behaviour.stalled()),
        ):
            await until(lambda: len(manager.clients) == 2, patience)
            await manager.broadcast(said(0))
            await until(lambda: manager.evictions, patience)
            (eviction,) = manager.evictions
            assert (eviction.reason, eviction.lag.messages) == ("no_ack", 0)
            (left,) = manager.statistics().per_client
            assert left.round_trip is not None
            assert healthy.connected

    asyncio.run(main())


def test_an_acknowledgement_is_no_message_to_either_side(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager(ack_interval=0.01)
        async with serving(manager) as served, SocketClient(served.url) as healthy:
            await until(lambda: manager.clients, patience)
            await manager.broadcast(said(0))
            await until(lambda: manager.statistics().per_client[0].round_trip, patience)
            assert healthy.received_messages == 1

    asyncio.run(main())


def test_a_reading_peer_sees_why_it_was_closed_at_a_shutdown(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager()
        async with serving(manager) as served, SocketClient(served.url) as healthy:
            await until(lambda: manager.clients, patience)
            await manager.shutdown()
            await healthy.wait_closed(timeout=patience)
            assert healthy.closed is not None
            assert (healthy.closed.code, healthy.closed.reason) == (1012, "shutdown")

    asyncio.run(main())


def test_a_peer_whose_connection_was_reset_leaves_the_pool_without_being_evicted(
    patience: float,
) -> None:
    async def main() -> None:
        manager = WebSocketManager()
        async with serving(manager) as served, SocketClient(served.url) as dying:
            await until(lambda: manager.clients, patience)
            dying.die()
            await until(lambda: not manager.clients, patience)
            assert (manager.statistics().left, manager.evictions) == (1, ())

    asyncio.run(main())
