"""Deadlines: many waits of equal length, one timer."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Deadlines"]

_TURN = 0.005

_T = TypeVar("_T", bound=Hashable)


class Deadlines(Generic[_T]):
    """Calls `expired(item)` for each item that was started and not stopped for `duration`.

    All waits are equally long, so they end in the order in which they began and one timer is
    enough. There is no timer while nothing waits. Where many end together the loop's other
    callbacks have their turn every few milliseconds. What `expired` raises goes to the loop, and
    keeps no other item from its end.
    """

    __slots__ = ("_due", "_duration", "_expired", "_loop", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, duration: float, expired: Callable[[_T], None]
    ) -> None:
        self._loop = loop
        self._duration = duration
        self._expired = expired
        # A plain dict looks for its first item among all that were taken from its front.
        self._due: OrderedDict[_T, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, item: _T) -> bool:
        """Tell whether the item waits."""
        return item in self._due

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._due)

    def items(self) -> list[_T]:
        """Return what waits, the one that began first at the front."""
        return list(self._due)

    def start(self, item: _T) -> None:
        """Begin the item's wait, or begin it anew."""
        self._due.pop(item, None)
        due = self._due[item] = self._loop.time() + self._duration
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._fire)

    def stop(self, item: _T) -> None:
        """End the item's wait; no error if it does not wait."""
        if self._due.pop(item, None) is not None and not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clear(self) -> None:
        """End every wait."""
        for item in self.items():
            self.stop(item)

    def _fire(self) -> None:
        # While it stays in its place no new timer is set for what is started in here: that would
        # end later than what waits already.
        fired = self._timer
        now = self._loop.time()
        try:
            while self._due and self._loop.time() <= now + _TURN:
                item, due = next(iter(self._due.items()))
                if due > now:
                    break
                del self._due[item]
                self._expired(item)
        finally:
            if self._timer is fired:
                self._timer = None
                if self._due:
                    first = next(iter(self._due.values()))
                    self._timer = self._loop.call_at(first, self._fire)
