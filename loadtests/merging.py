"""What several generators saw, as if one had seen it all."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.histogram import Histogram
from loadtests.record import GeneratorRecord, GeneratorResults

__all__ = ["differences", "merge_progress", "merge_results", "totals"]

_LARGEST = {"started_at", "p99", "lag"}
_PUSH = "push "
_OWN = {"spread", "generator", "statistics"}


def merge_results(parts: Sequence[GeneratorResults]) -> GeneratorResults:
    """Merge results without loss: a histogram is then as if all had been recorded in it.

    The spread from the first receiver of an event to its last cannot be had from that of the
    parts, and stays empty where there are several. Locust's own entries are for its master to add
    up, and stay empty as well.
    """
    if len(parts) == 1:
        return parts[0]
    values: dict[str, Any] = {
        name: _sum([getattr(part, name) for part in parts])
        for name in GeneratorResults.model_fields
        if name not in _OWN and parts
    }
    values = {"clients": [], "series": {}, **values}
    records = [part.generator for part in parts]
    loops = sorted({record.loop for record in records if record.loop})
    errors = [record.error for record in records if record.error]
    lags = {"lag": _sum([r.lag for r in records]), "lags": _sum([r.lags for r in records])}
    return GeneratorResults(
        **values,
        spread=Histogram(),
        generator=GeneratorRecord(
            **{name: value for name, value in lags.items() if value is not None},
            # One process that is the bottleneck is enough to doubt them all.
            cpu=max((record.cpu for record in records), default=0.0),
            waited=max((one.waited for one in records if one.waited is not None), default=None),
            messages=sum(record.messages for record in records),
            loop=", ".join(loops),
            processes=sum(record.processes for record in records),
            error="; ".join(errors) or None,
        ),
    )


def merge_progress(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge what generators tell while they run: counts add up, of durations the longest counts.

    ``expected`` is the smallest: what the healthy client that is furthest behind waits for.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        _add(merged, part)
    expected = [part["expected"] for part in parts if part.get("healthy") and "expected" in part]
    if expected or "expected" in merged:
        merged["expected"] = min(expected, default=0)
    return merged


def totals(results: GeneratorResults) -> dict[str, int]:
    """Return how many pushes each cohort had, of those that had any."""
    counts = {
        cohort: sum(histogram.count for histogram in series.values())
        for cohort, series in results.series.items()
    }
    return {cohort: count for cohort, count in counts.items() if count}


def differences(results: GeneratorResults, statistics: Mapping[str, int]) -> list[str]:
    """Say where locust's master counted other numbers of pushes than the results hold.

    Args:
        results: of all workers.
        statistics: requests by the names of locust's entries.
    """
    told = totals(results)
    counted = {
        name.removeprefix(_PUSH): count
        for name, count in statistics.items()
        if name.startswith(_PUSH) and count
    }
    return [
        f"locust's master counted {counted.get(cohort, 0)} pushes to {cohort} clients, and their"
        f" workers {told.get(cohort, 0)}"
        for cohort in sorted(told.keys() | counted.keys())
        if told.get(cohort) != counted.get(cohort)
    ]


def _add(merged: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        before = merged.get(name)
        if isinstance(value, Mapping):
            merged[name] = before = dict(before or {})
            _add(before, value)
        elif before is None or not isinstance(value, int | float) or isinstance(value, bool):
            merged[name] = value
        elif name in _LARGEST:
            merged[name] = max(before, value)
        else:
            merged[name] = before + value


def _sum(values: Sequence[Any]) -> Any:
    """Add up histograms, lists, and dictionaries of such."""
    if not values:
        return None
    first = values[0]
    if isinstance(first, Histogram):
        merged = Histogram()
        for value in values:
            merged.merge(value)
        return merged
    if isinstance(first, list):
        return [entry for value in values for entry in value]
    if isinstance(first, dict):
        keys = {key: None for value in values for key in value}
        return {key: _sum([value[key] for value in values if key in value]) for key in keys}
    raise TypeError(f"results hold a {type(first).__name__}, and nobody says how to merge it")
