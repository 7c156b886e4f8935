"""An httpx-ws transport with backpressure: how connections end, and how they are denied."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import HTTPException, Response, WebSocket, WebSocketDisconnect
from httpx_ws import WebSocketDisconnect as ClosedByServer
from httpx_ws import (
    WebSocketNetworkError,
    WebSocketUpgradeError,
)

from simulators.behaviours import Behaviour
from simulators.errors import CloseRefused
from simulators.runs import simulate
from simulators.transport import WireTransport
from tests.simulators.scene import app_with, session

Endpoint = Callable[[WebSocket], Any]


def test_a_client_that_dies_is_a_disconnect_to_the_application() -> None:
    async def main() -> tuple[list[str], int]:
        codes: asyncio.Queue[int] = asyncio.Queue()

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("a")
            await websocket.send_text("b")
            with pytest.raises(WebSocketDisconnect) as caught:
                await websocket.receive_text()
            codes.put_nowait(caught.value.code)

        transport = WireTransport(app_with(endpoint), behaviour=Behaviour.dead(after_messages=2))
        async with session(transport) as websocket:
            texts = [await websocket.receive_text(), await websocket.receive_text()]
            with pytest.raises(WebSocketNetworkError):
                await websocket.receive_text()
            return texts, await codes.get()

    assert simulate(main) == (["a", "b"], 1005)


def test_the_server_closes_with_a_code_and_a_reason() -> None:
    async def main() -> tuple[int, str]:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close(1013, "too slow")

        async with session(WireTransport(app_with(endpoint))) as websocket:
            with pytest.raises(ClosedByServer) as caught:
                await websocket.receive_text()
            return caught.value.code, caught.value.reason

    assert simulate(main) == (1013, "too slow")


def test_the_client_closes_with_a_code_and_a_reason() -> None:
    async def main() -> tuple[int, str]:
        seen: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            with pytest.raises(WebSocketDisconnect) as caught:
                await websocket.receive_text()
            seen.put_nowait((caught.value.code, caught.value.reason))

        async with session(WireTransport(app_with(endpoint))) as websocket:
            await websocket.close(4001, "bye")
            return await seen.get()

    assert simulate(main) == (4001, "bye")


def test_a_send_in_flight_fails_when_the_client_leaves() -> None:
    async def main() -> type[BaseException]:
        raised: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            try:
                while True:
                    await websocket.send_text("x" * 10_000)
            except WebSocketDisconnect as error:
                raised.set_result(type(error))

        async with session(WireTransport(app_with(endpoint))):
            await asyncio.sleep(1)
            assert not raised.done()
        return await raised

    assert simulate(main) is WebSocketDisconnect


def test_an_abort_by_the_server_breaks_the_session() -> None:
    async def main() -> bool:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            websocket.scope["extensions"]["flock_ws"]["connection"].abort()

        transport = WireTransport(app_with(endpoint), abortable=True)
        async with session(transport) as websocket:
            with pytest.raises(WebSocketNetworkError):
                await websocket.receive_text()
        return transport.connections[0].lost

    assert simulate(main)


def test_an_endpoint_that_returns_without_a_close_breaks_the_session() -> None:
    async def main() -> None:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()

        async with session(WireTransport(app_with(endpoint))) as websocket:
            with pytest.raises(WebSocketNetworkError):
                await websocket.receive_text()

    simulate(main)


def test_close_before_accept_is_a_403() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.close()

    assert simulate(lambda: denied(endpoint)) == (403, b"")


def test_a_denial_response_reaches_who_connects() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.send_denial_response(Response("not today", status_code=429))

    assert simulate(lambda: denied(endpoint)) == (429, b"not today")


def test_an_http_exception_before_accept_is_its_response() -> None:
    async def endpoint(websocket: WebSocket) -> None:  # noqa: ARG001  # FastAPI looks at it
        raise HTTPException(401)

    status, _ = simulate(lambda: denied(endpoint))
    assert status == 401


async def denied(endpoint: Endpoint) -> tuple[int, bytes]:
    with pytest.raises(WebSocketUpgradeError) as caught:
        async with session(WireTransport(app_with(endpoint))):
            pass
    response: httpx.Response = caught.value.response
    return response.status_code, response.content


def test_an_endpoint_that_neither_accepts_nor_refuses_is_a_read_timeout() -> None:
    async def main() -> float:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.receive()
            await websocket.receive()

        with pytest.raises(httpx.ReadTimeout, match="neither accepted nor refused"):
            async with session(WireTransport(app_with(endpoint))):
                pass
        return asyncio.get_running_loop().time()

    assert simulate(main) == 5.0


def test_an_error_of_the_endpoint_is_raised_when_the_transport_closes() -> None:
    async def main() -> None:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            raise ZeroDivisionError

        async with session(WireTransport(app_with(endpoint))) as websocket:
            with pytest.raises(WebSocketNetworkError):
                await websocket.receive_text()

    with pytest.raises(ZeroDivisionError):
        simulate(main)


def test_an_endpoint_that_does_not_end_is_cancelled_when_the_transport_closes() -> None:
    async def main() -> tuple[bool, float]:
        cancelled = False

        async def endpoint(websocket: WebSocket) -> None:
            nonlocal cancelled
            await websocket.accept()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise

        async with session(WireTransport(app_with(endpoint))):
            pass
        return cancelled, asyncio.get_running_loop().time()

    assert simulate(main) == (True, 1.0)


def test_a_close_that_no_frame_can_hold_raises_and_the_connection_stands() -> None:
    heard: list[str] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(CloseRefused, match="reason of 124 bytes"):
            await websocket.close(1011, "x" * 124)
        # Starlette takes it for closed; what the server delivers shows that it is not.
        heard.append((await websocket.receive())["text"])

    async def main() -> None:
        async with session(WireTransport(app_with(endpoint))) as websocket:
            await websocket.send_text("still here")

    simulate(main)
    assert heard == ["still here"]


def test_an_endpoint_that_is_cancelled_before_it_accepts_is_a_500() -> None:
    async def endpoint(websocket: WebSocket) -> None:  # noqa: ARG001  # FastAPI looks at it
        raise asyncio.CancelledError

    assert simulate(lambda: denied(endpoint))[0] == 500
