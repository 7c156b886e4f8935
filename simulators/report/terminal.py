"""The report for a terminal: what broke and how to mend it first, everything else folded."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from simulators.contract.results import Report, Result
from simulators.report.outcomes import (
    MENDING,
    Outcome,
    Row,
    area,
    counted,
    defect_names,
    headline,
    outcome,
    repeat,
    rows,
    sorted_out,
    tally,
    verdict,
)
from simulators.report.printable import printable, shortened
from simulators.report.strips import strips

__all__ = ["render"]

_WIDTH = 80
_NARROWEST, _WIDEST = 40, 110
_INDENT = "      "
_TRACKS = 5
_LINES = 8
_MANY_REPORTS = 4  # more managers than this get one line for each broken check

_COLOURS = {
    Outcome.BROKEN: "1;31",
    Outcome.SURPRISE: "1;31",
    Outcome.WEAK: "33",
    Outcome.UNKNOWN: "33",
    Outcome.EXPECTED: "2",
    Outcome.NOT_OFFERED: "2",
    Outcome.KEPT: "32",
}
_VERDICTS = {"fail": "1;31", "pass": "1;32", "unknown": "1;33"}
_HEADS = {Outcome.BROKEN: "MUST", Outcome.WEAK: "SHOULD", Outcome.SURPRISE: "PASSED"}


def render(
    reports: Sequence[Report],
    *,
    width: int | None = None,
    colour: bool = False,
    verbose: bool = False,
    options: Sequence[str] = (),
) -> str:
    """Return the text of one or several reports, with a line break at its end.

    It looks at neither the terminal nor the environment: who calls it does.

    Args:
        reports: one for each manager; several end with a matrix.
        width: columns; 80 by default. Commands and names that are longer are not cut.
        colour: write ANSI colours.
        verbose: show every client and line of evidence, and each check that was kept.
        options: what else was typed; it goes into the commands that repeat a check.
    """
    columns = min(max(width or _WIDTH, _NARROWEST), _WIDEST)
    page = _Page(columns, colour=colour, verbose=verbose, options=options)
    lines: list[str] = []
    brief = len(reports) > _MANY_REPORTS and not verbose
    for report in reports:
        lines += [*page.brief(report), ""] if brief else [*page.full(report), ""]
    if len(reports) != 1:
        lines += page.matrix(reports)
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


class _Page:
    def __init__(self, width: int, *, colour: bool, verbose: bool, options: Sequence[str]) -> None:
        self._width = width
        self._colour = colour
        self._verbose = verbose
        self._options = options

    def full(self, report: Report) -> Iterator[str]:
        sorts = sorted_out(report)
        yield from self._verdict(report)
        mending = [result for one in MENDING for result in sorts[one]]
        if len(mending) > 1:
            yield from self._overview(mending)
        for result in mending:
            yield ""
            yield from self._finding(report, result)
        yield ""
        yield from self._folded(sorts)
        if self._verbose:
            yield from self._particulars(report)
        ran = counted(len(report.results), "check")
        took = f" in {report.elapsed:.1f} s" if report.elapsed else ""
        yield from self._wrapped(f"{ran}{took}, seed {report.seed}: {tally(report)}.")
        if not mending:
            yield f"again: {repeat(report, options=self._options)}"

    def brief(self, report: Report) -> Iterator[str]:
        yield from self._verdict(report)
        sorts = sorted_out(report)
        for one in MENDING:
            for result in sorts[one]:
                head = f"  {_HEADS[one]:6}  {result.check_id}  "
                text = shortened(printable(result.message), width=max(self._width - len(head), 20))
                yield self._painted(head, _COLOURS[one]) + text

    def matrix(self, reports: Sequence[Report]) -> Iterator[str]:
        table = rows(reports)
        same = [row for row in table if _alike(row) is Outcome.KEPT]
        shown = table if self._verbose else [row for row in table if row not in same]
        names = max((len(row.check_id) for row in shown), default=0)
        names = min(names, self._width - 20)
        for number, report in enumerate(reports, start=1):
            word = report.verdict.upper()
            head = f"{number:>3}  {self._painted(f'{word:7}', _VERDICTS[word.lower()])}  "
            yield f"{head}{printable(report.manager)}"
        across = max((self._width - names - 9) // 4, 1)
        for first in range(0, len(reports) if shown else 0, across):
            block = range(first, min(first + across, len(reports)))
            yield ""
            yield " " * (names + 8) + "".join(f"{at + 1:>4}" for at in block)
            for row in shown:
                cells = "".join(self._cell(row.results[at]) for at in block)
                head = f"{shortened(row.check_id, width=names):{names}}  {row.level:6}"
                yield f"{head}{cells}".rstrip()
        yield ""
        if same and not self._verbose:
            yield from self._wrapped(f"{counted(len(same), 'check')} kept by all: not shown.")
        present = {outcome(result) for row in shown for result in row.results if result}
        if present:
            legend = (f"{one.value} {one.meaning}" for one in Outcome if one in present)
            yield from self._wrapped("   ".join(legend))
        failed = sum(report.verdict == "fail" for report in reports)
        word = verdict(reports)
        text = f"{failed} of {counted(len(reports), 'manager')} broke the contract"
        yield f"{self._painted(word.upper(), _VERDICTS[word])}  {text}"

    def _verdict(self, report: Report) -> Iterator[str]:
        name, clause = printable(report.manager), headline(report)
        word = report.verdict.upper()
        first, *rest = self._wrapped(f"{word}  {name} {clause}", later="      ")
        yield self._painted(word, _VERDICTS[report.verdict]) + first[len(word) :]
        yield from rest

    def _overview(self, mending: Sequence[Result]) -> Iterator[str]:
        """Two lines for each: whoever reads no further knows what to do."""
        yield ""
        yield "To mend, worst first:"
        for number, result in enumerate(mending, start=1):
            one = outcome(result)
            head = self._painted(f"{_HEADS[one]:6}  {result.check_id}", _COLOURS[one])
            yield f"{number:>3}  {head}"
            yield f"     {shortened(printable(_remedy(result)), width=self._width - 5)}"

    def _finding(self, report: Report, result: Result) -> Iterator[str]:
        one = outcome(result)
        facts = [defect_names(result)] if result.defects else []
        if result.tier == "sockets":
            facts.append("real sockets")
        head = f"{_HEADS[one]:6}  {result.check_id}"
        aside = "  ".join(facts)
        gap = " " * max(self._width - len(head) - len(aside), 2) if aside else ""
        yield self._painted(head, _COLOURS[one]) + self._painted(gap + aside, "2")
        yield from self._wrapped(result.message, indent=_INDENT)
        if result.evidence is not None and not result.stale:
            room = self._width - len(_INDENT)
            limit = len(result.evidence.lanes) if self._verbose else _TRACKS
            picture = strips(result.evidence, width=room, tracks=limit)
            if picture:
                yield ""
                yield from (f"{_INDENT}{line}".rstrip() for line in picture)
                yield ""
            yield from self._few(result.evidence.lines)
        if not result.stale:
            yield from self._labelled("why", result.why)
            yield from self._labelled("mend", result.mend, style="1")
        again = repeat(report, result, options=self._options)
        yield f"{_INDENT}{self._painted('again', '2')}  {printable(again)}"

    def _few(self, lines: Sequence[str]) -> Iterator[str]:
        shown = lines if self._verbose else lines[:_LINES]
        for line in shown:
            yield from self._wrapped(line, indent=f"{_INDENT}| ")
        if len(shown) < len(lines):
            more = counted(len(lines) - len(shown), "more line")
            yield f"{_INDENT}| {more}: --verbose shows all"

    def _folded(self, sorts: dict[Outcome, list[Result]]) -> Iterator[str]:
        if unknown := sorts[Outcome.UNKNOWN]:
            yield self._painted("Unknown, the fault to be shown never took place:", "33")
            for result in unknown:
                yield from self._wrapped(
                    f"{result.check_id}: {result.message}", indent="  ", later="    "
                )
        if expected := sorts[Outcome.EXPECTED]:
            yield "Failed as expected:"
            for result in expected:
                text = f"{result.check_id}: {result.expected}"
                yield from self._wrapped(text, indent="  ", later="    ")
        if missing := sorts[Outcome.NOT_OFFERED]:
            yield from self._missing(missing)
        if kept := sorts[Outcome.KEPT]:
            if self._verbose:
                yield self._painted("Kept:", "32")
                for result in kept:
                    text = f"{result.level:6}  {result.check_id}: {result.message}"
                    yield from self._wrapped(text, indent="  ", later=" " * 10)
            else:
                yield from self._wrapped(f"Kept, by area: {_by_area(kept)}.")

    def _missing(self, missing: Sequence[Result]) -> Iterator[str]:
        if self._verbose:
            yield "Not offered:"
            texts = [f"{result.check_id}: {result.message}" for result in missing]
        else:
            yield from self._wrapped(f"Not offered, by area: {_by_area(missing)}.")
            # What an installation mends is worth its line.
            messages = dict.fromkeys(result.message for result in missing)
            texts = [message for message in messages if "pip install" in message]
        for text in texts:
            yield from self._wrapped(text, indent="  ", later="    ")

    def _particulars(self, report: Report) -> Iterator[str]:
        yield from self._wrapped(f"Taken for what:\n{report.adapter}", later="  ")
        numbers = ", ".join(f"{name}={value!r}" for name, value in report.profile.items())
        yield from self._wrapped(f"Profile: {numbers or 'none'}.", later="  ")
        versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
        yield from self._wrapped(f"Versions: {versions or 'not recorded'}.", later="  ")

    def _labelled(self, label: str, text: str, *, style: str = "2") -> Iterator[str]:
        if text:
            first, *rest = self._wrapped(
                text, indent=f"{_INDENT}{label:5}  ", later=f"{_INDENT}       "
            )
            at = len(_INDENT) + len(label)
            yield _INDENT + self._painted(label, style) + first[at:]
            yield from rest

    def _cell(self, result: Result | None) -> str:
        if result is None:
            return "    "
        one = outcome(result)
        return "   " + self._painted(one.value, _COLOURS[one])

    def _wrapped(self, text: str, *, indent: str = "", later: str | None = None) -> list[str]:
        """Wrap each line of a text; commands, ids and addresses stay whole."""
        following = indent if later is None else later
        wrapped: list[str] = []
        for line in printable(text).expandtabs().splitlines() or [""]:
            own = " " * (len(line) - len(line.lstrip()))
            wrapped += textwrap.wrap(
                line.strip(),
                self._width,
                initial_indent=(following if wrapped else indent) + own,
                subsequent_indent=following + own,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [indent.rstrip()]
        return wrapped

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text


def _remedy(result: Result) -> str:
    return result.message if result.stale else result.mend or result.message


def _alike(row: Row) -> Outcome | None:
    """Return the outcome that all managers share, if they do."""
    seen = {outcome(result) if result is not None else None for result in row.results}
    return seen.pop() if len(seen) == 1 else None


def _by_area(results: Iterable[Result]) -> str:
    counts = Counter(area(result.check_id) for result in results)
    return ", ".join(f"{name} {count}" for name, count in counts.items())
