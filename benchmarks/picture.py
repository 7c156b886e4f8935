"""A bar chart as a static SVG: no script, no font, readable on light and on dark ground."""

from collections.abc import Sequence
from html import escape

__all__ = ["chart"]

_WIDTH = 820
_LABEL = 250
_BAR = 16
_ROW = 24
_OURS, _OTHERS, _FLOOR = "#2f7ed8", "#9aa5b1", "#5ab58a"


def chart(
    title: str,
    panels: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]],
    *,
    note: str,
    ours: Sequence[str] = (),
    floor: Sequence[str] = (),
) -> str:
    """Return a picture of horizontal bars.

    Args:
        title: the heading.
        panels: each with a heading and rows of name, median, least and most.
        note: below the picture; a new line after each semicolon.
        ours: names that are drawn in our colour.
        floor: names that are drawn as what cannot be beaten.
    """
    lines: list[str] = []
    y = 56
    for heading, rows in panels:
        lines.append(f'<text x="16" y="{y}" class="h">{escape(heading)}</text>')
        y += 14
        longest = max((row[1] for row in rows), default=1) or 1
        room = _WIDTH - _LABEL - 100
        for name, median, least, most in rows:
            width = max(1.0, median / longest * room)
            colour = _OURS if name in ours else _FLOOR if name in floor else _OTHERS
            low, high = (
                _LABEL + min(room * 1.06, value / longest * room) for value in (least, most)
            )
            middle = y + _BAR / 2
            lines += [
                f'<text x="{_LABEL - 8}" y="{y + 13}" class="n">{escape(name)}</text>',
                f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
                f'<path d="M{low:.1f} {middle}H{high:.1f}" class="s"/>',
                f'<text x="{max(_LABEL + width, high) + 6:.1f}" y="{y + 13}">{median:.2f}</text>',
            ]
            y += _ROW
        y += 26
    for line in note.split("; "):
        lines.append(f'<text x="16" y="{y - 8}" class="f">{escape(line)}</text>')
        y += 15
    height = y
    style = (
        "text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-size:16px;font-weight:600}"
        ".h{font-weight:600}.n{text-anchor:end}.f{font-size:11px}"
        ".s{stroke:#57606a;stroke-width:1.5;fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#adbac7}.s{stroke:#adbac7}}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<text x="16" y="28" class="t">{escape(title)}</text>',
            *lines,
            "</svg>",
            "",
        ]
    )
