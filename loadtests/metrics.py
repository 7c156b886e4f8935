"""Every number of a run that a threshold can ask for, by name.

Pure functions of a case. What cannot be known is `Unknown`, never 0.
"""

import contextlib
import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from loadtests import measures
from loadtests.answers import counted, milliseconds, seconds
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.errors import ThresholdError
from loadtests.measures import Asked
from loadtests.scenario import Scenario
from loadtests.thresholds import Reference

__all__ = ["METRICS", "Metric", "Unit", "check", "find", "read", "told", "written"]

Unit = Literal["s", "count", "share", "bytes", "bytes/s", "per second"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number.

    Attributes:
        name: dotted; ``<cohort>`` and ``<code>`` stand for what the scenario and the run hold.
        summary: one line that says what it is.
        unit: of the number.
        windowed: whether it can be asked for a part of the run.
        timed: whether trouble of the generator itself, or a machine without a free core, may
            have broken its limit.
        question: as it is asked of a run; the summary where there is no better one.
        words: how a number that broke its limit is told.
        detail: what is to be said beside the number.
    """

    name: str
    summary: str
    unit: Unit
    read: Callable[[Asked], float] = field(repr=False)
    windowed: bool = False
    timed: bool = False
    question: str = ""
    words: str = ""
    detail: Callable[[Asked], str] | None = field(default=None, repr=False)


def find(name: str, scenario: Scenario) -> tuple[Metric, tuple[Cohort, ...], int]:
    """Return a metric by the name that an expression gives it.

    Returns:
        The metric, the cohorts that its name means, and the close code in it.

    Raises:
        ThresholdError: there is none; the message names those that come near.
    """
    stranger = ""
    for metric in METRICS:
        pattern = re.escape(metric.name).replace("<cohort>", r"(?P<cohort>\w+)")
        match = re.fullmatch(pattern.replace("<code>", r"(?P<code>\d{4})"), name)
        if match is None:
            continue
        groups = match.groupdict()
        cohort, code = groups.get("cohort"), int(groups.get("code") or 0)
        if cohort is None:
            return metric, (), code
        if cohort == "healthy":
            return metric, tuple(one for one in scenario.cohorts if one.user == "viewer"), code
        found = tuple(one for one in scenario.cohorts if one.name == cohort)
        if found:
            return metric, found, code
        stranger = cohort
    if stranger:
        known = ", ".join(dict.fromkeys(("healthy", *(one.name for one in scenario.cohorts))))
        raise ThresholdError(
            f"metric {name!r}: {scenario.name} has no cohort {stranger!r} (there are: {known})"
        )
    names = [
        metric.name.replace("<cohort>", one)
        for metric in METRICS
        for one in ("healthy", *(cohort.name for cohort in scenario.cohorts))
    ]
    near = difflib.get_close_matches(name, dict.fromkeys(names), n=3, cutoff=0.5)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise ThresholdError(f"there is no metric {name!r}{hint} (flock-ws load --list-metrics)")


def check(reference: Reference, scenario: Scenario) -> Metric:
    """Return the metric of a reference that a scenario can answer.

    Raises:
        ThresholdError: there is no such metric, cohort or window.
    """
    metric, _, _ = find(reference.metric, scenario)
    if reference.window is None:
        return metric
    if not metric.windowed:
        raise ThresholdError(f"metric {reference.metric!r} is of the whole run: it has no windows")
    if reference.window not in scenario.windows:
        known = ", ".join(scenario.windows)
        raise ThresholdError(
            f"{reference}: {scenario.name} has no window {reference.window!r} (there are: {known})"
        )
    return metric


def read(reference: Reference, case: Case) -> float:
    """Return the number.

    Raises:
        measures.Unknown: the run does not tell.
        ThresholdError: there is no such metric, cohort or window.
    """
    metric = check(reference, case.scenario)
    _, cohorts, code = find(reference.metric, case.scenario)
    return metric.read(Asked(case, cohorts, code, reference.window))


def told(case: Case) -> list[tuple[str, float, Unit]]:
    """Return every metric of the whole run that it tells: name, number, unit."""
    found: list[tuple[str, float, Unit]] = []
    cohorts = dict.fromkeys(("healthy", *(one.name for one in case.scenario.cohorts if one.count)))
    for metric in METRICS:
        if "<code>" in metric.name:
            continue
        names = [metric.name]
        if "<cohort>" in metric.name:
            names = [metric.name.replace("<cohort>", name) for name in cohorts]
        for name in names:
            with contextlib.suppress(measures.Unknown):
                found.append((name, read(Reference(name), case), metric.unit))
    return found


def written(value: float, unit: Unit) -> str:
    """Put a number into words."""
    if math.isnan(value):
        return "no number"
    if unit == "s":
        return milliseconds(value) if value < 1 or math.isinf(value) else seconds(value)
    if math.isinf(value):
        return "without limit"
    if unit == "share":
        return f"{value:.1%}".replace(".0%", "%")
    number = counted(round(value)) if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - three digits say enough
    return number if unit == "count" else f"{number} {unit}"


_TOLD = {
    "p50": "median time",
    "p90": "90th percentile of the time",
    "p95": "95th percentile of the time",
    "p99": "99th percentile of the time",
    "p999": "99.9th percentile of the time",
    "mean": "mean time",
    "max": "longest time",
}


def _catalogue() -> Iterable[Metric]:
    parts = [*measures.QUANTILES, "mean", "max"]
    for part in parts:
        told = {"max": "longest", "mean": "mean"}.get(part, part)
        yield Metric(
            name=f"<cohort>.latency.{part}",
            summary=f"{_TOLD[part]} from when an event was due until it came; lost is never",
            unit="s",
            windowed=True,
            timed=True,
            question="How late do {cohort} clients get an event{window}?",
            words=f"the {told} of the {{cohort}} latency{{window}} was {{seen}}",
            read=partial(measures.latency, of=part),
        )
    for part in ("p50", "p99", "max"):
        yield Metric(
            name=f"healthy.spread.{part}",
            summary=f"{_TOLD[part]} from an event's first healthy receiver to its last",
            unit="s",
            timed=True,
            read=partial(measures.spread, of=part),
        )
    sums = {
        "received": "events that the clients got, each once",
        "duplicated": "events that came to a client more than once",
        "disordered": "events that came after a later one",
        "after_close": "messages that came after the server's close frame",
        "sent": "messages that the clients sent by themselves",
        "refused": "messages that the clients sent and the server refused",
    }
    fields = {"duplicated": "duplicates"}
    for name, summary in sums.items():
        total = partial(measures.total, of=fields.get(name, name))
        yield Metric(name=f"<cohort>.{name}", summary=summary, unit="count", read=total)
    yield Metric(
        name="<cohort>.lost",
        summary="events that the clients should have got and did not",
        unit="count",
        read=measures.lost,
    )
    yield Metric(
        name="<cohort>.clients",
        summary="clients that connected",
        unit="count",
        read=lambda asked: float(len(asked.clients)),
    )
    yield Metric(
        name="<cohort>.rate",
        summary="events that came to all clients of it together",
        unit="per second",
        windowed=True,
        read=measures.rate,
    )
    for part, summary in {
        "fraction": "share of the clients that were dropped",
        "count": "clients that were dropped",
    }.items():
        unit: Unit = "share" if part == "fraction" else "count"
        yield Metric(
            name=f"evicted.<cohort>.{part}",
            summary=summary,
            unit=unit,
            timed=True,
            words="{seen} of the {cohort} clients were dropped"
            if part == "fraction"
            else "{seen} {cohort} clients were dropped",
            read=partial(measures.evicted, of=part),
        )
    for part in ("p50", "p99", "max"):
        yield Metric(
            name=f"evicted.<cohort>.{part}",
            summary=f"{_TOLD[part]} from a client's turn until it was out of the pool",
            unit="s",
            timed=True,
            read=partial(measures.evicted, of=part),
        )
    yield Metric(
        name="evicted.<cohort>.gone_max",
        summary="longest time from out of the pool until its connection was gone",
        unit="s",
        timed=True,
        read=measures.gone,
    )
    yield from _others()


def _others() -> Iterable[Metric]:
    def made(name: str, summary: str, unit: Unit, read: Callable[[Asked], float]) -> Metric:
        return Metric(name=name, summary=summary, unit=unit, read=read, timed=unit == "s")

    yield Metric(
        name="publisher.block_max",
        summary="longest time that one publication took",
        unit="s",
        timed=True,
        question="How long was the publisher held up at most?",
        words="the publisher was blocked for {seen}",
        read=partial(measures.publisher, of="longest"),
    )
    for name, summary in {
        "sent": "events that were sent to the server",
        "accepted": "events that the server took",
        "refused": "events that the server refused",
    }.items():
        yield made(f"publisher.{name}", summary, "count", partial(measures.publisher, of=name))
    yield made(
        "heartbeat.pings",
        "intervals between two pings that clients saw",
        "count",
        partial(measures.heartbeat, of="count"),
    )
    for part in ("p50", "p99", "max"):
        yield Metric(
            name=f"heartbeat.interval_{part}",
            summary=f"{_TOLD[part]} between two pings at a client",
            unit="s",
            timed=True,
            read=partial(measures.heartbeat, of=part),
        )
        yield Metric(
            name=f"heartbeat.jitter_{part}",
            summary=f"{_TOLD[part]} by which two pings missed the interval asked for",
            unit="s",
            timed=True,
            read=partial(measures.heartbeat, of=part, jitter=True),
        )
    yield made(
        "heartbeat.detection_max",
        "longest time until a half-open or silent client was out of the pool",
        "s",
        measures.detection,
    )
    yield made(
        "history.readings",
        "requests for history that were answered",
        "count",
        partial(measures.history, of="readings"),
    )
    yield made(
        "history.failed",
        "requests for history that were not",
        "count",
        partial(measures.history, of="failed"),
    )
    for name, summary in {
        "stale": "answers without an event that the asking client had received before",
        "torn": "answers with a hole between their events",
    }.items():
        yield made(f"history.{name}", summary, "count", partial(measures.history, of=name))
    yield made(
        "history.size_max",
        "most events in an answer",
        "count",
        partial(measures.history, of="size_max"),
    )
    yield made(
        "history.size_end",
        "events in the last answer",
        "count",
        partial(measures.history, of="size_end"),
    )
    yield made(
        "history.behind_max",
        "age of the newest event in an answer, at worst",
        "s",
        partial(measures.history, of="behind_max"),
    )
    for part in ("p50", "p99", "max"):
        summary = f"{_TOLD[part]} that a request for history took"
        yield made(f"history.{part}", summary, "s", partial(measures.history, of=part))
    for to, meant in {"back": "it was connected again", "served": "an event came again"}.items():
        yield made(
            f"reconnect.<cohort>.{to}_fraction",
            f"share of the drops after which {meant}",
            "share",
            partial(measures.reconnect, of="fraction", to=to),
        )
        for part in ("p50", "p99", "max"):
            yield Metric(
                name=f"reconnect.<cohort>.{to}_{part}",
                summary=f"{_TOLD[part]} from a client's drop until {meant}",
                unit="s",
                timed=True,
                read=partial(measures.reconnect, of=part, to=to),
            )
    yield Metric(
        name="capacity.clients",
        summary="most viewers with which a search kept its limit",
        unit="count",
        timed=True,
        question="How many clients does it carry?",
        words="the limit broke beyond {seen} clients",
        read=measures.capacity,
        detail=measures.around_capacity,
    )
    yield from _machines()


def _machines() -> Iterable[Metric]:
    watched: dict[str, tuple[str, str, Unit]] = {
        "memory": ("memory_bytes", "the server's memory", "bytes"),
        "tasks": ("tasks", "the server's asyncio tasks", "count"),
        "loop_lag": ("loop_lag", "how late the server's loop was", "s"),
        "connections": ("connections", "connections of this run at the server", "count"),
        "lag_bytes": ("lag_bytes", "what the client furthest behind has not taken", "bytes"),
        "lag_seconds": (
            "lag_seconds",
            "age of the oldest message that a client has not taken",
            "s",
        ),
        "history": ("history", "events in the server's history", "count"),
    }
    words = {"max": "at most", "end": "at the end", "growth": "growth from first to second half"}
    for name, (attribute, summary, unit) in watched.items():
        for part, told in words.items():
            yield Metric(
                name=f"server.{name}_{part}",
                summary=f"{summary}, {told}",
                unit=unit,
                windowed=True,
                read=partial(measures.server, name=attribute, of=part),
            )
        if name in {"memory", "tasks", "connections"}:
            yield Metric(
                name=f"server.{name}_slope",
                summary=f"{summary}, growth each second",
                unit="bytes/s" if unit == "bytes" else "per second",
                windowed=True,
                read=partial(measures.server, name=attribute, of="slope"),
            )
    yield Metric(
        name="server.cpu",
        summary="share of one core that the server used",
        unit="share",
        windowed=True,
        read=partial(measures.server, name="cpu_seconds", of="share"),
    )
    for name, unit_, summary in (
        ("lag_p99", "s", "p99 of how late the generator's own loop was"),
        ("lag_max", "s", "the most that the generator's own loop was late"),
        ("cpu", "share", "share of one core that the generator used"),
        ("messages", "count", "messages that the generator took"),
    ):
        unit = unit_  # type: ignore[assignment]  # one of the units, as written above
        read = partial(measures.generator, of=name)
        yield Metric(name=f"generator.{name}", summary=summary, unit=unit, read=read)
    for part in ("p50", "p99", "max"):
        summary = f"{_TOLD[part]} to connect"
        read = partial(measures.connect, of=part)
        yield Metric(name=f"connect.{part}", summary=summary, unit="s", timed=True, read=read)
    yield Metric(
        name="connect.failed",
        summary="clients that never connected",
        unit="count",
        read=partial(measures.connect, of="failed"),
    )
    yield Metric(
        name="closes.unexpected",
        summary="connections that the server ended, faulty clients' included",
        unit="count",
        read=measures.unexpected,
    )
    yield Metric(
        name="closes.code_<code>",
        summary="clients that saw this close code, as in closes.code_1013",
        unit="count",
        read=measures.closes,
    )


METRICS: tuple[Metric, ...] = tuple(_catalogue())
"""Every metric, in the order of lists."""
