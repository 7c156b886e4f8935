"""The latency heat map: when a delivery was due, how late it came, and how many did so."""

import math
from collections.abc import Iterable, Iterator, Mapping

from loadtests.answers import counted
from loadtests.case import Case
from loadtests.histogram import Histogram
from loadtests.record import Record
from loadtests.report.axes import Axis
from loadtests.report.markup import number
from loadtests.report.series import DUE, Chart, healthy_names, merged, span

__all__ = ["drawn"]

_COLUMNS = 120
_ROW, _TOP = 11, 6
_STEPS = (1.0, 1.5, 2.2, 3.3, 5.0, 7.0)  # rows of one decade
_LEAST = -4  # the decade that is the clock's grain
_SHADES = 8
_STRETCHED = 'preserveAspectRatio="none" shape-rendering="crispEdges"'
_CLEARLY = 0.05
_NEVER = f'<text class="soft" x="100%" dx="-2" text-anchor="end" y="{_TOP + 9}">never came</text>'


def drawn(record: Record, deliveries: Chart) -> str:
    """Return an ``<svg>`` and its key; empty when nothing was measured.

    Args:
        record: of the run.
        deliveries: the chart of that name; its windows are shaded here too.
    """
    begins, ends = span(record)
    step = max(1, math.ceil((ends - begins) / _COLUMNS))
    found = merged(record, healthy_names(record), step=step)
    found = {second: one for second, one in found.items() if one.count}
    if not found:
        return ""
    edges = _edges(found.values())
    cells = {second: one.between(edges) for second, one in found.items()}
    most = max(max(counts) for counts in cells.values())
    case = Case.of(record)
    # When an event was due is known to the second only; whether any was lost is known exactly.
    lost = any(case.missed(client) for client in case.healthy)
    never = _never(deliveries, found, step, slack=2 * len(case.healthy)) if lost else []
    rows = len(edges) + (3 if never else 1)
    axis, bottom = Axis(begins, ends), _TOP + rows * _ROW
    ways: dict[int, list[str]] = {}
    for second, counts in cells.items():
        left, right = axis.place(second), axis.place(second + step)
        for row, count in enumerate(counts):
            if count:
                y = _TOP + (rows - 1 - row) * _ROW
                way = f"M{left:.2f} {y}H{right:.2f}v{_ROW}H{left:.2f}z"
                ways.setdefault(_shade(count, most), []).append(way)
    gone = [
        f"M{axis.place(second):.2f} {_TOP}H{axis.place(second + step):.2f}v{_ROW}"
        f"H{axis.place(second):.2f}z"
        for second in never
    ]
    parts = list(axis.shaded(deliveries.shades, top=_TOP, bottom=bottom))
    parts += [
        f'<svg x="0" y="0" width="100%" height="{bottom}" viewBox="0 0 100 {bottom}" {_STRETCHED}>',
        *(
            f'<path class="heat" fill-opacity="{(shade + 1) / _SHADES:.3g}" d="{"".join(way)}"/>'
            for shade, way in sorted(ways.items())
        ),
        *([f'<path class="never" d="{"".join(gone)}"/>'] if gone else []),
        "</svg>",
        *([_NEVER] if gone else []),
        *_labels(edges, rows),
        *axis.named(deliveries.shades, top=_TOP),
        *axis.marked(deliveries.marks, top=_TOP, bottom=bottom),
        *axis.drawn(bottom),
    ]
    return (
        f'<svg class="lanes heat-map" xmlns="http://www.w3.org/2000/svg" width="100%"'
        f' height="{bottom + 22}" role="img" aria-label="Latency of the healthy as a heat map">'
        f"{''.join(parts)}</svg>{_key(most)}"
    )


def _edges(histograms: Iterable[Histogram]) -> list[float]:
    """Return the rows' borders: six to a decade, over the decades that occur."""
    lows, highs = zip(*((one.minimum, one.maximum) for one in histograms), strict=True)
    first = max(_LEAST, math.floor(math.log10(max(min(lows), 10.0**_LEAST))))
    last = max(first + 1, math.ceil(math.log10(max(*highs, 10.0**_LEAST))))
    return [10.0**power * part for power in range(first, last) for part in _STEPS]


def _never(
    deliveries: Chart, found: Mapping[int, Histogram], step: int, *, slack: int
) -> list[int]:
    """Return the steps in which clearly more was due to the healthy than ever came."""
    due = next((line.values for line in deliveries.lines if line.name == DUE), ())
    wanted: dict[int, float] = {}
    width = deliveries.times[1] - deliveries.times[0] if len(deliveries.times) > 1 else 1.0
    for time, value in zip(deliveries.times, due, strict=False):
        begin = int(time) // step * step
        wanted[begin] = wanted.get(begin, 0.0) + (value or 0.0) * width
    return [
        begin
        for begin, count in wanted.items()
        if count - (found[begin].count if begin in found else 0) > max(count * _CLEARLY, slack)
    ]


def _labels(edges: list[float], rows: int) -> Iterator[str]:
    for row, edge in enumerate(edges, start=1):
        if (row - 1) % len(_STEPS) == 0:
            y = _TOP + (rows - row) * _ROW
            yield f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
            yield (
                f'<text class="soft" x="100%" dx="-2" text-anchor="end" y="{y - 2}">'
                f"{number(edge, 'seconds')}</text>"
            )


def _shade(count: int, most: int) -> int:
    """A single late delivery must be seen beside a thousand in time: logarithmic."""
    return round((_SHADES - 1) * math.log(count) / math.log(most)) if most > 1 else _SHADES - 1


def _key(most: int) -> str:
    signs = "".join(
        f'<rect class="heat" x="{at * 14}" width="14" height="10"'
        f' fill-opacity="{(at + 1) / _SHADES:.3g}"/>'
        for at in range(_SHADES)
    )
    return (
        '<ul class="key"><li>deliveries in one cell: 1'
        f'<svg width="{14 * _SHADES}" height="10" aria-hidden="true">{signs}</svg>'
        f"{counted(most)}</li></ul>"
    )
