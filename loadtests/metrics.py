"""Every number of a run that a threshold can ask for: what it says, and how it is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from loadtests import machines, measures
from loadtests.asked import QUANTILES, Asked

__all__ = ["METRICS", "Metric", "Unit"]

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
    parts = [*QUANTILES, "mean", "max"]
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
                read=partial(machines.server, name=attribute, of=part),
            )
        if name in {"memory", "tasks", "connections"}:
            yield Metric(
                name=f"server.{name}_slope",
                summary=f"{summary}, growth each second",
                unit="bytes/s" if unit == "bytes" else "per second",
                windowed=True,
                read=partial(machines.server, name=attribute, of="slope"),
            )
    yield Metric(
        name="server.cpu",
        summary="share of one core that the server used",
        unit="share",
        windowed=True,
        read=partial(machines.server, name="cpu_seconds", of="share"),
    )
    for name, unit_, summary in (
        ("lag_p99", "s", "p99 of how late the generator's own loop was"),
        ("lag_max", "s", "the most that the generator's own loop was late"),
        ("cpu", "share", "share of one core that the generator used"),
        ("messages", "count", "messages that the generator took"),
    ):
        unit = unit_  # type: ignore[assignment]  # one of the units, as written above
        read = partial(machines.generator, of=name)
        yield Metric(name=f"generator.{name}", summary=summary, unit=unit, read=read)
    for part in ("p50", "p99", "max"):
        summary = f"{_TOLD[part]} to connect"
        read = partial(machines.connect, of=part)
        yield Metric(name=f"connect.{part}", summary=summary, unit="s", timed=True, read=read)
    yield Metric(
        name="connect.failed",
        summary="clients that never connected",
        unit="count",
        read=partial(machines.connect, of="failed"),
    )
    yield Metric(
        name="closes.unexpected",
        summary="connections that the server ended, faulty clients' included",
        unit="count",
        read=machines.unexpected,
    )
    yield Metric(
        name="closes.code_<code>",
        summary="clients that saw this close code, as in closes.code_1013",
        unit="count",
        read=machines.closes,
    )


METRICS: tuple[Metric, ...] = tuple(_catalogue())
"""Every metric, in the order of lists."""
