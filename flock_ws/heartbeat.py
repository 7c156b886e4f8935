"""Heartbeat: one task that pings, and that nothing it calls ever waits for."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

__all__ = ["Heartbeat", "is_pong"]

_LONGEST_PONG = 1_000
"""A longer message is no pong: what a client sends is not parsed at any size."""


class Heartbeat:
    """Holds the task of a heartbeat: at most one runs.

    Attributes:
        task: the running task, or None. May be set by anybody, as on the original manager.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Whether a heartbeat task is there and has not ended."""
        return self.task is not None and not self.task.done()

    def start(self, beat: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start `beat()` as a task, if none runs."""
        if not self.running:
            self.task = asyncio.get_running_loop().create_task(beat(), name="flock-ws heartbeat")

    def cancel(self) -> None:
        """Let go of the task and cancel it."""
        task, self.task = self.task, None
        if task is not None and not task.done():
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """Cancel the task and wait for its end; safe to call from the task itself."""
        self.cancel()
        if ending := self._ending - {_current_task()}:
            await asyncio.wait(ending)

    async def run(
        self,
        *,
        interval: Callable[[], float],
        jitter: float,
        alive: Callable[[], bool],
        ping_all: Callable[[], Awaitable[object]],
    ) -> None:
        """Ping at every interval while `alive()`; the rhythm does not drift with slow pings.

        Args:
            interval: gives the seconds between two beats, asked anew each time.
            jitter: each beat comes up to this many seconds late, at random.
            alive: asked before each wait and before each beat.
            ping_all: pings everybody; must not raise, and must be bounded.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while alive():
                due = max(due + interval(), loop.time())
                late = random.uniform(0, jitter) if jitter else 0.0
                await asyncio.sleep(max(0.0, due + late - loop.time()))
                if alive():
                    await ping_all()
        finally:
            if self.task is asyncio.current_task():
                self.task = None


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


def is_pong(message: str | bytes | Mapping[str, Any]) -> bool:
    """Tell whether a client's message answers an application ping."""
    if isinstance(message, Mapping):
        return message.get("type") == "pong"
    if len(message) > _LONGEST_PONG:
        return False
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):  # a thousand brackets are deep enough
        return False
    return isinstance(said, dict) and said.get("type") == "pong"
