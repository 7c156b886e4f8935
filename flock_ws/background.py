"""Background: work that nobody waits for; it is held until it is done."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from flock_ws.statistics import Eviction

__all__ = ["Background"]

logger = logging.getLogger("flock_ws.manager")


class Background:
    """Tasks on the running loop. What `on_evict` raises is logged, and harms nobody."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin with the loop's next turn."""
        # Not create_task: an eager task factory would run it on the way of a delivery.
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), name="flock-ws background")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, hook: Callable[[Eviction], object], eviction: Eviction) -> None:
        """Call `on_evict`; go on in the background if it is async."""
        try:
            result = hook(eviction)
        except Exception:
            logger.exception("on_evict raised for %s", eviction.client)
            return
        if inspect.isawaitable(result):
            self.start(_wait_for(result, eviction.client))


async def _wait_for(result: Any, client: str) -> None:
    try:
        await result
    except Exception:
        logger.exception("on_evict raised for %s", client)
