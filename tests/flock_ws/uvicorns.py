"""A uvicorn for the tests over real TCP, and waiting for what nobody announces."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import uvicorn

from flock_ws.server import listening_socket

__all__ = ["Running", "running", "until"]


@dataclass(frozen=True)
class Running:
    """A server that accepts connections."""

    server: uvicorn.Server
    port: int

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}/ws"


@contextlib.asynccontextmanager
async def running(app: Any, **options: Any) -> AsyncIterator[Running]:
    """Run uvicorn on this loop; at the end it aborts every connection, and does not wait."""
    quiet = {"lifespan": "off", "log_level": "critical", "ws_ping_interval": None}
    server = uvicorn.Server(uvicorn.Config(app, **{**quiet, **options}))
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110  # it tells no other way
                await asyncio.sleep(0)
            if serving.done():
                serving.result()
            yield Running(server, listener.getsockname()[1])
        finally:
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            server.should_exit = True
            await serving


async def until(condition: Callable[[], object], limit: float) -> None:
    """Wait for a condition that has no event here, in turns of the loop."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110  # that is what it is for
            await asyncio.sleep(0)
