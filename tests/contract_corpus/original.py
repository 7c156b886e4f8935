"""The dashboard's manager after its description, with the faults that are listed at its end.

Written after the description, not copied: it keeps what the description promises and breaks what
its last section says the original breaks.
"""

import asyncio
import inspect
from collections import defaultdict, deque
from contextlib import suppress
from typing import Any

from flock_ws.events import StreamingOutputEvent

__all__ = ["WebSocketManager"]

_SEND_TIMEOUT = 0.5
_HISTORY = 128_344


class WebSocketManager:
    """Gathers bounded sends; does not close whom it drops, and bounds neither pings nor closes."""

    def __init__(self, heartbeat_interval: int = 120, enable_heartbeat: bool = False) -> None:
        self.clients: set[Any] = set()
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self._heartbeat_task: asyncio.Task[None] | None = None
        self._shutdown = False
        self._streaming_history: defaultdict[str, deque[StreamingOutputEvent]] = defaultdict(
            lambda: deque(maxlen=_HISTORY)
        )

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)
        if self.enable_heartbeat and self._heartbeat_task is None and not self._shutdown:
            await self.start_heartbeat()

    async def remove_client(self, websocket: Any) -> None:
        self.clients.discard(websocket)
        if not self.clients and self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._heartbeat_task
            self._heartbeat_task = None

    async def broadcast(self, event: Any) -> None:
        if isinstance(event, StreamingOutputEvent):
            self._streaming_history[event.agent_name].append(event)
        if not self.clients:
            return
        text = event.model_dump_json()
        clients = list(self.clients)
        sends = [asyncio.wait_for(client.send_text(text), _SEND_TIMEOUT) for client in clients]
        results = await asyncio.gather(*sends, return_exceptions=True)
        for client, result in zip(clients, results, strict=True):
            if isinstance(result, Exception):
                self.clients.discard(client)

    async def start_heartbeat(self) -> None:
        if self.enable_heartbeat and self._heartbeat_task is None and not self._shutdown:
            self._heartbeat_task = asyncio.create_task(self._heartbeat_loop())

    async def _heartbeat_loop(self) -> None:
        while not self._shutdown and self.clients:
            await asyncio.sleep(self.heartbeat_interval)
            pings = [self._ping_client(client) for client in list(self.clients)]
            await asyncio.gather(*pings, return_exceptions=True)

    async def _ping_client(self, client: Any) -> None:
        try:
            now = asyncio.get_running_loop().time()
            await client.send_json({"type": "ping", "timestamp": now})
        except Exception:
            await self.remove_client(client)

    async def shutdown(self) -> None:
        self._shutdown = True
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._heartbeat_task
            self._heartbeat_task = None
        closes = [self._close(client) for client in list(self.clients)]
        await asyncio.gather(*closes, return_exceptions=True)
        self.clients.clear()

    async def _close(self, client: Any) -> None:
        close = getattr(client, "close", None)
        if close is not None and inspect.isawaitable(closing := close()):
            await closing

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(self._streaming_history.get(agent_name, ()))
