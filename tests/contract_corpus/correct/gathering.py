"""Gather with deadlines: every send is a task; a lock for each client keeps them apart."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar

from .bounded import MOST_BYTES, MOST_MESSAGES, Closings, History, attempt, ping

__all__ = ["GatheringManager"]


class _Seat:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.turn = asyncio.Lock()
        self.waiting = 0
        self.waiting_bytes = 0
        self.busy_since = float("inf")
        self.gone = False


async def _ping(socket: Any) -> None:
    await socket.send_json(ping())


class GatheringManager:
    """Gathers bounded sends; an `asyncio.Lock` for each client lets one through at a time."""

    PROFILE: ClassVar = {
        "history_limit": 1_000,
        "history_agents": 1_000,
        "history_sendable_only": True,
    }

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self.clients: dict[Any, _Seat] = {}
        self._history = History()
        self._closings = Closings()
        self._sends: set[asyncio.Task[None]] = set()
        self._heartbeat: asyncio.Task[None] | None = None
        self._over = False

    async def add_client(self, websocket: Any) -> None:
        if self._over:
            self._closings.begin(websocket, 1012)
            return
        if websocket not in self.clients:
            self.clients[websocket] = _Seat(websocket)
        if self.enable_heartbeat and (self._heartbeat is None or self._heartbeat.done()):
            self._heartbeat = asyncio.create_task(self._beat())

    async def remove_client(self, websocket: Any) -> None:
        self._take_out(websocket)

    def publish(self, event: Any) -> list["asyncio.Task[None]"]:
        """Start the sends of an event; nobody has to wait for them."""
        text = event.model_dump_json()
        self._history.remember(event)
        return [
            self._start(seat, partial(seat.socket.send_text, text), len(text))
            for seat in list(self.clients.values())
        ]

    async def broadcast(self, event: Any) -> None:
        if sends := self.publish(event):
            await asyncio.wait(sends)

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return self._history.of(agent_name)

    async def shutdown(self) -> None:
        self._over = True
        for websocket in list(self.clients):
            self._take_out(websocket)
            self._closings.begin(websocket, 1012)
        await self._closings.wait()

    def _start(
        self, seat: _Seat, send: Callable[[], Coroutine[Any, Any, None]], size: int
    ) -> "asyncio.Task[None]":
        seat.waiting += 1
        seat.waiting_bytes += size
        task = asyncio.create_task(self._deliver(seat, send, size))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)
        if asyncio.get_running_loop().time() > seat.busy_since and (
            seat.waiting > MOST_MESSAGES or seat.waiting_bytes > MOST_BYTES
        ):
            self._drop(seat, BufferError(f"{seat.waiting} messages wait for it"))
        return task

    async def _deliver(
        self, seat: _Seat, send: Callable[[], Coroutine[Any, Any, None]], size: int
    ) -> None:
        try:
            async with seat.turn:
                if seat.gone:
                    return
                seat.busy_since = asyncio.get_running_loop().time()
                error = await attempt(send())
                seat.busy_since = float("inf")
                if error is not None:
                    self._drop(seat, error)
        finally:
            seat.waiting -= 1
            seat.waiting_bytes -= size

    def _drop(self, seat: _Seat, error: BaseException) -> None:
        if not seat.gone:
            self._take_out(seat.socket)
            self._closings.evict(seat.socket, error)

    def _take_out(self, websocket: Any) -> None:
        seat = self.clients.pop(websocket, None)
        if seat is not None:
            seat.gone = True
        if not self.clients and self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for seat in list(self.clients.values()):
                self._start(seat, partial(_ping, seat.socket), 0)
