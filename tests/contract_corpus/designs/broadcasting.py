"""The five designs that the documentation of the websockets library walks through, as managers.

Each stands for many in the wild; `FLAWS` are the checks that must find what it is known for.
"""

import asyncio
from typing import Any, ClassVar

__all__ = ["DESIGNS", "Chain", "Concurrent", "FireAndForget", "Naive", "QueueForEach"]


class _Pool:
    """What the five have in common: a set, and no thought of anything else."""

    FLAWS: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients.discard(websocket)


class Naive(_Pool):
    """The naive way: one send after the other. The slowest client sets the pace of all."""

    FLAWS = (
        "delivery.k_slow_clients_cost_one_timeout",
        "delivery.slow_client_delays_nobody_else",
        "delivery.send_deadline",
        "evict.slow_client_is_out",
    )

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for websocket in self.clients.copy():
            try:
                await websocket.send_text(text)
            except Exception:
                pass


class Concurrent(_Pool):
    """A task for each client, all awaited: the others get it at once, the publisher waits."""

    FLAWS = (
        "delivery.next_event_does_not_wait",
        "delivery.send_deadline",
        "evict.slow_client_is_out",
    )

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        sends = [self._send(websocket, text) for websocket in self.clients]
        await asyncio.gather(*sends)

    async def _send(self, websocket: Any, text: str) -> None:
        try:
            await websocket.send_text(text)
        except Exception:
            pass


class FireAndForget(_Pool):
    """A task for each client and no wait: no backpressure, so memory grows with a slow client."""

    FLAWS = (
        "memory.slow_client_backlog_is_bounded",
        "delivery.one_send_in_flight",
        "evict.slow_client_is_out",
    )

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for websocket in self.clients:
            asyncio.create_task(self._send(websocket, text))

    async def _send(self, websocket: Any, text: str) -> None:
        try:
            await websocket.send_text(text)
        except Exception:
            pass


class QueueForEach:
    """A queue and a relay task for each client: nobody waits, and the queue has no bound."""

    FLAWS = ("memory.slow_client_backlog_is_bounded", "evict.slow_client_is_out")

    def __init__(self) -> None:
        self.clients: dict[Any, tuple[asyncio.Queue[str], asyncio.Task[None]]] = {}

    async def add_client(self, websocket: Any) -> None:
        if websocket not in self.clients:
            queue: asyncio.Queue[str] = asyncio.Queue()
            self.clients[websocket] = (queue, asyncio.create_task(self._relay(websocket, queue)))

    async def remove_client(self, websocket: Any) -> None:
        if websocket in self.clients:
            self.clients.pop(websocket)[1].cancel()

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for queue, _ in self.clients.values():
            queue.put_nowait(text)

    async def _relay(self, websocket: Any, queue: "asyncio.Queue[str]") -> None:
        while True:
            await websocket.send_text(await queue.get())


class Chain:
    """One shared chain of futures that every client follows: a slow one keeps its tail alive."""

    FLAWS = ("memory.slow_client_backlog_is_bounded", "evict.slow_client_is_out")

    def __init__(self) -> None:
        self.clients: dict[Any, asyncio.Task[None]] = {}
        self._waiter: asyncio.Future[Any] | None = None

    async def add_client(self, websocket: Any) -> None:
        if websocket not in self.clients:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            self.clients[websocket] = asyncio.create_task(self._follow(websocket, self._waiter))

    async def remove_client(self, websocket: Any) -> None:
        task = self.clients.pop(websocket, None)
        if task is not None:
            task.cancel()

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        waiter = self._waiter
        self._waiter = asyncio.get_running_loop().create_future()
        if waiter is not None:
            waiter.set_result((text, self._waiter))

    async def _follow(self, websocket: Any, waiter: "asyncio.Future[Any]") -> None:
        while True:
            text, waiter = await waiter
            await websocket.send_text(text)


DESIGNS = (Naive, Concurrent, FireAndForget, QueueForEach, Chain)
