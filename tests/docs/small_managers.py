"""Small managers as people write them, each with one fault, for the pages of docs/howto."""

import asyncio
from typing import Any


class OneAfterTheOther:
    """Sends to one client after the other, and waits for each as long as it takes."""

    def __init__(self) -> None:
        self.clients: list[Any] = []

    async def add_client(self, client: Any) -> None:
        self.clients.append(client)

    async def remove_client(self, client: Any) -> None:
        self.clients.remove(client)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for client in list(self.clients):
            await client.send_text(text)


class DropsTheOldest:
    """Keeps a queue of a hundred for each client and silently drops the oldest."""

    def __init__(self) -> None:
        self.clients: dict[Any, asyncio.Queue[str]] = {}
        self.writers: set[asyncio.Task[None]] = set()

    async def add_client(self, client: Any) -> None:
        self.clients[client] = asyncio.Queue(maxsize=100)
        self.writers.add(asyncio.create_task(self._write(client)))

    async def remove_client(self, client: Any) -> None:
        self.clients.pop(client, None)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for queue in self.clients.values():
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)

    async def _write(self, client: Any) -> None:
        while True:
            await client.send_text(await self.clients[client].get())


class PingsAndForgets:
    """Pings everybody and never asks for the answers."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()
        self.heartbeat: asyncio.Task[None] | None = None

    async def add_client(self, client: Any) -> None:
        self.clients.add(client)
        if self.heartbeat is None:
            self.heartbeat = asyncio.create_task(self._beat())

    async def remove_client(self, client: Any) -> None:
        self.clients.discard(client)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(30)
            for client in list(self.clients):
                try:
                    await asyncio.wait_for(client.send_json({"type": "ping"}), 1.0)
                except Exception:  # noqa: BLE001  # as people write it
                    self.clients.discard(client)


class ForgetsTheSocket:
    """Takes who is too slow out of its pool, and leaves the connection as it is."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def add_client(self, client: Any) -> None:
        self.clients.add(client)

    async def remove_client(self, client: Any) -> None:
        self.clients.discard(client)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        await asyncio.gather(*(self._send(client, text) for client in list(self.clients)))

    async def _send(self, client: Any, text: str) -> None:
        try:
            await asyncio.wait_for(client.send_text(text), 0.5)
        except Exception:  # noqa: BLE001  # as people write it
            self.clients.discard(client)
