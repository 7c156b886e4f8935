"""The better pattern: all clients at once, each with a timeout; who fails is dropped, unclosed."""

import asyncio
from typing import Any


class GatheringManager:
    """A stalled client holds up every publisher for half a second, and becomes a zombie."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients.discard(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        clients = list(self.clients)
        sends = [asyncio.wait_for(client.send_text(text), timeout=0.5) for client in clients]
        for client, result in zip(
            clients, await asyncio.gather(*sends, return_exceptions=True), strict=True
        ):
            if isinstance(result, Exception):
                self.clients.discard(client)
