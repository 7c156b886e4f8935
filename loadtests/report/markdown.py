"""A run as a short text in Markdown, to stand under a pull request."""

import re
from collections.abc import Iterator, Sequence

from loadtests.answers import Answer, Verdict
from loadtests.report.comparison import compare, differences, notable
from loadtests.report.documents import Run
from simulators.report.printable import printable

__all__ = ["render"]

_ORDER = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NOT_OFFERED)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render(runs: Sequence[Run], *, names: Sequence[str] = ()) -> str:
    """Return the text: the verdict of each run, what was asked, and two runs compared.

    What was kept is folded away where it is shown; what was not stands first.

    Args:
        runs: one, or the one before and the one after a change.
        names: what to call them where there are two.
    """
    titles = [*names, *(f"run {at}" for at in range(len(names) + 1, len(runs) + 1))]
    lines: list[str] = []
    for run, name in zip(runs, titles, strict=True):
        lines += _run(run, f"{_text(name)}: " if len(runs) > 1 else "")
    if len(runs) > 1:
        lines += [
            "#### Before and after",
            "",
            "What clearly changed, and what is asked for first.",
            "",
        ]
        if apart := differences(runs[0].record, runs[-1].record):
            lines += [f"Not the same load: {_text('; '.join(apart))}.", ""]
        lines += [f"| metric | {_text(titles[0])} | {_text(titles[-1])} | ratio |"]
        lines += ["| --- | ---: | ---: | ---: |"]
        for row in notable(compare(runs[0].record, runs[-1].record)):
            mark = {True: "better", False: "**worse**", None: ""}[row.better]
            told = f"{row.ratio_told} {mark}".strip()
            lines.append(f"| `{row.name}` | {row.before_told} | {row.after_told} | {told} |")
        lines.append("")
    return "\n".join(lines)


def _run(run: Run, name: str) -> Iterator[str]:
    record, judgement = run.record, run.judgement
    scenario = _text(record.scenario.get("name", ""))
    manager = _text(record.server.manager or record.server.url)
    yield f"### {name}load test {scenario}: {judgement.verdict.value}"
    yield ""
    reason = judgement.line.partition(": ")[2]
    yield f"{manager}: {_text(reason)}."
    yield ""
    if record.command:
        yield from ("```console", f"$ {_code(record.command)}", "```", "")
    open_answers = [one for one in judgement.answers if one.verdict in _ORDER[:2]]
    others = [one for one in judgement.answers if one.verdict not in _ORDER[:2]]
    if open_answers:
        yield from _table(open_answers)
    if others:
        kept = sum(one.verdict is Verdict.PASS for one in others)
        rest = f", {len(others) - kept} not offered" if len(others) > kept else ""
        yield f"<details><summary>{kept} answered as expected{rest}</summary>"
        yield ""
        yield from _table(others)
        yield "</details>"
        yield ""


def _table(answers: Sequence[Answer]) -> Iterator[str]:
    yield "| verdict | question | expected | seen |"
    yield "| --- | --- | --- | --- |"
    for one in sorted(answers, key=lambda one: _ORDER.index(one.verdict)):
        verdict = f"**{one.verdict.value}**" if one.verdict in _ORDER[:2] else one.verdict.value
        cells = (_text(told) for told in (one.question, one.expected, one.seen))
        yield f"| {verdict} | {' | '.join(cells)} |"
    yield ""


def _text(told: object) -> str:
    """Return what came from a run as text that Markdown leaves as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(told).split()))


def _code(told: str) -> str:
    """A fence ends at three backticks."""
    return " ".join(printable(told).split()).replace("```", "'''")
