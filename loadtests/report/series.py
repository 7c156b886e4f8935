"""What changed over the time of a run, as charts that know neither pixels nor colours."""

import bisect
import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadtests.histogram import Histogram
from loadtests.kinds import KINDS
from loadtests.record import Record, ServerSample

__all__ = [
    "DUE",
    "Chart",
    "Line",
    "Shade",
    "Unit",
    "charts",
    "cohort_names",
    "healthy_names",
    "merged",
    "span",
    "windows",
]

Unit = Literal["seconds", "bytes", "count", "per second", "share"]

DUE = "due to the healthy"
"""The line of the deliveries that says what should have come."""

_POINTS = 600
_WAIT = 8.0
_PARTS = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart; a value is None where nothing was measured."""

    name: str
    values: tuple[float | None, ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A stretch of time with a name: a window of the scenario."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over run time.

    Attributes:
        name: a word that may be an XML id.
        note: how to read it, in a sentence.
        times: where the values are, in seconds of run time, rising.
        shades: windows worth seeing behind the lines.
        marks: moments worth a word.
        logarithmic: whether decades matter more than differences.
    """

    name: str
    title: str
    note: str
    unit: Unit
    times: tuple[float, ...]
    lines: tuple[Line, ...]
    shades: tuple[Shade, ...] = ()
    marks: tuple[tuple[float, str], ...] = ()
    logarithmic: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, with numbers no longer than a picture needs."""
        form = dataclasses.asdict(self)
        form["times"] = [_short(time) for time in self.times]
        for line in form["lines"]:
            line["values"] = [_short(value) for value in line["values"]]
        return form


def charts(record: Record) -> tuple[Chart, ...]:
    """Return every chart for which the run has something to show."""
    hidden = {"all", "baseline"}
    users = {cohort.get("user") for cohort in record.scenario.get("cohorts", ())}
    if not any(KINDS[user].faulty for user in users if user in KINDS):
        hidden.add("faults")
    shades = tuple(
        Shade(name=name, start=start, end=end)
        for name, (start, end) in windows(record).items()
        if name not in hidden and end > start
    )
    marks = _marks(record)
    found = [_latency(record), _deliveries(record), *_server(record), _generator(record)]
    return tuple(
        dataclasses.replace(chart, shades=shades, marks=marks)
        for chart in found
        if any(value is not None for line in chart.lines for value in line.values)
    )


def span(record: Record) -> tuple[float, float]:
    """Return from when to when a run is worth drawing: a wait for its start is not."""
    joined = [one.connected_at for one in record.results.clients if one.connected_at is not None]
    first = min([*joined, record.publishing[0]], default=0.0)
    return (0.0 if first < _WAIT else math.floor(first - 1)), record.ended_at


def cohort_names(record: Record) -> list[str]:
    """Return the cohorts in the order of the scenario, then others that somebody joined."""
    named = [str(cohort["name"]) for cohort in record.scenario.get("cohorts", ())]
    return list(dict.fromkeys([*named, *(client.cohort for client in record.results.clients)]))


def healthy_names(record: Record) -> list[str]:
    """Return the cohorts that behave all the time."""
    return [
        str(cohort["name"])
        for cohort in record.scenario.get("cohorts", ())
        if cohort.get("user") == "viewer"
    ]


def windows(record: Record) -> dict[str, tuple[float, float]]:
    """Return the named stretches of the run, in run time, cut where publishing ended."""
    begin, end = record.publishing
    return {
        str(name): (begin + start, min(begin + stop, end))
        for name, (start, stop) in record.scenario.get("windows", {}).items()
    }


def merged(record: Record, names: Iterable[str], *, step: int = 1) -> dict[int, Histogram]:
    """Return the latencies of some cohorts together, by the first second of each step."""
    together: dict[int, Histogram] = {}
    for name in names:
        for second, histogram in record.results.series.get(name, {}).items():
            together.setdefault(second // step * step, Histogram()).merge(histogram)
    return together


def _latency(record: Record) -> Chart:
    step = _step(record)
    found = merged(record, healthy_names(record), step=step)
    times = _times(found, step)
    each = [found.get(time) for time in times]
    lines = [
        Line(name=name, values=tuple(one.quantile(part) if one else None for one in each))
        for name, part in _PARTS
    ]
    lines.append(Line(name="max", values=tuple(one.maximum if one else None for one in each)))
    return Chart(
        name="latency",
        title="Percentiles of each second",
        note="From when an event was due to when a healthy client had it, by the second in which"
        " it was due. What never came is not in it: see the deliveries.",
        unit="seconds",
        times=tuple(map(float, times)),
        lines=tuple(lines),
        logarithmic=True,
    )


def _deliveries(record: Record) -> Chart:
    step = _step(record)
    cohorts = {name: merged(record, [name], step=step) for name in cohort_names(record)}
    cohorts = {name: found for name, found in cohorts.items() if found}
    seconds = {second for found in cohorts.values() for second in found}
    if record.publisher is not None:
        begin, end = record.publishing
        seconds |= set(range(int(begin) // step * step, math.ceil(end), step))
    times = _times(seconds, step)
    lines = [
        Line(
            name=name,
            values=tuple(found[time].count / step if time in found else 0.0 for time in times),
        )
        for name, found in cohorts.items()
    ]
    if times and record.publisher is not None:
        lines.append(Line(name=DUE, values=_due(record, times, step), dashed=True))
    return Chart(
        name="deliveries",
        title="Deliveries each second",
        note="Events that arrived, by the second in which they were due, whenever they came.",
        unit="per second",
        times=tuple(map(float, times)),
        lines=tuple(lines),
    )


def _due(record: Record, times: Iterable[int], step: int) -> tuple[float, ...]:
    """Return what the healthy clients should have got; the first and last second are not whole."""
    begin, end = record.publishing
    names = set(healthy_names(record))
    joined = [
        max(begin, client.connected_at)
        for client in record.results.clients
        if client.cohort in names and client.connected_at is not None
    ]
    rate = float(record.scenario.get("rate", 0.0))
    return tuple(
        sum(max(0.0, min(end, time + step) - max(join, time)) for join in joined) * rate / step
        for time in times
    )


def _server(record: Record) -> list[Chart]:
    step, samples = _step(record), record.server.samples
    groups: dict[int, list[ServerSample]] = {}
    begins = span(record)[0]
    for sample in samples:
        if sample.at < begins:
            continue
        groups.setdefault(int(sample.at) // step * step, []).append(sample)
    times = _times(groups, step)
    each = [groups.get(time, []) for time in times]

    def chart(name: str, title: str, note: str, unit: Unit, lines: Mapping[str, str]) -> Chart:
        drawn = tuple(
            Line(name=label, values=tuple(_worst(group, field) for group in each))
            for label, field in lines.items()
        )
        kept = tuple(line for line in drawn if any(value is not None for value in line.values))
        whole = tuple(map(float, times))
        return Chart(name=name, title=title, note=note, unit=unit, times=whole, lines=kept)

    return [
        chart(
            "lag",
            "Lag of the server's loop",
            "How late its event loop ran a timer; the worst answer of each second.",
            "seconds",
            {"loop lag": "loop_lag"},
        ),
        chart("memory", "Memory of the server", "Resident.", "bytes", {"memory": "memory_bytes"}),
        chart(
            "pool",
            "Connections at the server",
            "What is connected and not in the pool is being closed, or was forgotten.",
            "count",
            {"connected": "connections", "in the pool": "clients", "tasks": "tasks"},
        ),
        chart(
            "behind",
            "How far the slowest client was behind",
            "The age of the oldest event that it had not taken.",
            "seconds",
            {"behind": "lag_seconds"},
        ),
        chart(
            "history",
            "History at the server",
            "Events that it keeps for those who come later.",
            "count",
            {"events": "history"},
        ),
        Chart(
            name="cpu",
            title="Processor time of the server",
            note="As a share of one core. What it waited for a core it was ready to run: then the"
            " machine was too small for the run.",
            unit="share",
            times=tuple(map(float, times)),
            lines=tuple(
                Line(name=label, values=values)
                for label, field in {"used": "cpu_seconds", "waited": "waited"}.items()
                if any(values := _shares(samples, field, times, step))
            ),
        ),
    ]


def _generator(record: Record) -> Chart:
    step = _step(record)
    lags: dict[int, Histogram] = {}
    for second, histogram in record.results.generator.lags.items():
        lags.setdefault(second // step * step, Histogram()).merge(histogram)
    times = _times(lags, step)
    each = [lags.get(time) for time in times]
    return Chart(
        name="generator",
        title="Lag of the generator's loop",
        note="What it adds to a latency is not the server's.",
        unit="seconds",
        times=tuple(map(float, times)),
        lines=(
            Line(name="p99", values=tuple(one.quantile(0.99) if one else None for one in each)),
            Line(name="max", values=tuple(one.maximum if one else None for one in each)),
        ),
    )


def _worst(group: Iterable[ServerSample], field: str) -> float | None:
    known = [value for sample in group if (value := getattr(sample, field)) is not None]
    return float(max(known)) if known else None


def _shares(
    samples: Iterable[ServerSample], field: str, times: Iterable[int], step: int
) -> tuple[float | None, ...]:
    """Turn seconds that were used up so far into shares of each step."""
    known = [(one.at, value) for one in samples if (value := getattr(one, field)) is not None]
    moments = [at for at, _ in known]
    shares: list[float | None] = []
    for time in times:
        first, last = bisect.bisect_left(moments, time), bisect.bisect_left(moments, time + step)
        # From the last answer before the step to the last one in it.
        whole = known[max(0, first - 1) : last]
        apart = whole[-1][0] - whole[0][0] if last > first else 0.0
        # Two answers a moment apart tell of the clock's grain, not of the load.
        wide = apart >= step / 2
        shares.append(max(0.0, whole[-1][1] - whole[0][1]) / apart if wide else None)
    return tuple(shares)


def _marks(record: Record) -> tuple[tuple[float, str], ...]:
    marks = [(record.server.died_at, "the server was gone")]
    marks.append((record.interrupted_at, "interrupted"))
    return tuple((time, what) for time, what in marks if time is not None)


def _step(record: Record) -> int:
    begins, ends = span(record)
    return max(1, math.ceil((ends - begins) / _POINTS))


def _times(found: Iterable[int], step: int) -> list[int]:
    """Return every step from the first to the last: where nothing was measured is a gap."""
    seconds = sorted(found)
    return list(range(seconds[0], seconds[-1] + 1, step)) if seconds else []


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")
