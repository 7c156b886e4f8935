"""What the static drawings share: a time axis, shaded windows, moments worth a word.

Places are per cent, so that a drawing takes the width it is given while its letters keep their
size. Labels that need more room than a telephone has stand in groups of class ``wide``, fewer in
``narrow``: the style shows one of them.
"""

from collections.abc import Iterable, Iterator

from loadtests.report.markup import text
from loadtests.report.series import Shade
from simulators.report.scales import TimeScale

__all__ = ["Axis"]

_WIDTHS = {"narrow": 300.0, "wide": 700.0}  # pixels to count on
_LABEL = 54  # pixels of a label with its distance to the next
_EDGE = 0.04  # of the width: room for half a label


class Axis:
    """Run time from left to right.

    Args:
        start: the first moment, in seconds of run time.
        end: the last.
    """

    def __init__(self, start: float, end: float) -> None:
        self._scale = TimeScale(((start, 0.0), (max(end, start + 1.0), 1.0)))

    def place(self, time: float) -> float:
        """Return the place of a moment, in per cent; one outside is at the edge."""
        return round(100 * self._scale.at(time), 3)

    def drawn(self, y: float) -> Iterator[str]:
        """Draw the axis at a height."""
        yield f'<line class="axis" x1="0" x2="100%" y1="{y:g}" y2="{y:g}"/>'
        for size, width in _WIDTHS.items():
            yield f'<g class="{size}">'
            for time in self._scale.labels(distance=_LABEL / width):
                place = self._scale.at(time)
                anchor = "start" if place < _EDGE else "end" if place > 1 - _EDGE else "middle"
                yield (
                    f'<line class="axis" x1="{100 * place:.3g}%" x2="{100 * place:.3g}%"'
                    f' y1="{y:g}" y2="{y + 4:g}"/>'
                    f'<text class="soft" x="{100 * place:.3g}%" y="{y + 16:g}"'
                    f' text-anchor="{anchor}">{time:.3g} s</text>'
                )
            yield "</g>"

    def shaded(self, shades: Iterable[Shade], *, top: float, bottom: float) -> Iterator[str]:
        """Shade windows; to be drawn before everything else."""
        for shade in shades:
            left, right = self.place(shade.start), self.place(shade.end)
            yield (
                f'<rect class="shade" x="{left}%" y="{top:g}" width="{right - left:.3f}%"'
                f' height="{bottom - top:g}"/>'
            )

    def named(self, shades: Iterable[Shade], *, top: float) -> Iterator[str]:
        """Write the windows' names; to be drawn after everything else."""
        for at, shade in enumerate(shades):
            yield (
                f'<text class="soft" x="{self.place(shade.start)}%" dx="4"'
                f' y="{top + 11 + at % 3 * 12:g}">{text(shade.name)}</text>'
            )

    def marked(
        self, marks: Iterable[tuple[float, str]], *, top: float, bottom: float
    ) -> Iterator[str]:
        """Draw moments worth a word over everything."""
        for time, what in marks:
            x = self.place(time)
            anchor, dx = ("end", -4) if x > 50 else ("start", 4)  # noqa: PLR2004 - the middle
            yield (
                f'<line class="moment" x1="{x}%" x2="{x}%" y1="{top:g}" y2="{bottom:g}"/>'
                f'<text class="moment" x="{x}%" dx="{dx}" y="{bottom - 4:g}"'
                f' text-anchor="{anchor}">{text(what)}</text>'
            )
