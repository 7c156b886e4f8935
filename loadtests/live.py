"""A run while it lasts, as everything live shows it: kept, thinned out, and turned into charts.

It measures nothing: it keeps what `loadtests.run` tells of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.record import ServerSample
from loadtests.report.series import Chart, Line, Unit

__all__ = ["PARTS", "STATES", "History", "Progress", "Rates", "received"]

STATES = ("connected", "turned", "ended", "left", "failed")
"""What the clients of a cohort can be: behaving, misbehaving, ended by the server, gone by
themselves, never connected."""

PARTS = ("p50", "p95", "p99", "max")
"""What is told of the latency."""

_KEPT = 600
_RECENT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Attributes:
        time: run time.
        clients: connections open at the server, or those that clients hold for open where it
            does not tell.
        received: events of this run; where another publishes and numbers none, all messages.
        p99: of the healthy latency over the last whole seconds.
        blocked: for how long the publication under way has not returned.
        told: what the generator told last: `loadtests.engine.Engine.progress`.
        dropped: by cohort, clients that the server says it has dropped; only of kinds that do not
            come back.
        sample: the server's latest statistics; None where it offers none.
        begins: run time at which publishing begins; None before that is known.
        note: says what just happened, if anything did.
    """

    time: float
    clients: int
    asked: int
    published: int | None
    received: int
    evicted: int | None
    p99: float
    blocked: float
    begins: float | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    sample: ServerSample | None = None
    note: str = ""

    @property
    def cohorts(self) -> dict[str, dict[str, int]]:
        """How many clients of each cohort are in each of the `STATES`.

        Who does not read does not know that it was dropped: of that the server's word counts.
        """
        told: Mapping[str, Mapping[str, int]] = self.told.get("cohorts", {})
        found = {name: {one: states.get(one, 0) for one in STATES} for name, states in told.items()}
        for name, states in found.items():
            unaware = self.dropped.get(name, 0) - states["ended"] - states["left"]
            unaware = max(0, min(unaware, states["connected"]))
            states["connected"] -= unaware
            states["ended"] += unaware
        return found

    def quantile(self, part: str) -> float | None:
        """Return ``p50``, ``p95``, ``p99`` or ``max`` of the last seconds of the healthy."""
        value = self.told.get(part)
        return float(value) if value else None


def received(told: Mapping[str, Any], *, listening: bool) -> int:
    """Return the events that came; all messages, where who publishes them numbers none."""
    events = int(told.get("received", 0))
    return int(told.get("messages", 0)) if listening and not events else events


@dataclass(frozen=True, slots=True)
class Rates:
    """What went by each second; None where it is not known."""

    published: float | None = None
    received: float | None = None
    server_cpu: float | None = None


class History:
    """What was told of a run, from its beginning, in at most 600 points.

    When they are full every second one goes: a long run is kept whole, at a coarser grain.

    Attributes:
        latest: the last of them; None before the first.
        notes: ``(time, text)`` of what happened.
    """

    def __init__(self) -> None:
        self.latest: Progress | None = None
        self.notes: list[tuple[float, str]] = []
        self._kept: list[Progress] = []
        self._rates: list[Rates] = []
        self._grain = 0.0

    def add(self, progress: Progress) -> None:
        """Take what was told."""
        if progress.note:
            self.notes.append((progress.time, progress.note))
        self.latest = progress
        if self._kept and progress.time - self._kept[-1].time < self._grain:
            return
        self._rates.append(self._rates_until(progress))
        self._kept.append(progress)
        if len(self._kept) > _KEPT:
            self._grain = 1.5 * (progress.time - self._kept[0].time) / _KEPT
            self._kept, self._rates = self._kept[::2], self._rates[::2]

    @property
    def rates(self) -> Rates:
        """What goes by now."""
        return self._rates[-1] if self._rates else Rates()

    @property
    def p99s(self) -> list[float | None]:
        """The p99 of the healthy latency, from the beginning."""
        return [one.quantile("p99") for one in self._kept]

    def charts(self) -> tuple[Chart, ...]:
        """Return what there is to draw."""
        kept, rates = self._kept, self._rates
        samples = [one.sample for one in kept]
        found = [
            self._chart(
                "latency",
                "Latency of the healthy",
                "seconds",
                {part: [one.quantile(part) for one in kept] for part in PARTS},
                logarithmic=True,
            ),
            self._chart(
                "rates",
                "Messages each second",
                "per second",
                {
                    "published": [one.published for one in rates],
                    "received": [one.received for one in rates],
                },
            ),
            self._chart("clients", "Clients", "count", self._clients()),
            self._chart(
                "evicted",
                "Dropped by the server",
                "count",
                {"dropped": [_number(one.evicted) for one in kept]},
            ),
            self._chart(
                "lag",
                "Lag of the event loops",
                "seconds",
                {
                    "server": [one.loop_lag if one else None for one in samples],
                    "generator": [_number(one.told.get("lag_p99")) for one in kept],
                },
            ),
            self._chart(
                "cpu",
                "Share of a core",
                "share",
                {
                    "server": [one.server_cpu for one in rates],
                    "generator": [_number(one.told.get("cpu")) for one in kept],
                },
            ),
            self._chart(
                "memory",
                "Memory of the server",
                "bytes",
                {"memory": [_number(one.memory_bytes if one else None) for one in samples]},
            ),
        ]
        return tuple(chart for chart in found if chart.lines)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: what the page of a running test draws."""
        latest = self.latest
        return {
            "end": latest.time if latest else 0.0,
            "charts": [{**chart.to_json(), "live": True} for chart in self.charts()],
            "notes": [f"{time:.0f} s: {note}" for time, note in self.notes],
            "cohorts": latest.cohorts if latest else {},
        }

    def _rates_until(self, progress: Progress) -> Rates:
        before = next(
            (one for one in reversed(self._kept) if progress.time - one.time >= _RECENT),
            self._kept[0] if self._kept else None,
        )
        time = progress.time - before.time if before is not None else 0.0
        if before is None or time <= 0:
            return Rates()

        def rate(old: float | None, new: float | None) -> float | None:
            # A client that reconnects begins to count anew: no rate is below 0.
            return None if old is None or new is None else max(0.0, (new - old) / time)

        one, other = before.sample, progress.sample
        cpu = None
        if one and other and one.cpu_seconds is not None and other.cpu_seconds is not None:
            apart = other.at - one.at
            cpu = (other.cpu_seconds - one.cpu_seconds) / apart if apart > 0 else None
        return Rates(
            rate(before.published, progress.published),
            rate(before.received, progress.received),
            cpu,
        )

    def _clients(self) -> dict[str, list[float | None]]:
        lines: dict[str, list[float | None]] = {
            "connected": [_number(one.clients) for one in self._kept]
        }
        for state in STATES[1:]:
            counts = [
                float(sum(states[state] for states in one.cohorts.values())) for one in self._kept
            ]
            if any(counts):
                lines[state] = list(counts)
        return lines

    def _chart(
        self,
        name: str,
        title: str,
        unit: Unit,
        lines: Mapping[str, list[float | None]],
        *,
        logarithmic: bool = False,
    ) -> Chart:
        return Chart(
            name=name,
            title=title,
            note="",
            unit=unit,
            times=tuple(one.time for one in self._kept),
            lines=tuple(
                Line(name=label, values=tuple(values))
                for label, values in lines.items()
                if any(value is not None for value in values)
            ),
            logarithmic=logarithmic,
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
