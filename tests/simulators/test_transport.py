"""httpx-ws against a FastAPI application over a modelled wire."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from httpx_ws import (
    AsyncWebSocketSession,
    aconnect_ws,
)
from httpx_ws.transport import ASGIWebSocketTransport

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.faults import FinWithoutClose, Reset
from simulators.runs import sim_test, simulate
from simulators.transport import WireTransport
from simulators.wire import Wire
from tests.simulators.scene import app_with, session

Endpoint = Callable[[WebSocket], Any]


def said(number: int, size_bytes: int = 1_000) -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="stdout",
        content="x" * size_bytes,
        sequence=number,
    )


def app_of(manager: WebSocketManager) -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await manager.add_client(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                manager.client_said(websocket, await websocket.receive_text())
        await manager.remove_client(websocket)

    @app.get("/clients")
    async def clients() -> int:
        return len(manager.clients)

    return app


async def wait_pool(manager: WebSocketManager, size: int) -> None:
    while len(manager.clients) != size:  # noqa: ASYNC110  # a pool announces nothing
        await asyncio.sleep(0.001)


async def evicted_after(
    transport: Any, manager: WebSocketManager, *, budget_bytes: int
) -> int | None:
    """Publish to a client that never reads; return the bytes published until it is out."""
    async with session(transport):
        await wait_pool(manager, 1)
        for number in range(budget_bytes // 1_000):
            await manager.broadcast(said(number))
            if manager.evictions:
                return (number + 1) * 1_000
    return None


@sim_test
async def test_a_client_that_does_not_read_is_evicted_after_bounded_bytes() -> None:
    manager = WebSocketManager(send_timeout=0.5)
    transport = WireTransport(app_of(manager), abortable=True)
    published = await evicted_after(transport, manager, budget_bytes=2_000_000)
    (eviction,) = manager.evictions
    assert eviction.reason == "send_timeout"
    assert published is not None
    assert published < 70_000
    assert transport.connections[0].received_messages == 1


def test_with_the_stock_transport_no_timeout_ever_fires() -> None:
    async def main() -> tuple[int | None, int]:
        manager = WebSocketManager(send_timeout=0.5)
        stock = ASGIWebSocketTransport(app_of(manager))
        return await evicted_after(stock, manager, budget_bytes=2_000_000), len(manager.evictions)

    assert simulate(main) == (None, 0)


def test_one_message_is_read_ahead_and_then_the_wire_fills() -> None:
    """8 messages of 10 004 bytes pass: one is read, and of seven the last is above 64 KiB."""

    async def main() -> tuple[int, int, float]:
        sent = 0
        blocked = asyncio.Event()

        async def endpoint(websocket: WebSocket) -> None:
            nonlocal sent
            await websocket.accept()
            await asyncio.sleep(1)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(3):
                        await websocket.send_text("x" * 10_000)
                    sent += 1
            blocked.set()

        transport = WireTransport(app_with(endpoint))
        async with session(transport):
            await blocked.wait()
            (connection,) = transport.connections
            now = asyncio.get_running_loop().time()
            return sent, connection.received_messages, now

    assert simulate(main) == (8, 1, 4.0)


def test_a_reading_client_gets_everything_in_order() -> None:
    async def main() -> list[int]:
        manager = WebSocketManager()
        async with session(WireTransport(app_of(manager))) as websocket:
            await wait_pool(manager, 1)

            async def publish() -> None:
                for number in range(500):
                    await manager.broadcast(said(number))

            publishing = asyncio.create_task(publish())
            numbers = [(await websocket.receive_json())["sequence"] for _ in range(500)]
            await publishing
        assert manager.evictions == ()
        return numbers

    assert simulate(main, seed=3, interleaving="random") == list(range(500))


def test_a_message_larger_than_a_read_arrives_whole() -> None:
    async def main() -> int:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_bytes(b"x" * 300_000)

        async with session(WireTransport(app_with(endpoint))) as websocket:
            return len(await websocket.receive_bytes())

    assert simulate(main) == 300_000


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await websocket.receive_text())


def test_messages_go_both_ways_over_a_distance() -> None:
    async def main() -> tuple[str, float]:
        transport = WireTransport(app_with(echo), wire=Wire(latency=0.1))
        async with session(transport) as websocket:
            await websocket.send_text("hällo")
            return await websocket.receive_text(), asyncio.get_running_loop().time()

    assert simulate(main) == ("hällo", 0.2)


def test_over_a_distance_what_travels_to_a_client_that_does_not_read_is_bounded() -> None:
    async def main() -> int:
        sent = 0

        async def endpoint(websocket: WebSocket) -> None:
            nonlocal sent
            await websocket.accept()
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await websocket.send_text("x" * 10_000)
                    sent += 1

        async with session(WireTransport(app_with(endpoint), wire=Wire(latency=0.1))):
            await asyncio.sleep(60)
            return sent

    assert simulate(main) < 20


def test_a_slow_reader_takes_what_its_behaviour_says() -> None:
    async def main() -> float:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            for _ in range(10):
                await websocket.send_text("x" * 998)

        behaviour = Behaviour.slow(bytes_per_second=1_000)
        transport = WireTransport(app_with(endpoint), behaviour=behaviour)
        async with session(transport) as websocket:
            for _ in range(10):
                await websocket.receive_text()
            return asyncio.get_running_loop().time()

    assert simulate(main) == pytest.approx(10, abs=1.1)


def test_a_client_told_to_stall_takes_nothing_until_it_resumes() -> None:
    async def main() -> tuple[list[str], float]:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            for number in range(4):
                await websocket.send_text(str(number))

        behaviour = Behaviour.stalled(after_messages=2, resume_after=30)
        transport = WireTransport(app_with(endpoint), behaviour=behaviour)
        async with session(transport) as websocket:
            texts = [await websocket.receive_text() for _ in range(4)]
            return texts, asyncio.get_running_loop().time()

    assert simulate(main) == (["0", "1", "2", "3"], 30.0)


def test_on_a_filled_wire_a_stalled_client_blocks_the_first_send() -> None:
    async def main() -> bool:
        blocked = False

        async def endpoint(websocket: WebSocket) -> None:
            nonlocal blocked
            await websocket.accept()
            try:
                async with asyncio.timeout(1):
                    await websocket.send_text("x")
            except TimeoutError:
                blocked = True

        transport = WireTransport(
            app_with(endpoint), wire=Wire.uvicorn(filled=True), behaviour=Behaviour.stalled()
        )
        async with session(transport):
            await asyncio.sleep(2)
        return blocked

    assert simulate(main)


def test_a_client_that_floods_an_endpoint_waits_as_well() -> None:
    async def main() -> int:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await asyncio.Event().wait()

        sent = 0
        async with session(WireTransport(app_with(endpoint))) as websocket:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while True:
                        await websocket.send_text("x" * 1_000)
                        sent += 1
        return sent

    assert simulate(main) == 65


def test_keepalive_pings_of_httpx_ws_are_answered_while_the_client_reads() -> None:
    async def main() -> float:
        websocket: AsyncWebSocketSession
        async with (
            httpx.AsyncClient(transport=WireTransport(app_with(echo))) as client,
            aconnect_ws("ws://app/ws", client) as websocket,
        ):
            with contextlib.suppress(TimeoutError):
                await websocket.receive_text(timeout=300)
            await websocket.send_text("still here")
            assert await websocket.receive_text() == "still here"
        return asyncio.get_running_loop().time()

    assert simulate(main) == 300.0


def test_regular_requests_work_beside_websockets() -> None:
    async def main() -> tuple[int, int]:
        manager = WebSocketManager()
        async with httpx.AsyncClient(
            transport=WireTransport(app_of(manager)), base_url="http://app"
        ) as client:
            async with aconnect_ws("http://app/ws", client):
                await wait_pool(manager, 1)
                during = (await client.get("/clients")).json()
            await wait_pool(manager, 0)
            return during, (await client.get("/clients")).json()

    assert simulate(main) == (1, 0)


def test_it_works_on_a_real_event_loop() -> None:
    async def main() -> str:
        async with session(WireTransport(app_with(echo))) as websocket:
            await websocket.send_text("hello")
            return await websocket.receive_text()

    assert asyncio.run(main()) == "hello"


@pytest.mark.parametrize("fault", [FinWithoutClose(), Reset(when="mid_frame")])
def test_a_fault_that_it_cannot_produce_is_refused(fault: Any) -> None:
    behaviour = Behaviour(name="strange", faults=(fault,))
    with pytest.raises(OptionError, match=r"cannot produce .* use a FakeClient"):
        WireTransport(FastAPI(), behaviour=behaviour)
