"""The thresholds of a scenario, asked of a run: each is one more question with its answer."""

import dataclasses
import math

from loadtests import evictions, lookup
from loadtests.answers import Answer, Verdict
from loadtests.asked import Asked, Unknown
from loadtests.case import Case
from loadtests.metrics import Metric
from loadtests.scenario import Scenario
from loadtests.thresholds import Reference, Threshold

__all__ = ["asked", "check"]


def check(scenario: Scenario) -> None:
    """Refuse a threshold that no run of the scenario could answer.

    Raises:
        ThresholdError: it cannot be read, or names a metric, cohort or window that there is not.
    """
    for text in scenario.thresholds:
        for reference in Threshold.parse(text).references:
            lookup.check(reference, scenario)


def asked(case: Case, text: str) -> Answer:
    """Hold a threshold against a run.

    Raises:
        ThresholdError: as `check`.
    """
    threshold = Threshold.parse(text)
    subject = threshold.subject
    metric = lookup.check(subject, case.scenario)
    answer = Answer(
        key=threshold.text,
        question=_question(metric, subject),
        expected=threshold.text,
        seen="",
        verdict=Verdict.PASS,
    )
    try:
        left, right = threshold.values(lambda reference: lookup.read(reference, case))
        own = lookup.read(subject, case)
    except Unknown as unknown:
        reason = f"{subject}: {unknown.reason}"
        told = reason if unknown.verdict is Verdict.INCONCLUSIVE else ""
        return dataclasses.replace(
            answer, seen=unknown.reason, verdict=unknown.verdict, reason=told
        )
    seen = lookup.written(own, metric.unit) + _others(case, threshold)
    if threshold.holds(left, right):
        return dataclasses.replace(answer, seen=seen)
    limit = threshold.bound if threshold.bare else threshold.text
    if threshold.bare and not threshold.simple:
        limit += f", which is {lookup.written(right, metric.unit)}"
    reason = f"{_words(metric, subject, own)} (asked: {limit})"
    verdict = Verdict.FAIL
    timed = any(lookup.check(one, case.scenario).timed for one in threshold.references)
    # Of what is no duration, a busy machine can have cost any amount.
    excess = abs(left - right) if metric.unit == "s" else 0.0
    excuse = (case.doubt or case.starved(excess)) if timed else None
    if left < right or math.isinf(left):
        wanted = right if threshold.bare else math.inf
        excuse = _too_short(case, metric, subject, wanted=wanted) or excuse
    if excuse is not None:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}, but {excuse}"
    return dataclasses.replace(answer, seen=seen, verdict=verdict, reason=reason)


def _too_short(case: Case, metric: Metric, subject: Reference, *, wanted: float) -> str | None:
    """Say that the run ended before it could come to what a threshold wants at least."""
    short = _reach(case, metric.name) < wanted < math.inf
    if metric.name.startswith("evicted."):
        name = _cohort(metric, subject)
        cohorts = (one for one in case.scenario.cohorts if one.name == name)
        short = any(evictions.too_short(case, one) for one in cohorts)
    return "the run was too short for that" if short else None


def _reach(case: Case, name: str) -> float:
    """Return the most that a run of this length can count; infinity where nothing is known."""
    scenario, ended = case.scenario, case.record.ended_at
    if name in {"history.size_max", "history.size_end"} and case.published is not None:
        return case.published
    if name == "history.readings":
        lasted = ended - case.record.publishing[0]
        readers = [one for one in scenario.cohorts if one.user == "history_reader"]
        return sum(
            one.count * (lasted / float(one.complete_options["interval"]) + 1) for one in readers
        )
    if name == "heartbeat.pings" and "heartbeat_interval" in scenario.server:
        pinged = sum(one.count for one in scenario.cohorts if not one.kind.faulty)
        return pinged * ended / float(scenario.server["heartbeat_interval"])
    return math.inf


def _cohort(metric: Metric, subject: Reference) -> str:
    parts = zip(metric.name.split("."), subject.metric.split("."), strict=True)
    return next((given for known, given in parts if known == "<cohort>"), "")


def _question(metric: Metric, subject: Reference) -> str:
    cohort = _cohort(metric, subject)
    if metric.question:
        window = f" in the window {subject.window}" if subject.window else ""
        return metric.question.format(cohort=cohort, window=window)
    summary = f"{metric.summary[0].upper()}{metric.summary[1:]}"
    details = [f"of {cohort}"] if cohort else []
    details += [f"in the window {subject.window}"] if subject.window else []
    return f"{summary} ({', '.join(details)})" if details else summary


def _words(metric: Metric, subject: Reference, value: float) -> str:
    if not metric.words or (math.isinf(value) and metric.unit == "s"):
        return f"{subject} was {lookup.written(value, metric.unit)}"
    window = f" in the window {subject.window}" if subject.window else ""
    seen = lookup.written(value, metric.unit)
    return metric.words.format(cohort=_cohort(metric, subject), window=window, seen=seen)


def _others(case: Case, threshold: Threshold) -> str:
    """Write what the other metrics of an expression were, and what stands around a quantile."""
    shown = list(threshold.references[1:])
    name, _, part = threshold.subject.metric.rpartition(".")
    if name.endswith(".latency") and threshold.simple:
        shown += [
            Reference(f"{name}.{other}", threshold.subject.window)
            for other in ("p50", "p95", "max")
            if other != part
        ]
    metric = lookup.check(threshold.subject, case.scenario)
    texts = [metric.detail(Asked(case))] if metric.detail is not None else []
    for reference in shown:
        unit = lookup.check(reference, case.scenario).unit
        part = reference.metric.removeprefix(f"{name}.")
        brief = part if threshold.simple else str(reference)
        texts.append(f"{brief} {lookup.written(lookup.read(reference, case), unit)}")
    return f"; {', '.join(texts)}" if texts else ""
