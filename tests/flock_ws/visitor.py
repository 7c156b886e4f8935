"""A visitor of the application, without a server, and a manager that is not ours."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import httpx
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from flock_ws.app import create_app

__all__ = ["ForeignManager", "Socket", "Visitor", "get", "post", "streamed", "visit"]


class ForeignManager:
    """Has what every manager has, as it is often written, and a memory of its calls."""

    def __init__(self) -> None:
        self.active_connections: list[Any] = []
        self.events: list[BaseModel] = []

    async def add_client(self, websocket: WebSocket) -> None:
        self.active_connections.append(websocket)

    async def remove_client(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, event: BaseModel) -> None:
        self.events.append(event)
        for websocket in self.active_connections:
            await websocket.send_text(event.model_dump_json())


def streamed(sequence: object = 0, **fields: Any) -> dict[str, Any]:
    event = {
        "correlation_id": "c",
        "timestamp": "2026-01-01T00:00:00Z",
        "agent_name": "writer",
        "run_id": "r",
        "output_type": "log",
        "content": "text",
        "sequence": sequence,
    }
    return {"kind": "StreamingOutputEvent", "event": event | fields}


T = TypeVar("T")


class Visitor:
    """Calls an application, without a server: over ASGI, on a loop that runs while it waits.

    As a context it runs the application's lifespan.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.runner = asyncio.Runner()
        self.lifespan = app.router.lifespan_context(app)

    def __enter__(self) -> Self:
        self.wait(self.lifespan.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self.lifespan.__aexit__(None, None, None))
        self.runner.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, timeout=10))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.wait(self._request("GET", path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.wait(self._request("POST", path, **options))

    def websocket_connect(self, path: str, **scope: Any) -> "Socket":
        return Socket(self, path, scope)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)


class Socket:
    """The far end of a WebSocket, as an ASGI server would present it."""

    def __init__(self, visitor: Visitor, path: str, scope: dict[str, Any]) -> None:
        self.visitor = visitor
        self.scope = scope
        self.path, _, self.query = path.partition("?")
        self.inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __enter__(self) -> Self:
        self.say(type="websocket.connect")
        self.answer = self.visitor.wait(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self.say(type="websocket.disconnect", code=1000)
        self.visitor.wait(self._end())

    def say(self, **message: Any) -> None:
        self.inbound.put_nowait(message)

    def next(self) -> dict[str, Any]:
        return self.visitor.wait(self.outbound.get())

    def receive_text(self) -> str:
        text = self.next()["text"]
        assert isinstance(text, str)
        return text

    async def _begin(self) -> dict[str, Any]:
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": self.path,
            "query_string": self.query.encode(),
            "headers": [],
            "client": ("192.0.2.1", 4711),
            "extensions": {"websocket.http.response": {}},
            **self.scope,
        }
        app: Any = self.visitor.app
        call = app(scope, self.inbound.get, self.outbound.put)
        self.task = asyncio.get_running_loop().create_task(call)
        return await self.outbound.get()

    async def _end(self) -> None:
        await self.task


def visit(manager: Any) -> Visitor:
    return Visitor(create_app(manager))


def post(manager: Any, body: Any) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    with visit(manager) as http:
        return http.post(
            "/api/events", content=content, headers={"content-type": "application/json"}
        )


def get(manager: Any, path: str) -> httpx.Response:
    with visit(manager) as http:
        return http.get(path)
