"""A chain for each client: every send waits for the link before it, and none for another chain."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar

from .bounded import MOST_BYTES, Closings, attempt, ping

__all__ = ["ChainManager"]


class _Chain:
    def __init__(self) -> None:
        self.last: asyncio.Task[None] | None = None
        self.waiting_bytes = 0
        self.busy_since = float("inf")


async def _ping(socket: Any) -> None:
    await socket.send_json(ping())


class ChainManager:
    """Remembers nothing. Its `stop()` ends it; names and numbers as somebody else would choose."""

    PROFILE: ClassVar = {"on_return": "accepted"}

    def __init__(self, *, ping_interval: float | None = None) -> None:
        self.ping_interval = ping_interval
        self.connections: dict[Any, _Chain] = {}
        self._closings = Closings()
        self._pinging: asyncio.Task[None] | None = None
        self._stopped = False

    def register(self, websocket: Any) -> None:
        if self._stopped:
            self._closings.begin(websocket, 1012)
            return
        self.connections.setdefault(websocket, _Chain())
        if self.ping_interval is not None and self._pinging is None:
            self._pinging = asyncio.create_task(self._ping_all(self.ping_interval))

    def unregister(self, websocket: Any) -> None:
        self.connections.pop(websocket, None)
        if not self.connections and self._pinging is not None:
            self._pinging.cancel()
            self._pinging = None

    async def publish(self, event: Any) -> None:
        text = event if isinstance(event, str) else event.model_dump_json()
        for socket, chain in list(self.connections.items()):
            self._link(socket, chain, partial(socket.send_text, text), len(text))
        # A publisher in a loop lets the chains have their turns.
        await asyncio.sleep(0)

    async def stop(self) -> None:
        self._stopped = True
        for socket in list(self.connections):
            self.unregister(socket)
            self._closings.begin(socket, 1012)
        await self._closings.wait()

    def _link(
        self,
        socket: Any,
        chain: _Chain,
        send: Callable[[], Coroutine[Any, Any, None]],
        size: int,
    ) -> "asyncio.Task[None]":
        chain.waiting_bytes += size
        link = asyncio.create_task(self._send(socket, chain, chain.last, send, size))
        chain.last = link
        late = chain.busy_since < asyncio.get_running_loop().time()
        if late and chain.waiting_bytes > MOST_BYTES:
            self._drop(socket, chain, BufferError(f"{chain.waiting_bytes} bytes wait for it"))
        return link

    async def _send(
        self,
        socket: Any,
        chain: _Chain,
        before: "asyncio.Task[None] | None",
        send: Callable[[], Coroutine[Any, Any, None]],
        size: int,
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        if self.connections.get(socket) is chain:
            chain.busy_since = asyncio.get_running_loop().time()
            error = await attempt(send())
            chain.busy_since = float("inf")
            if error is not None:
                self._drop(socket, chain, error)
        chain.waiting_bytes -= size
        if chain.last is asyncio.current_task():
            chain.last = None

    def _drop(self, socket: Any, chain: _Chain, error: BaseException) -> None:
        if self.connections.get(socket) is chain:
            self.unregister(socket)
            self._closings.evict(socket, error)

    async def _ping_all(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            for socket, chain in list(self.connections.items()):
                self._link(socket, chain, partial(_ping, socket), 0)
