"""The time axis of a picture: linear, with long stretches in which nothing happens cut short."""

import bisect
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # load tests draw axes too, and need no contract
    from simulators.contract.results import Evidence

__all__ = ["TimeScale"]

_LONG = 1 / 12  # of the whole: a stretch without an event that may be cut
_QUIET = 4.0  # times as long as the eventful rest: together they are worth cutting
_CUT_SHARE = 0.45  # of the axis, for all that is cut
_INSTANT = 1e-9  # seconds that nobody can see: what is no further apart is one moment
_ROUND = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Turns a time into a place from 0 to 1.

    Attributes:
        knots: ``(time, place)``, rising; linear between two of them.
        cuts: the stretches, as ``(start, end)`` in time, that are drawn shorter than they were.
    """

    knots: tuple[tuple[float, float], ...]
    cuts: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, evidence: "Evidence") -> Self:
        """Return the scale on which what happened can be seen.

        A heartbeat every two minutes and a timeout of half a second do not go on one linear axis.
        When the stretches without any event are far longer than the rest, they are cut.
        """
        moments = _moments(evidence)
        stretches = list(itertools.pairwise(moments))
        whole = moments[-1] - moments[0]
        cuts = tuple(pair for pair in stretches if pair[1] - pair[0] > whole * _LONG)
        quiet = sum(end - start for start, end in cuts)
        busy = whole - quiet
        # A single short stretch is a moment with a little width: it needs no room.
        if len(stretches) - len(cuts) < 2 or quiet <= _QUIET * busy:  # noqa: PLR2004  # see above
            return cls(((moments[0], 0.0), (moments[-1], 1.0)))
        knots, place = [(moments[0], 0.0)], 0.0
        for start, end in stretches:
            share = _CUT_SHARE / quiet if (start, end) in cuts else (1 - _CUT_SHARE) / busy
            place += (end - start) * share
            knots.append((end, min(place, 1.0)))
        knots[-1] = (moments[-1], 1.0)
        return cls(tuple(knots), cuts)

    @property
    def start(self) -> float:
        """The first time on the axis."""
        return self.knots[0][0]

    @property
    def end(self) -> float:
        """The last time on the axis."""
        return self.knots[-1][0]

    def at(self, time: float) -> float:
        """Return the place of a time; one outside the axis is at its end."""
        if not time > self.start:
            return 0.0
        if time >= self.end:
            return 1.0
        after = bisect.bisect_right(self.knots, time, key=lambda knot: knot[0])
        (left, place), (right, next_place) = self.knots[after - 1], self.knots[after]
        return place + (next_place - place) * (time - left) / (right - left)

    def labels(self, *, distance: float) -> list[float]:
        """Return times to write at the axis.

        Both ends are always among them, then the ends of what was cut, then round numbers.

        Args:
            distance: the least between two places.
        """
        chosen = [self.start, self.end]
        edges = [edge for cut in self.cuts for edge in cut]
        for time in [*edges, *self._round(distance)]:
            place = self.at(time)
            if all(abs(place - self.at(other)) >= distance for other in chosen):
                chosen.append(time)
        return sorted(chosen)

    def _round(self, distance: float) -> Iterable[float]:
        for (left, place), (right, next_place) in itertools.pairwise(self.knots):
            if (left, right) in self.cuts:
                continue
            step = _step((right - left) / (next_place - place) * distance)
            first = math.ceil(left / step)
            yield from (step * n for n in range(first, math.floor(right / step) + 1))


def _moments(evidence: "Evidence") -> list[float]:
    """Return when anything happened, from 0 to the end: at least two different times."""
    times = {0.0, evidence.ends_at, *evidence.ticks}
    for lane in evidence.lanes:
        times.update(edge for start, end, _state in lane.spans for edge in (start, end))
        times.update(time for time, _what in lane.marks)
    moments = sorted(time for time in times if math.isfinite(time) and time >= 0)
    # What is a rounding error apart is one moment.
    apart = [moments[0]]
    for time in moments[1:]:
        if time - apart[-1] > max(moments[-1] * 1e-9, _INSTANT):
            apart.append(time)
    return apart if len(apart) > 1 else [0.0, 1.0]


def _step(least: float) -> float:
    """Return the round number that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in _ROUND if power * factor >= least * (1 - 1e-9))
