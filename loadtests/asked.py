"""What a metric is asked for, and the answer that a run may give: a number, or `Unknown`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.answers import Verdict
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.record import ClientRecord

__all__ = ["QUANTILES", "Asked", "Unknown", "ranked"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The quantiles that latencies are asked for."""


class Unknown(Exception):  # noqa: N818 - no error: the answer to a question
    """A metric that a run does not tell.

    Attributes:
        reason: why.
        verdict: NOT OFFERED when no run against this server tells it, else INCONCLUSIVE.
    """

    def __init__(self, reason: str, verdict: Verdict = Verdict.INCONCLUSIVE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """What a metric is asked for: its case, the clients that are meant, the part of the run."""

    case: Case
    cohorts: tuple[Cohort, ...] = ()
    code: int = 0
    window: str | None = None

    @property
    def clients(self) -> list[ClientRecord]:
        """The clients of these cohorts that connected."""
        return [client for cohort in self.cohorts for client in self.case.connected(cohort)]

    @property
    def span(self) -> tuple[float, float]:
        """The window in run time."""
        start, end = self.case.record.publishing
        opens, closes = self.case.scenario.windows[self.window or "all"]
        return start + opens, min(start + closes, end)


def ranked(numbers: Sequence[float], of: str, *, missing: int = 0) -> float:
    """Return a quantile or the maximum by its name; nearest rank; what is missing is infinite."""
    if not numbers and not missing:
        raise Unknown("there was nothing to measure")
    sizes = [*sorted(numbers), *([math.inf] * missing)]
    part = 1.0 if of == "max" else QUANTILES[of]
    return sizes[max(0, math.ceil(part * len(sizes)) - 1)]
