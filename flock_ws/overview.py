"""Overview: a manager at a glance, for who looks often.

`Statistics` tells about every client, which for 10 000 of them takes 40 ms, and three times as
long as JSON. Whoever looks several times a second wants the totals and the few clients that are
furthest behind: one pass over the pool, half a millisecond while nobody is behind.
"""

import dataclasses
import heapq
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flock_ws.log import BroadcastLog
from flock_ws.outbox import Outbox
from flock_ws.statistics import Eviction, Lag

__all__ = ["BEHIND_AFTER", "Lane", "Overview", "look"]

BEHIND_AFTER = 0.25
"""Seconds that something has waited for a client before it counts as behind."""

_EVICTIONS = 30
_AGENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One client of the pool, as much of it as one line shows.

    Attributes:
        name: as given on joining; two clients may share it.
        joined_at: loop time.
        delivered: sends of events that completed.
        busy: whether a send did not complete at once and is still in flight.
        lag: what it has not taken yet.
        waiting: seconds for which its oldest event, or the question what it has taken, is waiting.
        accepted_bytes: bytes of events that its sends took over, from a beginning of its own.
        buffered_bytes: sent and not taken by the peer's kernel; None where the server tells none.
        round_trip: seconds that the last acknowledgement took; None where none was asked for.
    """

    name: str
    joined_at: float
    delivered: int
    busy: bool
    lag: Lag
    waiting: float
    accepted_bytes: int
    buffered_bytes: int | None
    round_trip: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A manager at one moment.

    Attributes:
        time: loop time.
        clients: clients in the pool.
        behind: those for whom something has waited `BEHIND_AFTER` seconds or longer.
        lanes: the clients furthest behind, then those who joined first; not all of them.
        published: events published, with or without clients.
        delivered: sends of events that completed, over all clients.
        joined: clients that ever joined.
        left: clients that were removed without being evicted.
        evicted: evictions by reason.
        closing: evicted clients whose socket is not gone yet.
        evictions: the last few evictions, oldest first.
        round_trip: the median of all clients' last acknowledgements, in seconds; None without any.
        worst_round_trip: the longest of them.
        agents: how many agents are remembered.
        history: remembered events of the agents with the most of them, most first.
        remembered: remembered events of all agents.
    """

    time: float
    clients: int
    behind: int
    lanes: tuple[Lane, ...]
    published: int
    delivered: int
    joined: int
    left: int
    evicted: Mapping[str, int]
    closing: int
    evictions: tuple[Eviction, ...]
    round_trip: float | None
    worst_round_trip: float | None
    agents: int
    history: Mapping[str, int]
    remembered: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in {"lanes", "evicted", "evictions", "history"}
        }
        return {
            **plain,
            "lanes": [dataclasses.asdict(lane) for lane in self.lanes],
            "evicted": dict(self.evicted),
            "evictions": [eviction.as_dict() for eviction in self.evictions],
            "history": dict(self.history),
        }


def look(
    outboxes: Collection[Outbox],
    log: BroadcastLog,
    *,
    lanes: int,
    now: float,
    history: Mapping[str, int],
    evictions: tuple[Eviction, ...],
    **totals: Any,
) -> Overview:
    """Take an overview.

    Args:
        outboxes: every client's, in order of joining.
        log: what they stand in.
        lanes: how many clients to tell about.
        now: loop time.
        history: how many events are remembered, by agent.
        evictions: oldest first; the last few are taken.
        totals: `Overview`'s fields that nothing needs to be computed for.
    """
    behind = []
    times = []
    end = log.end
    for outbox in outboxes:
        if outbox.round_trip is not None:
            times.append(outbox.round_trip)
        if outbox.number < end or outbox.asked is not None:
            waiting = _waiting(outbox, log, now=now)
            if waiting >= BEHIND_AFTER:
                behind.append((waiting, outbox))
    worst = [box for _, box in heapq.nlargest(lanes, behind, key=lambda pair: pair[0])]
    shown = {id(box) for box in worst}
    others = (box for box in outboxes if id(box) not in shown)
    while len(worst) < lanes and (other := next(others, None)) is not None:
        worst.append(other)
    most = heapq.nlargest(_AGENTS, history.items(), key=lambda pair: pair[1])
    return Overview(
        time=now,
        clients=len(outboxes),
        behind=len(behind),
        lanes=tuple(_lane(box, log, now=now) for box in worst),
        published=end,
        evictions=evictions[-_EVICTIONS:],
        round_trip=statistics.median(times) if times else None,
        worst_round_trip=max(times, default=None),
        agents=len(history),
        history=dict(most),
        remembered=sum(history.values()),
        **totals,
    )


def _waiting(outbox: Outbox, log: BroadcastLog, *, now: float) -> float:
    unsent = now - log[outbox.number].time if outbox.number < log.end else 0.0
    unanswered = now - outbox.asked_at if outbox.asked is not None else 0.0
    return max(unsent, unanswered)


def _lane(outbox: Outbox, log: BroadcastLog, *, now: float) -> Lane:
    lag = log.lag(outbox.number, now=now)
    direct = outbox.direct
    return Lane(
        name=outbox.name,
        joined_at=outbox.joined_at,
        delivered=outbox.delivered,
        busy=outbox.busy,
        lag=lag,
        waiting=_waiting(outbox, log, now=now),
        accepted_bytes=log.end_bytes - lag.bytes,
        buffered_bytes=direct.buffered_bytes if direct is not None else None,
        round_trip=outbox.round_trip,
    )
