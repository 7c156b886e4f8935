"""Pieces of HTML, and numbers in words."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from loadtests.answers import Verdict, counted, milliseconds, seconds
from loadtests.histogram import Histogram
from loadtests.report.series import Unit
from simulators.report.printable import printable

__all__ = [
    "NONE",
    "TINTS",
    "bad",
    "badge",
    "command",
    "listed",
    "number",
    "spoken",
    "table",
    "text",
]

_MEGA, _KILO = 1_000_000, 1_000
_GRAIN = 0.001
NONE = "–"  # noqa: RUF001 - a hyphen is too short to be seen in a cell
"""Stands where there is no value."""

TINTS = {
    Verdict.PASS: ("pass", "good"),
    Verdict.FAIL: ("fail", "bad"),
    Verdict.INCONCLUSIVE: ("unknown", "unsure"),
    Verdict.NOT_OFFERED: ("", "calm"),
}
"""The classes of each verdict: of a strip, and of a badge."""

# A number does not part from its thousands, nor from its unit.
_WHOLE = re.compile(r"(?<=\d) (?=(?:\d{3}|ms|µs|s|kB|MB|bytes|%)\b|%)")


def text(told: object) -> str:
    """Return what came from a run, fit to stand in a page."""
    return _WHOLE.sub("\u00a0", escape(printable(told)))


def number(value: float | None, unit: Unit) -> str:
    """Write a value with its unit; a dash for none."""
    if value is None:
        return NONE
    if unit == "seconds":
        if 0 < value < _GRAIN:
            return f"{value * 1_000_000:.0f} µs"
        return milliseconds(value) if value < 1 or math.isinf(value) else seconds(value)
    if unit == "bytes":
        large = abs(value) >= _MEGA
        return f"{value / _MEGA:.1f} MB" if large else f"{value / _KILO:.1f} kB"
    if unit == "share":
        return f"{value:.0%}".replace("%", " %")
    return counted(round(value))


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a table of HTML cells; a ``#`` before a heading makes a column of numbers."""
    kinds = [' class="number"' if name.startswith("#") else "" for name in head]
    yield f'<div class="box" role="region" aria-label="{caption}" tabindex="0"><table><thead><tr>'
    for name, kind in zip(head, kinds, strict=True):
        yield f'<th scope="col"{kind}>{text(name.removeprefix("#"))}</th>'
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = (f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def listed(told: Mapping[str, str]) -> Iterator[str]:
    """Write names with what is told of each; what is empty is left out."""
    yield "<dl>"
    yield from (
        f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in told.items() if value
    )
    yield "</dl>"


def badge(verdict: Verdict) -> str:
    """Return a verdict as a coloured word."""
    return f'<span class="badge {TINTS[verdict][1]}">{verdict.value}</span>'


def command(words: str) -> str:
    """Return a command to be copied; an option never breaks at its hyphens."""
    spans = " ".join(f'<span class="word">{text(word)}</span>' for word in words.split(" "))
    return f"<pre><code>{spans}</code></pre>"


def spoken(found: Histogram) -> str:
    """Return the durations of a histogram in words."""
    parts = (number(found.quantile(0.5), "seconds"), number(found.quantile(0.99), "seconds"))
    return f"p50 {parts[0]}, p99 {parts[1]}, max {number(found.maximum, 'seconds')}"


def bad(count: int, *, matters: bool = True) -> str:
    """Return a count of what should be 0, marked where it is not and `matters`."""
    told = counted(count)
    return f'<b class="worse">{told}</b>' if count and matters else told
