"""The report as one HTML page that needs no network, no script and no second file.

Its style is `page.css`, put into the page. The few lines of script open what is folded before
printing, for browsers that would print it folded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from itertools import groupby

from simulators.contract.results import Report, Result
from simulators.report.lanes import drawn, key
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
from simulators.report.pictures import Picture, seconds, states_in
from simulators.report.printable import printable

__all__ = ["render"]

_TRACKS = 14
_MANY_MANAGERS = 4  # more names than this stand upright, to keep the matrix narrow
_MANY_FINDINGS = 40  # more than this start folded

_LETTERS = {
    Outcome.BROKEN: ("F", "bad"),
    Outcome.WEAK: ("f", "weak"),
    Outcome.SURPRISE: ("X", "bad"),
    Outcome.UNKNOWN: ("?", "unsure"),
    Outcome.EXPECTED: ("x", "calm"),
    Outcome.NOT_OFFERED: ("–", "calm"),  # noqa: RUF001  # a hyphen is too short to be seen in a cell
    Outcome.KEPT: ("✓", "good"),
}
_BADGES = {"fail": "bad", "pass": "good", "unknown": "unsure"}
_SCRIPT = (
    "addEventListener('beforeprint',()=>document.querySelectorAll('details')"
    ".forEach(one=>{one.open=true}))"
)
# Nothing may be fetched: whoever opens the page can be sure of it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def render(reports: Sequence[Report], *, options: Sequence[str] = ()) -> str:
    """Return the page: verdicts, the matrix of checks and managers, what broke, the rest.

    The same reports give the same text: it holds no date.

    Args:
        reports: one for each manager.
        options: what else was typed; it goes into the commands that repeat a check.
    """
    style = resources.files("simulators.report").joinpath("page.css").read_text(encoding="utf-8")
    writer = _Writer(reports, options)
    title = _title(reports)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{_text(title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<header>",
            f"<h1>{_text(title)}</h1>",
            *writer.summary(),
            "</header>",
            "<main>",
            *writer.verdicts(),
            *writer.matrix(),
            *writer.findings(),
            *writer.rest(),
            "</main>",
            *writer.footer(),
            f"<script>{_SCRIPT}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


class _Writer:
    def __init__(self, reports: Sequence[Report], options: Sequence[str]) -> None:
        self._reports = reports
        self._options = options
        self._sorts = [sorted_out(report) for report in reports]
        self._mending = [
            [result for one in MENDING for result in sorts[one]] for sorts in self._sorts
        ]

    def summary(self) -> Iterator[str]:
        if len(self._reports) == 1:
            yield f"<p>{_text(tally(self._reports[0]))}.</p>"
            return
        kept = sum(report.verdict == "pass" for report in self._reports)
        word = verdict(self._reports)
        yield (
            f"<p>{_badge(word)} {kept} of {counted(len(self._reports), 'manager')} "
            "kept every MUST that they offer.</p>"
        )

    def verdicts(self) -> Iterator[str]:
        yield '<section aria-label="Verdicts">'
        if len(self._reports) > 1:
            yield "<h2>Verdicts</h2>"
        compact = len(self._reports) > _MANY_MANAGERS
        yield f'<ul class="verdicts{" compact" if compact else ""}">'
        for number, report in enumerate(self._reports, start=1):
            clause = headline(report)
            command = _command(repeat(report, options=self._options))
            yield f'<li class="{report.verdict}" id="m{number}">'
            yield f"<h3>{_badge(report.verdict)} <code>{_text(report.manager)}</code></h3>"
            yield f"<p>{_text(clause[0].upper() + clause[1:])}.</p>"
            if not compact:
                yield command
            yield '<details class="plain"><summary>How it was checked</summary>'
            if compact:
                yield command
            yield from self._particulars(report)
            yield "</details></li>"
        yield "</ul></section>"

    def matrix(self) -> Iterator[str]:
        table = rows(self._reports)
        if not table:
            return
        alone = len(self._reports) == 1
        heading = "Checks" if alone else "Checks and managers"
        names = "alone" if alone else "many" if len(self._reports) > _MANY_MANAGERS else "several"
        yield f'<section aria-labelledby="matrix"><h2 id="matrix">{heading}</h2>'
        yield '<div class="box" role="region" aria-labelledby="matrix" tabindex="0">'
        yield f'<table class="{names}"><caption class="hidden">{heading}</caption>'
        yield '<thead><tr><th scope="col">check</th>'
        if alone:
            yield '<th scope="col" class="who">verdict</th>'
            yield '<th scope="col" class="seen">what was seen</th>'
        else:
            for number, report in enumerate(self._reports, start=1):
                # It may break after a point or colon, and nowhere else.
                name = re.sub(r"(?<=[.:/])(?=\w)", "<wbr>", _text(report.manager))
                link = f'<a href="#m{number}"><span>{name}</span></a>'
                yield f'<th scope="col" class="who">{link}</th>'
        yield "</tr></thead>"
        across = 3 if alone else 1 + len(self._reports)
        for name, members in groupby(table, key=lambda row: area(row.check_id)):
            yield (
                f'<tbody><tr><th scope="rowgroup" class="area" colspan="{across}">'
                f"{_text(name)}</th></tr>"
            )
            for row in members:
                yield from self._row(row, alone=alone)
            yield "</tbody>"
        yield "</table></div>"
        yield from _letters(result for report in self._reports for result in report.results)
        yield "</section>"

    def findings(self) -> Iterator[str]:
        if not any(self._mending):
            return
        evidences = [
            result.evidence
            for mending in self._mending
            for result in mending
            if result.evidence is not None and not result.stale
        ]
        yield '<section aria-labelledby="broken"><h2 id="broken">What to mend</h2>'
        if states := states_in(evidences):
            yield key(states)
        folded = sum(map(len, self._mending)) > _MANY_FINDINGS
        for number, report in enumerate(self._reports, start=1):
            if not self._mending[number - 1]:
                continue
            if len(self._reports) > 1:
                yield f"<h3><code>{_text(report.manager)}</code></h3>"
            for result in self._mending[number - 1]:
                yield from self._finding(number, report, result, folded=folded)
        yield "</section>"

    def rest(self) -> Iterator[str]:
        yield '<section aria-labelledby="rest"><h2 id="rest">Everything else</h2>'
        for report, sorts in zip(self._reports, self._sorts, strict=True):
            if len(self._reports) > 1:
                yield f"<h3><code>{_text(report.manager)}</code></h3>"
            for one in Outcome:
                if one in MENDING or not sorts[one]:
                    continue
                is_open = " open" if one is Outcome.UNKNOWN else ""
                heading = f"{len(sorts[one])} {one.meaning}"
                yield f'<details class="plain"{is_open}><summary>{heading}</summary>'
                yield '<ul class="folded">'
                for result in sorts[one]:
                    said = result.expected if one is Outcome.EXPECTED else result.message
                    yield (
                        f"<li><code>{_id(result.check_id)}</code> {_level(result.level)} "
                        f'<span class="said">{_text(said or "")}</span></li>'
                    )
                yield "</ul></details>"
        yield "</section>"

    def footer(self) -> Iterator[str]:
        versions = {
            f"{name} {number}"
            for report in self._reports
            for name, number in report.versions.items()
        }
        elapsed = sum(report.elapsed for report in self._reports)
        took = f"Checked in {elapsed:.1f} s. " if elapsed else ""
        known = f"With {', '.join(sorted(versions))}. " if versions else ""
        clock = "Times in the pictures are the checks' own."
        yield f"<footer><p>{took}{_text(known)}{clock}</p></footer>"

    def _row(self, row: Row, *, alone: bool) -> Iterator[str]:
        yield (
            f'<tr><th scope="row"><span class="check {row.level.lower()}">'
            f"<code>{_id(row.check_id)}</code>{_level(row.level)}</span></th>"
        )
        for number, result in enumerate(row.results, start=1):
            yield _cell(number, result)
            if alone and result is not None:
                yield f'<td class="seen said">{_text(result.message)}</td>'
        yield "</tr>"

    def _finding(
        self, number: int, report: Report, result: Result, *, folded: bool
    ) -> Iterator[str]:
        one = outcome(result)
        name = _anchor(number, result)
        is_open = "" if folded else " open"
        word = "PASSED" if one is Outcome.SURPRISE else result.level
        facts = [defect_names(result)] if result.defects else []
        facts += ["real sockets"] if result.tier == "sockets" else []
        yield f'<details class="finding" id="{name}"{is_open}>'
        yield (
            f'<summary><span class="badge {_LETTERS[one][1]}">{word}</span>'
            f' <code class="id">{_id(result.check_id)}</code> '
            f'<span class="soft">{_text(" · ".join(facts))}</span></summary><div>'
        )
        yield f'<p class="said">{_text(result.message)}</p>'
        if not result.stale:
            yield from self._evidence(result, name)
            if result.why:
                yield f"<p><b>Why it matters.</b> {_text(result.why)}</p>"
            if result.mend:
                yield f'<div class="mend"><p><b>How to mend it.</b> {_text(result.mend)}</p></div>'
        yield _command(repeat(report, result, options=self._options))
        yield "</div></details>"

    def _evidence(self, result: Result, name: str) -> Iterator[str]:
        evidence = result.evidence
        if evidence is None:
            return
        if evidence.lanes:
            picture = Picture.of(evidence, tracks=_TRACKS)
            title = f"What the clients of {result.check_id} went through"
            yield f"<figure>{drawn(picture, title=title, name=name)}"
            if left_out := picture.captions[1]:
                yield f"<figcaption>{_text(left_out)}</figcaption>"
            yield "</figure>"
            if moments := picture.moments:
                yield '<details class="plain"><summary>Moments in words</summary><dl>'
                for time, what in moments:
                    yield f"<dt>{seconds(time)}</dt><dd>{_text(what)}</dd>"
                yield "</dl></details>"
        if evidence.lines:
            lines = "\n".join(map(_text, evidence.lines))
            yield f"<pre>{lines}</pre>"

    def _particulars(self, report: Report) -> Iterator[str]:
        known = {"taken for what": report.adapter} if report.adapter else {}
        if report.profile:
            numbers = (f"{name} = {value!r}" for name, value in report.profile.items())
            known["profile"] = "\n".join(numbers)
        known["seed"] = str(report.seed)
        if report.elapsed:
            known["took"] = f"{report.elapsed:.1f} s"
        yield "<dl>"
        yield from (f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in known.items())
        yield "</dl>"


def _title(reports: Sequence[Report]) -> str:
    if len(reports) == 1:
        return f"Does {reports[0].manager} keep the broadcast contract?"
    return f"The broadcast contract: {counted(len(reports), 'manager')}"


def _cell(number: int, result: Result | None) -> str:
    if result is None:
        return '<td class="cell"><span class="hidden">did not run</span></td>'
    one = outcome(result)
    letter, tint = _LETTERS[one]
    inner = f'<span aria-hidden="true">{letter}</span><span class="hidden">{one.meaning}</span>'
    if one in MENDING:
        return (
            f'<td class="cell"><a class="{tint}" href="#{_anchor(number, result)}">{inner}</a></td>'
        )
    return f'<td class="cell"><span class="{tint}">{inner}</span></td>'


def _letters(results: Iterable[Result]) -> Iterator[str]:
    present = {outcome(result) for result in results}
    yield '<ul class="letters">'
    for one, (letter, tint) in _LETTERS.items():
        if one in present:
            yield f'<li><b class="{tint}">{letter}</b>{one.meaning}</li>'
    yield "</ul>"


def _anchor(number: int, result: Result) -> str:
    return f"m{number}-{escape(result.check_id.replace('.', '-'))}"


def _id(check_id: str) -> str:
    """It may break after a point and between words."""
    return re.sub(r"(?<=[._])(?=\w)", "<wbr>", _text(check_id))


def _command(words: str) -> str:
    """An option never breaks at its hyphens."""
    spans = " ".join(f'<span class="word">{_text(word)}</span>' for word in words.split(" "))
    return f"<pre><code>{spans}</code></pre>"


def _badge(word: str) -> str:
    return f'<span class="badge {_BADGES[word]}">{word.upper()}</span>'


def _level(level: str) -> str:
    return f'<span class="level">{f"<b>{level}</b>" if level == "MUST" else level}</span>'


def _text(text: object) -> str:
    return escape(printable(text))
