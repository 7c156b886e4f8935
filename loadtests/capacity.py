"""How many clients a server carries: the steps of a search, and which of them kept the limit."""

import math
from dataclasses import dataclass

from loadtests.answers import milliseconds
from loadtests.histogram import Histogram
from loadtests.record import Record, window
from loadtests.scenario import Scenario

__all__ = ["Step", "steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One number of clients and how it went.

    Attributes:
        clients: viewers that were connected when it was judged.
        pushes: how many latencies were judged.
        latency: the quantile of them that the search asks for, in seconds.
        dropped: viewers whose connection the server had ended by the end of the step.
        kept: whether the latency was below the limit and nobody was dropped.
        doubt: why a step that broke may be the generator's doing; None when it was fit.
    """

    clients: int
    pushes: int
    latency: float
    dropped: int
    kept: bool
    doubt: str | None = None


def steps(record: Record, scenario: Scenario) -> list[Step]:
    """Judge the steps that were reached, up to and with the first that broke.

    Empty when the scenario searches nothing.
    """
    search = scenario.search
    if search is None:
        return []
    found: list[Step] = []
    viewers = {cohort.name for cohort in scenario.cohorts if cohort.user == "viewer"}
    start, end = record.publishing
    for number in range(search.steps + 1):
        opens, closes = number * search.every, min((number + 1) * search.every, scenario.duration)
        judged = (start + opens + search.settle, start + closes)
        present = [
            client
            for client in record.results.clients
            if client.cohort in viewers and (client.connected_at or math.inf) <= judged[0]
        ]
        if judged[1] > end + 1e-6:
            break
        pushes = Histogram()
        for name in viewers:
            series = record.results.series.get(name, {})
            pushes.merge(window(series, start=judged[0], end=judged[1]))
        if not pushes.count:
            break
        dropped = sum(
            not client.released and client.closed_at is not None and client.closed_at < judged[1]
            for client in present
        )
        latency = pushes.quantile(search.quantile)
        kept = latency < search.limit and not dropped
        found.append(
            Step(
                clients=len(present),
                pushes=pushes.count,
                latency=latency,
                dropped=dropped,
                kept=kept,
                doubt=None if kept else _doubt(record, scenario, judged),
            )
        )
        if not kept:
            break
    return found


def _doubt(record: Record, scenario: Scenario, judged: tuple[float, float]) -> str | None:
    lag = window(record.results.generator.lags, start=judged[0], end=judged[1]).quantile(0.95)
    if lag <= scenario.limits.generator_lag:
        return None
    return f"the load generator was the bottleneck there: its loop lagged {milliseconds(lag)} (p95)"
