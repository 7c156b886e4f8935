"""Metrics looked up by the names that thresholds give them, and read off a run.

Pure functions of a case. What cannot be known is `Unknown`, never 0.
"""

import contextlib
import difflib
import math
import re

from loadtests.answers import counted, milliseconds, seconds
from loadtests.asked import Asked, Unknown
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.errors import ThresholdError
from loadtests.metrics import METRICS, Metric, Unit
from loadtests.scenario import Scenario
from loadtests.thresholds import Reference

__all__ = ["check", "find", "read", "told", "written"]


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
        Unknown: the run does not tell.
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
            with contextlib.suppress(Unknown):
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
