"""An ASGI application as a beginner writes it: what one says, all get, without number or time.

Once a client is there, it also says something by itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

clients: set[WebSocket] = set()


async def tell(text: str) -> None:
    for client in list(clients):
        try:
            await asyncio.wait_for(client.send_text(text), timeout=0.5)
        except Exception:  # noqa: BLE001 - as beginners have it
            clients.discard(client)


async def say() -> None:
    while True:
        await tell(json.dumps({"said": "x" * 250}))
        await asyncio.sleep(0.01)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    task = asyncio.create_task(say())
    yield
    task.cancel()


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    clients.add(websocket)
    try:
        async for text in websocket.iter_text():
            await tell(text)
    except WebSocketDisconnect:
        pass
    finally:
        clients.discard(websocket)


app = Starlette(routes=[WebSocketRoute("/chat", chat)], lifespan=lifespan)
