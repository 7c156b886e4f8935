"""What a result means for a reader, the same in every report: its outcome, order and words."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from simulators.contract.results import Level, Report, Result

__all__ = [
    "MENDING",
    "Outcome",
    "Row",
    "area",
    "counted",
    "defect_names",
    "headline",
    "outcome",
    "repeat",
    "rows",
    "sorted_out",
    "tally",
    "verdict",
]


class Outcome(Enum):
    """What became of a check. Its value is its letter in a matrix of plain text."""

    BROKEN = "F"
    WEAK = "f"
    SURPRISE = "X"
    UNKNOWN = "?"
    EXPECTED = "x"
    NOT_OFFERED = "-"
    KEPT = "."

    @property
    def meaning(self) -> str:
        """Say it in a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    Outcome.BROKEN: "MUST broken",
    Outcome.WEAK: "SHOULD broken",
    Outcome.SURPRISE: "passed, though a failure was expected",
    Outcome.UNKNOWN: "unknown",
    Outcome.EXPECTED: "failed as expected",
    Outcome.NOT_OFFERED: "not offered",
    Outcome.KEPT: "kept",
}

MENDING = (Outcome.BROKEN, Outcome.SURPRISE, Outcome.WEAK)
"""The outcomes that ask for work, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check in a matrix.

    Attributes:
        check_id: as in the results.
        level: of the first report that has it.
        results: one for each report, None where it did not run.
    """

    check_id: str
    level: Level
    results: tuple[Result | None, ...]


def outcome(result: Result) -> Outcome:
    """Return what became of a check."""
    if result.verdict == "unknown":
        return Outcome.UNKNOWN
    if result.verdict == "not_offered":
        return Outcome.NOT_OFFERED
    if result.verdict == "pass":
        return Outcome.KEPT
    if result.stale:
        return Outcome.SURPRISE
    if result.expected is not None:
        return Outcome.EXPECTED
    return Outcome.BROKEN if result.level == "MUST" else Outcome.WEAK


def area(check_id: str) -> str:
    """Return the part of the id before the point."""
    return check_id.partition(".")[0]


def sorted_out(report: Report) -> dict[Outcome, list[Result]]:
    """Return the results by outcome, each in the order of the report."""
    sorts: dict[Outcome, list[Result]] = {one: [] for one in Outcome}
    for result in report.results:
        sorts[outcome(result)].append(result)
    return sorts


def rows(reports: Sequence[Report]) -> list[Row]:
    """Return every check that any report has: by area, both as they first appear."""
    levels: dict[str, Level] = {}
    for report in reports:
        for result in report.results:
            levels.setdefault(result.check_id, result.level)
    found = [{result.check_id: result for result in report.results} for report in reports]
    areas = list(dict.fromkeys(map(area, levels)))
    return [
        Row(check_id, levels[check_id], tuple(each.get(check_id) for each in found))
        for check_id in sorted(levels, key=lambda check_id: areas.index(area(check_id)))
    ]


def verdict(reports: Iterable[Report]) -> Literal["pass", "fail", "unknown"]:
    """Return the verdict on all of them: the worst; ``unknown`` for none."""
    seen = {report.verdict for report in reports}
    if "fail" in seen:
        return "fail"
    return "unknown" if "unknown" in seen or not seen else "pass"


def headline(report: Report) -> str:
    """Say in one clause, whose subject is the manager, what came out."""
    sorts = sorted_out(report)
    must, weak = len(sorts[Outcome.BROKEN]), len(sorts[Outcome.WEAK])
    surprises = len(sorts[Outcome.SURPRISE])
    kept = sum(result.level == "MUST" for result in sorts[Outcome.KEPT])
    if report.verdict == "unknown" and not report.missing:
        return "no check came to a verdict"
    broken = [f"{must} of {counted(must + kept, 'MUST')}"] if must else []
    broken += [counted(weak, "SHOULD")] if weak else []
    parts = [f"breaks {' and '.join(broken)}"] if broken else []
    if not must:
        parts.insert(0, f"keeps {f'all {kept} MUSTs' if kept > 1 else counted(kept, 'MUST')}")
    if surprises:
        parts.append(f"passed {counted(surprises, 'check')} expected to fail")
    if report.missing:
        parts.append(f"as far as it was asked: {counted(report.missing, 'check')} did not run")
    return ", ".join(parts)


def tally(report: Report) -> str:
    """Count the outcomes, those that ask for work first."""
    counts = Counter(map(outcome, report.results))
    return ", ".join(f"{counts[one]} {one.meaning}" for one in Outcome if counts[one])


def counted(number: int, noun: str) -> str:
    """Return the number with its noun: ``1 check``, ``2 checks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def defect_names(result: Result) -> str:
    """Return the classes of mistakes as ``D7 D19``."""
    return " ".join(f"D{number}" for number in result.defects)


def repeat(report: Report, result: Result | None = None, *, options: Sequence[str] = ()) -> str:
    """Return the command that repeats a report, or one check of it.

    A manager that the command could not import by its name is repeated by a call of
    ``check_manager`` instead.

    Args:
        report: on one manager.
        result: one of its checks; all of them by default.
        options: what else was typed, such as the names of methods.
    """
    seed = report.seed if result is None else result.seed
    if not _NAME.fullmatch(report.manager):
        only = "" if result is None else f"select=[{result.check_id!r}], "
        return f"check_manager(…, {only}seed={seed})"
    words = ["flock-ws", "check", report.manager, *options]
    if result is not None:
        words += ["--select", result.check_id]
    return shlex.join([*words, "--seed", str(seed)])


# module:attribute, path/to/file.py:attribute, or an address.
_NAME = re.compile(r"[\w./\\-]+:[\w.]+(\(\))?|(wss?|https?)://\S+")
