"""What several files of tests of the fakes begin with."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx
from fastapi import FastAPI, WebSocket
from httpx_ws import AsyncWebSocketSession, aconnect_ws

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import Fault

Endpoint = Callable[[WebSocket], Any]
Attempt = Callable[..., Coroutine[Any, Any, str]]
End = Callable[[FakeClient], Awaitable[tuple[int, float]]]

PING = json.dumps({"type": "ping", "timestamp": 0.0})


def fake(*faults: Fault, **options: Any) -> FakeClient:
    return FakeClient(Behaviour.of(*faults), **options)


def now() -> float:
    return asyncio.get_running_loop().time()


async def flood(websocket: Any) -> None:
    """Send until it fails."""
    while True:
        await websocket.send_text("x" * 60_000)


def app_with(endpoint: Endpoint) -> FastAPI:
    app = FastAPI()
    app.websocket("/ws")(endpoint)
    return app


@contextlib.asynccontextmanager
async def session(transport: Any) -> AsyncIterator[AsyncWebSocketSession]:
    websocket: AsyncWebSocketSession
    async with (
        httpx.AsyncClient(transport=transport) as client,
        aconnect_ws("ws://app/ws", client, keepalive_ping_interval_seconds=None) as websocket,
    ):
        yield websocket
