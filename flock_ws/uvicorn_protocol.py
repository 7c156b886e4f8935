"""uvicorn's sans-IO WebSocket protocol, with one thing more: the manager can abort a connection.

Pass it as ``uvicorn.run(app, ws=FlockWebSocketProtocol)``; `flock-ws serve` does. Reads, limits
and the whole of the protocol stay uvicorn's own. Without it an evicted peer that does not read
keeps its socket, its endpoint task and its buffers for as long as it likes: uvicorn closes a
connection only once its buffer is flushed.
"""

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from flock_ws.closing import EXTENSION

if TYPE_CHECKING:
    from flock_ws.closing import Connection

__all__ = ["FlockWebSocketProtocol"]


class FlockWebSocketProtocol(WebSocketsSansIOProtocol):
    """Offers itself to the manager as a `Connection` in ``scope["extensions"]["flock_ws"]``."""

    lost = False
    _lost_waiters: tuple[asyncio.Future[None], ...] = ()

    def handle_connect(self, event: Request) -> None:
        """Put the extension into the scope before the application runs."""
        super().handle_connect(event)
        # uvicorn makes the scope, then a task for the application: that has not begun yet.
        if hasattr(self, "scope"):
            connection: Connection = self
            self.scope["extensions"][EXTENSION] = {"connection": connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone, and tell who waits for it."""
        self.lost = True
        super().connection_lost(exc)
        for waiter in self._lost_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._lost_waiters = ()

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent."""
        if not self.lost:
            self.transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        if not self.lost:
            waiter = self.loop.create_future()
            self._lost_waiters += (waiter,)
            await waiter
