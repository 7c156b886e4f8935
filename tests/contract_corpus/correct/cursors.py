"""A log and a cursor: each event is kept once, and every client has a place in the log."""

import asyncio
from collections import deque
from typing import Any, ClassVar

from .bounded import MOST_BYTES, MOST_MESSAGES, Closings, History, attempt, ping

__all__ = ["LogManager"]


class _Reader:
    def __init__(self, socket: Any, *, at: int) -> None:
        self.socket = socket
        self.at = at
        self.ping_due = False
        self.gone = False
        self.busy_since = float("inf")
        self.waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def reach(self, number: int) -> None:
        if self.at < number and not self.gone:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters.append((number, reached))
            await reached

    def tell(self) -> None:
        """Wake who waited for this place; numbers only grow, so they wait in order."""
        while self.waiters and (self.gone or self.waiters[0][0] <= self.at):
            reached = self.waiters.popleft()[1]
            if not reached.done():
                reached.set_result(None)


class LogManager:
    """Appends to one log; each client follows it at its own pace, from where it joined."""

    PROFILE: ClassVar = {
        "history_limit": 1_000,
        "history_agents": 1_000,
        "history_sendable_only": True,
    }

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self.clients: dict[Any, _Reader] = {}
        self._log: deque[tuple[str, int]] = deque()
        self._first = 0
        self._bytes = 0
        self._history = History()
        self._closings = Closings()
        self._heartbeat: asyncio.Task[None] | None = None
        self._over = False

    @property
    def _end(self) -> int:
        return self._first + len(self._log)

    async def add_client(self, websocket: Any) -> None:
        if self._over:
            self._closings.begin(websocket, 1012)
            return
        if websocket not in self.clients:
            reader = self.clients[websocket] = _Reader(websocket, at=self._end)
            reader.task = asyncio.create_task(self._follow(reader))
        if self.enable_heartbeat and self._heartbeat is None:
            self._heartbeat = asyncio.create_task(self._beat())

    async def remove_client(self, websocket: Any) -> None:
        self._take_out(websocket)

    def publish(self, event: Any) -> int:
        """Append an event, and return the place in the log after it."""
        text = event.model_dump_json()
        self._history.remember(event)
        self._bytes += len(text)
        self._log.append((text, self._bytes))
        end, now = self._end, asyncio.get_running_loop().time()
        for reader in list(self.clients.values()):
            if reader.busy_since < now and self._lags(reader):
                self._drop(reader, BufferError(f"it is {end - reader.at} events behind"))
            reader.news.set()
        self._trim()
        return end

    async def broadcast(self, event: Any) -> None:
        end = self.publish(event)
        await asyncio.gather(*(reader.reach(end) for reader in list(self.clients.values())))

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return self._history.of(agent_name)

    async def shutdown(self) -> None:
        self._over = True
        for websocket in list(self.clients):
            self._take_out(websocket)
            self._closings.begin(websocket, 1012)
        await self._closings.wait()

    def _lags(self, reader: _Reader) -> bool:
        behind = self._end - reader.at
        if behind < 2:  # the one in flight does not count
            return False
        return (
            behind > MOST_MESSAGES
            or self._bytes - self._log[reader.at - self._first][1] > MOST_BYTES
        )

    async def _follow(self, reader: _Reader) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while reader.at == self._end and not reader.ping_due:
                reader.news.clear()
                await reader.news.wait()
            pinging, reader.ping_due = reader.ping_due, False
            reader.busy_since = loop.time()
            if pinging:
                error = await attempt(reader.socket.send_json(ping()))
            else:
                error = await attempt(
                    reader.socket.send_text(self._log[reader.at - self._first][0])
                )
            reader.busy_since = float("inf")
            if error is not None:
                self._drop(reader, error)
                return
            if not pinging:
                reader.at += 1
                reader.tell()
                self._trim()

    def _trim(self) -> None:
        needed = min((reader.at for reader in self.clients.values()), default=self._end)
        while self._first < needed:
            self._log.popleft()
            self._first += 1

    def _drop(self, reader: _Reader, error: BaseException) -> None:
        if not reader.gone:
            self._take_out(reader.socket)
            self._closings.evict(reader.socket, error)

    def _take_out(self, websocket: Any) -> None:
        reader = self.clients.pop(websocket, None)
        if reader is not None:
            reader.gone = True
            reader.tell()
            if reader.task is not None and reader.task is not asyncio.current_task():
                reader.task.cancel()
        self._trim()
        if not self.clients and self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for reader in list(self.clients.values()):
                reader.ping_due = True
                reader.news.set()
