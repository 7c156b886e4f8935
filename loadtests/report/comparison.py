"""Two runs side by side: before and after a change, each metric with its ratio."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests import lookup
from loadtests.asked import Unknown
from loadtests.case import Case
from loadtests.metrics import Unit
from loadtests.record import Record
from loadtests.thresholds import Reference

__all__ = ["Compared", "compare", "differences", "notable"]

_NOISE = 1.3
"""Below this ratio two runs on one machine do not differ."""

_LATENCIES = ("p50", "p95", "p99", "max")
_MORE_IS_BETTER = re.compile(r"\.(received|rate|accepted)$|fraction$|^capacity\.")
_NEITHER = re.compile(
    r"^(generator|heartbeat\.(pings|interval)|history\.(readings|size)|closes\.code)"
    r"|\.(sent|clients|count)$|^server\.(connections|history)"
)
_HEADLINES = re.compile(r"^healthy\.(latency\.p(50|99)$|lost|received)|^publisher\.block_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of two runs.

    Attributes:
        before: of the first run; None where it does not tell it.
        less_is_better: None where neither is.
    """

    name: str
    unit: Unit
    before: float | None
    after: float | None
    less_is_better: bool | None = True

    @property
    def ratio(self) -> float | None:
        """What the second is of the first; None where that says nothing."""
        if self.before is None or self.after is None or self.before <= 0 or self.after < 0:
            return None
        ratio = self.after / self.before
        return ratio if math.isfinite(ratio) else None

    @property
    def better(self) -> bool | None:
        """Whether the second is clearly better, or clearly worse; None for neither."""
        if self.before is None or self.after is None or self.less_is_better is None:
            return None
        low, high = sorted((self.before, self.after))
        if low == high or (low > 0 and high / low < _NOISE):
            return None
        return (self.after < self.before) == self.less_is_better

    @property
    def before_told(self) -> str:
        """The first with its unit; empty where it is not known."""
        return "" if self.before is None else lookup.written(self.before, self.unit)

    @property
    def after_told(self) -> str:
        """The second with its unit; empty where it is not known."""
        return "" if self.after is None else lookup.written(self.after, self.unit)

    @property
    def ratio_told(self) -> str:
        """The ratio as it is read; ``=`` for the same, empty where there is none."""
        if self.before == self.after:
            return "="
        return f"x{self.ratio:.2f}" if self.ratio is not None else ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; what is infinite, as a latency that never ended, is null."""
        numbers = {"before": self.before, "after": self.after, "ratio": self.ratio}
        finite = {
            name: value if value is None or math.isfinite(value) else None
            for name, value in numbers.items()
        }
        return {"name": self.name, "unit": self.unit, **finite, "better": self.better}


def compare(before: Record, after: Record) -> tuple[Compared, ...]:
    """Return every metric that one of the two tells."""
    one, other = dict(_told(before)), dict(_told(after))
    return tuple(
        Compared(
            name=name,
            unit=(one.get(name) or other[name])[1],
            before=one[name][0] if name in one else None,
            after=other[name][0] if name in other else None,
            less_is_better=_less_is_better(name),
        )
        for name in {**one, **other}
    )


def notable(rows: Iterable[Compared]) -> list[Compared]:
    """Return those that clearly changed, and those that everybody asks for first."""
    return [row for row in rows if row.better is not None or _HEADLINES.search(row.name)]


def differences(before: Record, after: Record) -> list[str]:
    """Return in what the load of two runs differs: then a ratio may say nothing of the server."""
    one, other = before.scenario, after.scenario
    found = [
        f"{name}: {one.get(name)} and {other.get(name)}"
        for name in ("name", "rate", "size_bytes", "duration")
        if one.get(name) != other.get(name)
    ]
    cohorts, others = _cohorts(one), _cohorts(other)
    found += [
        f"{name}: {cohorts.get(name, 0)} and {others.get(name, 0)} clients"
        for name in {**cohorts, **others}
        if cohorts.get(name, 0) != others.get(name, 0)
    ]
    return found


def _cohorts(scenario: Mapping[str, Any]) -> dict[str, int]:
    return {one["name"]: one["count"] for one in scenario.get("cohorts", ())}


def _told(record: Record) -> Iterator[tuple[str, tuple[float, Unit]]]:
    case = Case.of(record)
    healthy = {f"healthy.latency.{part}" for part in _LATENCIES}
    for part in _LATENCIES:
        for window in case.scenario.windows:
            reference = Reference(f"healthy.latency.{part}", window)
            if window == "all":
                continue
            try:
                yield str(reference), (lookup.read(reference, case), "s")
            except Unknown:
                continue
    for name, value, unit in lookup.told(case):
        # Those who misbehave may be as late as they like.
        if ".latency." not in name or name in healthy:
            yield name, (value, unit)


def _less_is_better(name: str) -> bool | None:
    if _NEITHER.search(name):
        return None
    return not _MORE_IS_BETTER.search(name)
