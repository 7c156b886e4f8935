"""What of an evidence is worth drawing, with every time turned into a place from 0 to 1.

It knows neither characters nor pixels: `strips` and `lanes` draw it.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from simulators.contract.results import Evidence, Lane
from simulators.report.outcomes import counted
from simulators.report.printable import printable
from simulators.report.scales import TimeScale

__all__ = ["STATES", "Mark", "Picture", "Track", "seconds", "states_in"]

STATES = {
    "healthy": "has read all that was sent",
    "lagging": "has not read all that was sent",
    "stalled": "a send to it waits",
    "dead": "its peer ended the connection",
    "evicted": "the manager closed it",
    "zombie": "out of the pool, still open",
}
"""The states of a lane with their meaning, from harmless to bad."""

_FINE = 400  # places that can be told apart
_MANY_MOMENTS = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a word, at a place of the axis."""

    place: float
    time: float
    what: str


@dataclass(frozen=True, slots=True)
class Track:
    """One client, or several that went through the same.

    Attributes:
        client: its name, or the first one's.
        alike: how many others went through exactly this.
        behaviour: what it did, in words.
        spans: ``(start, end, state)`` with places for start and end.
        marks: moments worth a word.
        happenings: ``(time, what)``: marks and changes of state, in the order of the lane.
    """

    client: str
    alike: int
    behaviour: str
    spans: tuple[tuple[float, float, str], ...]
    marks: tuple[Mark, ...]
    happenings: tuple[tuple[float, str], ...]

    @property
    def name(self) -> str:
        """Name the client, or say how many there are."""
        return f"{self.client} and {self.alike} alike" if self.alike else self.client

    @property
    def calm(self) -> bool:
        """Whether it was healthy all the time; it may still have joined and left."""
        return {state for _start, _end, state in self.spans} <= {"healthy"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An evidence made ready for drawing.

    Attributes:
        scale: the time axis.
        tracks: in the order of the lanes.
        ticks: the places of broadcasts, those that fall together once.
        broadcasts: how many there were.
        left_out: how many clients are not among the tracks.
    """

    scale: TimeScale
    tracks: tuple[Track, ...]
    ticks: tuple[float, ...]
    broadcasts: int
    left_out: int

    @classmethod
    def of(cls, evidence: Evidence, *, tracks: int) -> Self:
        """Return what to draw.

        Args:
            evidence: of one result.
            tracks: the most to draw; those to which nothing happened are left out first.
        """
        scale = TimeScale.of(evidence)
        every = _together(_track(lane, scale) for lane in evidence.lanes)
        wanted = sorted(range(len(every)), key=lambda at: (every[at].calm, -len(every[at].marks)))[
            :tracks
        ]
        drawn = tuple(every[at] for at in sorted(wanted))
        return cls(
            scale,
            drawn,
            tuple(sorted({_rounded(scale.at(tick)) for tick in evidence.ticks})),
            len(evidence.ticks),
            len(evidence.lanes) - sum(1 + track.alike for track in drawn),
        )

    @property
    def states(self) -> tuple[str, ...]:
        """The states that occur, from harmless to bad."""
        seen = {state for track in self.tracks for _start, _end, state in track.spans}
        return tuple(sorted(seen, key=_rank))

    @property
    def captions(self) -> tuple[str, str]:
        """Count what the picture shows and, if anything is, what it leaves out."""
        left_out = f"{counted(self.left_out, 'more client')} not drawn" if self.left_out else ""
        return counted(self.broadcasts, "broadcast"), left_out

    @property
    def moments(self) -> list[tuple[float, str]]:
        """Every change of state and every mark, in order of time, as words.

        Not more than a reader can follow: the rest is counted in a last entry.
        """
        found = [
            (time, f"{track.name}: {what}")
            for track in self.tracks
            for time, what in track.happenings
        ]
        found.sort(key=lambda entry: entry[0])
        if len(found) > _MANY_MOMENTS:
            rest = len(found) - _MANY_MOMENTS
            found[_MANY_MOMENTS:] = [(found[_MANY_MOMENTS][0], f"and {rest} more until the end")]
        return found


def states_in(evidences: Iterable[Evidence]) -> list[str]:
    """Return the states that occur, from harmless to bad."""
    seen = {
        state
        for evidence in evidences
        for lane in evidence.lanes
        for _start, _end, state in lane.spans
    }
    return [state for state in STATES if state in seen] + sorted(seen - set(STATES))


def seconds(time: float) -> str:
    """Write a time as it is read: ``0.5 s``, ``120 s``, ``2.5 ms``."""
    return f"{time * 1000:.3g} ms" if 0 < abs(time) < 0.01 else f"{round(time, 3):g} s"  # noqa: PLR2004  # where decimals of a second stop to be readable


def _track(lane: Lane, scale: TimeScale) -> Track:
    spans = [
        (_rounded(scale.at(start)), _rounded(scale.at(end)), state)
        for start, end, state in lane.spans
    ]
    marks = tuple(
        Mark(_rounded(scale.at(time)), time, printable(what)) for time, what in lane.marks
    )
    if len(spans) > _FINE:
        spans = _worst(spans)
    happenings = [(start, state) for start, _end, state in lane.spans]
    if happenings and happenings[0][1] == "healthy":
        del happenings[0]
    happenings += [(mark.time, mark.what) for mark in marks]
    return Track(
        printable(lane.client),
        0,
        printable(lane.behaviour),
        tuple(spans),
        marks,
        tuple(happenings),
    )


def _worst(spans: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Merge spans too narrow to be told apart: of what falls together, the worst is shown."""
    worst: list[str] = [""] * _FINE
    for start, end, state in spans:
        for place in range(int(start * _FINE), min(int(end * _FINE) + 1, _FINE)):
            if not worst[place] or _rank(state) > _rank(worst[place]):
                worst[place] = state
    merged, place = [], 0
    for state, group in itertools.groupby(worst):
        start, place = place, place + len(list(group))
        if state:
            merged.append((start / _FINE, place / _FINE, state))
    return merged


def _together(tracks: Iterable[Track]) -> list[Track]:
    groups: dict[object, list[Track]] = {}
    for track in tracks:
        marks = tuple((mark.place, mark.what) for mark in track.marks)
        groups.setdefault((track.behaviour, track.spans, marks), []).append(track)
    return [dataclasses.replace(first, alike=len(others)) for first, *others in groups.values()]


def _rank(state: str) -> int:
    """A state that nobody told us of is the worst."""
    return list(STATES).index(state) if state in STATES else len(STATES)


def _rounded(place: float) -> float:
    return round(place, 4)
