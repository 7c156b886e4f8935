"""What each client was like over time, computed from the entries of a trace."""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["STATES", "Span", "lanes"]

STATES = ("healthy", "lagging", "stalled", "left", "evicted")
"""The states of a client; of several that hold, the last in this order is the one that counts.

* ``healthy``: none of the others;
* ``lagging``: a send to it waits;
* ``stalled``: it does not read;
* ``left``: out of the pool by the application, and its connection has not ended;
* ``evicted``: out of the pool by the manager, and its connection has not ended.

A lane ends with the connection, as the client saw it. One that is ``left`` or ``evicted`` to the
end is that of a zombie.
"""

# What an entry makes begin or end.
_BEGINS = {"blocked": "lagging", "stalled": "stalled", "left": "left", "evicted": "evicted"}
_ENDS = {"unblocked": "lagging", "resumed": "stalled"}
_OF_CLIENTS = {*_BEGINS, *_ENDS, "joined", "received", "close_called", "ended"}


class Span(NamedTuple):
    """A time in which a client was in one state."""

    start: float
    end: float
    state: str


class _Lane:
    def __init__(self, start: float) -> None:
        self.start = start
        self.holding: set[str] = set()
        self.spans: list[Span] = []
        self.ended = False

    @property
    def state(self) -> str:
        return next((state for state in reversed(STATES) if state in self.holding), "healthy")

    def cut(self, time: float) -> None:
        if time > self.start:
            self.spans.append(Span(self.start, time, self.state))
            self.start = time

    def change(self, what: str, time: float) -> None:
        before = self.state
        after = set(self.holding)
        if what == "joined":
            after -= {"left", "evicted"}
        elif what in _BEGINS:
            after.add(_BEGINS[what])
        elif what in _ENDS:
            after.discard(_ENDS[what])
        held, self.holding = self.holding, after
        if self.state != before:
            self.holding = held
            self.cut(time)
            self.holding = after


def lanes(
    entries: Iterable[tuple[float, str, str, object]], *, until: float | None = None
) -> dict[str, list[Span]]:
    """Return the spans of each client, in order of appearance.

    Args:
        entries: those of a trace, in order of time.
        until: where spans end that have not ended; the time of the last entry by default.
    """
    found: dict[str, _Lane] = {}
    time = 0.0
    for time, who, what, _ in entries:
        if what not in _OF_CLIENTS:
            continue
        lane = found.get(who)
        if lane is None:
            lane = found[who] = _Lane(time)
        if lane.ended:
            continue
        if what == "ended":
            lane.cut(time)
            lane.ended = True
        elif what != "received":
            lane.change(what, time)
    end = time if until is None else until
    for lane in found.values():
        if not lane.ended:
            lane.cut(end)
    return {who: lane.spans for who, lane in found.items()}
