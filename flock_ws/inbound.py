"""What a client may say: how often, and what counts against it."""

from collections import Counter
from typing import Final

__all__ = ["REFUSALS", "Budget", "Refusals", "refusals"]

REFUSALS: Final = (
    "host",
    "origin",
    "token",
    "full",
    "body",
    "inbound_bytes",
    "inbound_rate",
    "handshake",
    "handshake_timeout",
    "answer_timeout",
)
"""Why somebody was turned away or dropped at the doors."""

Refusals = Counter[str]
"""How many of each of `REFUSALS` there were."""


def refusals() -> Refusals:
    """Return a count of nobody, which names every reason."""
    return Counter(dict.fromkeys(REFUSALS, 0))


class Budget:
    """A token bucket: so many a second, and up to one second's worth at once (at least one).

    It reads no clock: the caller says what time it is.

    Args:
        rate: how many a second.
        now: loop time.
    """

    __slots__ = ("_left", "_most", "_rate", "_time")

    def __init__(self, rate: float, *, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._time = now

    def spend(self, count: int, *, now: float) -> bool:
        """Take `count` out; return whether there was as much.

        What was not there is not taken: who keeps to the rate afterwards is within it again.
        """
        self._left = min(self._most, self._left + (now - self._time) * self._rate)
        self._time = now
        if count > self._left:
            return False
        self._left -= count
        return True
