"""Eviction over real TCP: what becomes of a peer that does not read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from flock_ws import WebSocketManager
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from simulators.behaviours import Behaviour
from simulators.sockets import SocketClient
from tests.flock_ws.scene import said
from tests.flock_ws.uvicorns import Running, running, until

pytestmark = pytest.mark.sockets


class Served:
    """A manager behind uvicorn, in the test's own loop."""

    def __init__(self, manager: WebSocketManager, running: Running) -> None:
        self.manager = manager
        self.url = running.url
        self.endpoints = 0
        self._state = running.server.server_state

    @property
    def connections(self) -> int:
        return len(self._state.connections)


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

    async with running(app, ws=ws) as server:
        served = Served(manager, server)
        try:
            yield served
        finally:
            await manager.shutdown()


async def fill(served: Served, limit: float) -> None:
    """Publish until the stalled client is out."""
    number = 0
    async with asyncio.timeout(limit):
        while not served.manager.evictions:
            await served.manager.broadcast(said(number, size_bytes=30_000))
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


def test_a_peer_that_takes_nothing_is_evicted_at_low_traffic_long_before_buffers_fill(
    patience: float,
) -> None:
    async def main() -> None:
        manager = WebSocketManager(ack_interval=0.05, ack_timeout=1.0)
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
