"""A queue and a writer for each client; a broadcast returns as soon as everybody has it queued."""

import asyncio
from collections import deque
from typing import Any, ClassVar

from .bounded import MOST_BYTES, MOST_MESSAGES, Closings, History, attempt, ping

__all__ = ["QueueManager"]


class _Outlet:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.waiting: deque[Any] = deque()
        self.waiting_bytes = 0
        self.news = asyncio.Event()
        self.busy_since = float("inf")
        self.writer: asyncio.Task[None] | None = None


class QueueManager:
    """Publishing never waits; whoever does not keep up is closed."""

    PROFILE: ClassVar = {
        "history_limit": 1_000,
        "history_agents": 1_000,
        "history_sendable_only": True,
        "on_return": "accepted",
    }

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self._clients: dict[Any, _Outlet] = {}
        self._history = History()
        self._closings = Closings()
        self._heartbeat: asyncio.Task[None] | None = None
        self._over = False

    async def add_client(self, websocket: Any) -> None:
        if self._over:
            self._closings.begin(websocket, 1012)
        elif websocket not in self._clients:
            outlet = self._clients[websocket] = _Outlet(websocket)
            outlet.writer = asyncio.create_task(self._write(outlet))
            if self.enable_heartbeat and self._heartbeat is None:
                self._heartbeat = asyncio.create_task(self._beat())

    async def remove_client(self, websocket: Any) -> None:
        self._take_out(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        self._history.remember(event)
        for outlet in list(self._clients.values()):
            self._put(outlet, text)
        # A publisher in a loop lets the writers have their turns.
        await asyncio.sleep(0)

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return self._history.of(agent_name)

    async def shutdown(self) -> None:
        self._over = True
        for websocket in list(self._clients):
            self._take_out(websocket)
            self._closings.begin(websocket, 1012)
        await self._closings.wait()

    def _put(self, outlet: _Outlet, message: Any) -> None:
        outlet.waiting.append(message)
        outlet.waiting_bytes += len(message)
        outlet.news.set()
        if asyncio.get_running_loop().time() > outlet.busy_since and (
            len(outlet.waiting) > MOST_MESSAGES or outlet.waiting_bytes > MOST_BYTES
        ):
            self._drop(outlet, BufferError(f"{len(outlet.waiting)} messages wait for it"))

    async def _write(self, outlet: _Outlet) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not outlet.waiting:
                outlet.news.clear()
                await outlet.news.wait()
            message = outlet.waiting.popleft()
            send = outlet.socket.send_text if isinstance(message, str) else outlet.socket.send_json
            outlet.busy_since = loop.time()
            error = await attempt(send(message))
            outlet.busy_since = float("inf")
            outlet.waiting_bytes -= len(message)
            if error is not None:
                self._drop(outlet, error)
                return

    def _drop(self, outlet: _Outlet, error: BaseException) -> None:
        if self._clients.get(outlet.socket) is outlet:
            self._take_out(outlet.socket)
            self._closings.evict(outlet.socket, error)

    def _take_out(self, websocket: Any) -> None:
        outlet = self._clients.pop(websocket, None)
        if (
            outlet is not None
            and outlet.writer is not None
            and outlet.writer is not asyncio.current_task()
        ):
            outlet.writer.cancel()
        if not self._clients and self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for outlet in list(self._clients.values()):
                self._put(outlet, ping())
