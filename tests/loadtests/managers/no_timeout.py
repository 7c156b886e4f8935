"""All clients at once, and no limit on any: the broadcast ends when the slowest has taken it."""

import asyncio
from typing import Any


class GatheringWithoutTimeout:
    """A client that does not read holds every later event up, and is never dropped."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients.discard(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        sends = (client.send_text(text) for client in list(self.clients))
        await asyncio.gather(*sends, return_exceptions=True)
