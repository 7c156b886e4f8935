"""A chart as a static SVG: what paper shows, and a browser without scripts."""

import math
from collections.abc import Callable, Iterator

from loadtests.report.axes import Axis
from loadtests.report.markup import number, text
from loadtests.report.series import Chart, Line

__all__ = ["drawn"]

_HEIGHT, _TOP = 190, 6
_LEAST = 1e-4  # seconds: less than this is the clock's grain
_GRID = 4
_GRAINS = {"count": 1.0, "per second": 1.0, "bytes": 100.0, "share": 0.01, "seconds": 1e-6}
"""What a label can tell apart: a finer grid would repeat it."""


def drawn(chart: Chart, *, span: tuple[float, float]) -> str:
    """Return an ``<svg>`` and the key of its lines.

    Args:
        chart: what to draw.
        span: of the run: all drawings of it have one time axis.
    """
    axis, bottom = Axis(*span), _TOP + _HEIGHT
    low, high = _range(chart)

    def height(value: float) -> float:
        share = (_level(chart, value) - low) / (high - low)
        return _TOP + (1 - min(max(share, 0.0), 1.0)) * _HEIGHT

    parts = list(axis.shaded(chart.shades, top=_TOP, bottom=bottom))
    for value in _ticks(chart, low, high):
        y = height(value)
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft" x="100%" dx="-2" text-anchor="end" y="{y - 3:.1f}">'
            f"{number(value, chart.unit)}</text>"
        )
    # Its own coordinates, stretched: a path knows no per cent.
    parts.append(
        f'<svg x="0" y="0" width="100%" height="{bottom}" viewBox="0 0 100 {bottom}"'
        ' preserveAspectRatio="none">'
    )
    for at, line in enumerate(chart.lines):
        way = "".join(_path(chart, line, axis, height))
        kind = "dashed" if line.dashed else f"line-{at % 8}"
        parts.append(f'<path class="line {kind}" d="{way}"/>')
    parts += ["</svg>", *axis.named(chart.shades, top=_TOP)]
    parts += [*axis.marked(chart.marks, top=_TOP, bottom=bottom), *axis.drawn(bottom)]
    keys = "".join(
        f'<li><svg width="22" height="10" aria-hidden="true"><path class="line'
        f' {"dashed" if line.dashed else f"line-{at % 8}"}" d="M1 5H21"/></svg>'
        f"{text(line.name)}</li>"
        for at, line in enumerate(chart.lines)
    )
    return (
        f'<svg class="lanes still" xmlns="http://www.w3.org/2000/svg" width="100%"'
        f' height="{bottom + 22}" role="img" aria-label="{text(chart.title)}">'
        f'{"".join(parts)}</svg><ul class="key still">{keys}</ul>'
    )


def _path(chart: Chart, line: Line, axis: Axis, height: Callable[[float], float]) -> Iterator[str]:
    pen = "M"
    for time, value in zip(chart.times, line.values, strict=True):
        if value is None:
            pen = "M"
            continue
        x, y = axis.place(time), height(value)
        # A value between two gaps is a short dash, or it would not be seen.
        yield f"M{x:.2f} {y:.1f}h.1" if pen == "M" else f"L{x:.2f} {y:.1f}"
        pen = "L"


def _level(chart: Chart, value: float) -> float:
    return math.log10(max(value, _LEAST)) if chart.logarithmic else value


def _range(chart: Chart) -> tuple[float, float]:
    values = [value for line in chart.lines for value in line.values if value is not None]
    if chart.logarithmic:
        levels = [_level(chart, value) for value in values]
        low, high = math.floor(min(levels)), math.ceil(max(levels))
        return low, max(high, low + 1)
    return 0.0, max(max(values) * 1.08, _GRAINS[chart.unit])


def _ticks(chart: Chart, low: float, high: float) -> list[float]:
    if chart.logarithmic:
        return [10.0**power for power in range(round(low), round(high) + 1)]
    power = 10.0 ** math.floor(math.log10(high / _GRID))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _GRID >= high * 0.8)
    step = max(step, _GRAINS[chart.unit])
    return [step * at for at in range(1, int(high / step) + 1)]
