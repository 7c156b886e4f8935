"""The lanes of an evidence as lines of plain ASCII, for a terminal."""

from simulators.contract.results import Evidence
from simulators.report.pictures import STATES, Picture, Track, seconds
from simulators.report.printable import printable, shortened

__all__ = ["strips"]

_SIGNS = {
    "healthy": "-",
    "lagging": "~",
    "stalled": "#",
    "dead": "+",
    "evicted": "x",
    "zombie": "Z",
}
_UNKNOWN_SIGN = "!"
_NARROWEST = 12
_ROOMY = 28  # columns for time, as long as it is told what each client did
_TELLING = 12  # columns to say what a client did; with fewer it is left out


def strips(evidence: Evidence, *, width: int, tracks: int) -> list[str]:
    """Draw one line for each client, one for the broadcasts, the axis and the legend.

    Args:
        evidence: of one result.
        width: columns.
        tracks: the most clients to draw; those to which nothing happened are left out first.

    Returns:
        Lines without trailing space; none when there was no client.
    """
    if not evidence.lanes:
        return []
    picture = Picture.of(evidence, tracks=tracks)
    names = min(max(len(track.name) for track in picture.tracks), max(width // 4, 22), width // 2)
    doings = max(len(track.behaviour) for track in picture.tracks)
    doings = min(doings, width // 3, width - names - 4 - _ROOMY)
    if doings < _TELLING:
        doings = 0
    heads = [
        f"{shortened(track.name, width=names):{names}}  "
        + (f"{shortened(track.behaviour, width=doings):{doings}}  " if doings else "")
        for track in picture.tracks
    ]
    before = len(heads[0])
    room = max(width - before, _NARROWEST)
    lines = [
        f"{head}{_strip(track, room)}" for head, track in zip(heads, picture.tracks, strict=True)
    ]
    broadcasts, left_out = picture.captions
    if left_out:
        lines.append(left_out)
    if picture.ticks:
        marks = [" "] * room
        for place in picture.ticks:
            marks[_column(place, room)] = "|"
        lines.append(f"{shortened(broadcasts, width=before - 2):{before}}{''.join(marks)}")
    lines.append(" " * before + _axis(picture, room))
    lines += _legend(picture, width)
    return [printable(line.rstrip()) for line in lines]


def _legend(picture: Picture, width: int) -> list[str]:
    lines = [""]
    for state in picture.states:
        entry = f"{_SIGNS.get(state, _UNKNOWN_SIGN)} {state}"
        if len(lines[-1]) + len(entry) > width:
            lines.append("")
        lines[-1] += f"{entry}  "
    return lines


def _strip(track: Track, room: int) -> str:
    signs = [" "] * room
    for state in [*STATES, *{state for *_places, state in track.spans if state not in STATES}]:
        for start, end, here in track.spans:
            if here == state:
                first = _column(start, room)
                # A span ends where the next begins; that column is the next one's.
                last = max(first + 1, _column(end, room) if end < 1 else room)
                signs[first:last] = _SIGNS.get(state, _UNKNOWN_SIGN) * (last - first)
    return "".join(signs)


def _axis(picture: Picture, room: int) -> str:
    line = [" "] * room
    scale = picture.scale
    times = scale.labels(distance=min(12 / room, 1.0))
    # Both ends come first: where there is no room, a label between them is left out.
    for time in [times[0], times[-1], *times[1:-1]]:
        label = seconds(time)
        at = min(_column(scale.at(time), room), room - len(label))
        if all(sign == " " for sign in line[max(at - 1, 0) : at + len(label) + 1]):
            line[at : at + len(label)] = label
    for start, end in scale.cuts:
        middle = _column((scale.at(start) + scale.at(end)) / 2, room)
        if line[middle - 1 : middle + 3] == [" "] * 4:
            line[middle : middle + 2] = "//"
    return "".join(line)


def _column(place: float, room: int) -> int:
    return min(int(place * room), room - 1)
