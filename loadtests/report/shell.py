"""An HTML page that needs no network and no second file: style and scripts are inside it."""

import json
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

from loadtests.report.markup import text

__all__ = ["figure", "shell"]

_VENDOR = resources.files("flock_ws").joinpath("static", "vendor")
"""uPlot with its licence; the application's own page draws with it too."""


def shell(title: str, body: Iterable[str], *, data: Any, script: str, fetches: bool = False) -> str:
    """Return a page.

    Args:
        title: of the window; escaped here, the body is not.
        body: what stands in it, as HTML.
        data: what the script finds as ``data``; None when it finds none.
        script: runs at the end, with ``drawCharts`` at hand.
        fetches: whether it may ask its own server for more. A file has no server: whoever opens
            it can be sure that nothing is fetched.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    policy += "; img-src data:" + ("; connect-src 'self'" if fetches else "")
    # A script ends at the first "</", and an old comment may begin in one.
    embedded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>",
            f"<style>\n{_style()}</style>",
            "</head>",
            "<body>",
            *body,
            f"<script>{_library()}</script>",
            f"<script>const data = {embedded};\n{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def figure(name: str, title: str, *, note: str = "", still: str = "") -> str:
    """Return the place of a chart.

    Args:
        name: of the chart; the script finds the place by it.
        title: the heading.
        note: how to read it.
        still: its static form, for paper and for browsers without scripts.
    """
    told = f"<figcaption>{text(note)}</figcaption>" if note else ""
    return (
        f'<figure data-chart="{text(name)}"><h3>{text(title)}</h3><div class="plot"></div>'
        f"{still}{told}</figure>"
    )


@cache
def _style() -> str:
    ours = resources.files("loadtests.report")
    parts = (
        resources.files("simulators.report").joinpath("page.css"),
        _VENDOR.joinpath("uPlot.min.css"),
        ours.joinpath("page.css"),
    )
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


@cache
def _library() -> str:
    ours = resources.files("loadtests.report")
    vendored = _VENDOR.joinpath("uPlot.iife.min.js").read_text(encoding="utf-8")
    licence = _VENDOR.joinpath("uPlot.LICENSE").read_text(encoding="utf-8")
    # The licence asks to stand in every copy.
    return f"/*\n{licence}*/\n{vendored}\n{ours.joinpath('charts.js').read_text(encoding='utf-8')}"
