"""LoopLag: how long an event loop is kept from its work."""

import asyncio

__all__ = ["LoopLag"]


class LoopLag:
    """How late the loop wakes whom it promised to: the worst of the last one to two seconds."""

    _INTERVAL = 0.05
    _WINDOW = 1.0

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        self._window_ends = 0.0
        self._worst = 0.0
        self._worst_before = 0.0

    def start(self) -> None:
        """Begin to watch the running loop."""
        loop = asyncio.get_running_loop()
        self._worst = self._worst_before = 0.0
        self._window_ends = loop.time() + self._WINDOW
        self._handle = loop.call_later(self._INTERVAL, self._tick, loop)

    def stop(self) -> None:
        """Watch no longer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def read(self) -> float | None:
        """Return seconds, or None where it does not watch."""
        if self._handle is None:
            return None
        overdue = asyncio.get_running_loop().time() - self._handle.when()
        return max(self._worst, self._worst_before, overdue)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        if self._handle is not None:
            self._worst = max(self._worst, now - self._handle.when())
        if now >= self._window_ends:
            self._worst_before, self._worst = self._worst, 0.0
            self._window_ends = now + self._WINDOW
        self._handle = loop.call_later(self._INTERVAL, self._tick, loop)
