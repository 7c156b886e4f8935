"""What the correct managers share: sends and closes that end in time, whatever a socket does."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from flock_ws.events import StreamingOutputEvent

__all__ = ["MOST_BYTES", "MOST_MESSAGES", "Closings", "History", "attempt", "ping"]

_SEND_TIMEOUT = 0.5
_CLOSE_TIMEOUT = 1.0
MOST_MESSAGES = 10_000
MOST_BYTES = 4_000_000

logger = logging.getLogger("correct")


async def attempt(sending: Coroutine[Any, Any, None]) -> BaseException | None:
    """Send within the deadline; return what went wrong. A send that cannot be cancelled is left."""
    task = asyncio.create_task(sending)
    try:
        await asyncio.wait({task}, timeout=_SEND_TIMEOUT)
    finally:
        if late := not task.done():
            task.cancel()
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
    if late:
        return TimeoutError(f"a send took longer than {_SEND_TIMEOUT} s")
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def ping() -> dict[str, Any]:
    return {"type": "ping", "timestamp": asyncio.get_running_loop().time()}


class Closings:
    """Closes sockets in the background, and says why in the log."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def evict(self, socket: Any, error: BaseException) -> None:
        logger.warning("evicted %r: %r", socket, error)
        self.begin(socket, 1013, "too slow, or broken")

    def begin(self, socket: Any, code: int, reason: str = "shutdown") -> None:
        task = asyncio.create_task(self._close(socket, code, reason))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _close(self, socket: Any, code: int, reason: str) -> None:
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                # A send that was cancelled a moment ago ends first.
                await asyncio.sleep(0)
                await socket.close(code=code, reason=reason)

    async def wait(self) -> None:
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=2 * _CLOSE_TIMEOUT)


class History:
    """The newest events of each agent, and of the newest agents."""

    def __init__(self, *, events: int = 1_000, agents: int = 1_000) -> None:
        self._most_events = events
        self._most_agents = agents
        self._agents: dict[str, deque[StreamingOutputEvent]] = {}

    def remember(self, event: Any) -> None:
        if not isinstance(event, StreamingOutputEvent):
            return
        if event.agent_name not in self._agents:
            while len(self._agents) >= self._most_agents:
                del self._agents[next(iter(self._agents))]
            self._agents[event.agent_name] = deque(maxlen=self._most_events)
        self._agents[event.agent_name].append(event)

    def of(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(self._agents.get(agent_name, ()))
