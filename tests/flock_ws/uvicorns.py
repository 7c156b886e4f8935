"""A uvicorn for the tests over real TCP, and waiting for what nobody announces."""

import asyncio
import contextlib
import socket
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


class _PromptServer(uvicorn.Server):
    """Ends at once: uvicorn looks ten times a second whether it should, and then waits as long."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # as uvicorn calls it
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        while self.server_state.connections:  # noqa: ASYNC110  # each is gone in the next turn
            await asyncio.sleep(0)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def running(app: Any, **options: Any) -> AsyncIterator[Running]:
    """Run uvicorn on this loop; at the end it aborts every connection, and does not wait."""
    quiet = {"lifespan": "off", "log_level": "critical", "ws_ping_interval": None}
    server = _PromptServer(uvicorn.Config(app, **{**quiet, **options}))
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110  # it tells no other way
                await asyncio.sleep(0)
            if serving.done():
                serving.result()
            yield Running(server, listener.getsockname()[1])
        finally:
            server.over.set()
            await serving


async def until(condition: Callable[[], object], limit: float) -> None:
    """Wait for a condition that has no event here, in turns of the loop."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110  # that is what it is for
            await asyncio.sleep(0)
