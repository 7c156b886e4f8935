"""The lanes of an evidence as static SVG, to stand in a page that has the style of `page.css`.

Places are per cent, so that a picture takes the width it is given while its letters keep their
size. What needs more room than a telephone has stands in groups of class ``wide``, its smaller
version in ``narrow``: the style shows one of them.
"""

from collections.abc import Iterable, Iterator
from html import escape

from simulators.report.pictures import STATES, Mark, Picture, Track, seconds
from simulators.report.printable import printable, shortened

__all__ = ["drawn", "key"]

_WIDTHS = {"narrow": 300.0, "wide": 640.0}  # pixels to count on
_LETTER = 6.2  # pixels, of the style's 11
_TOP, _LABEL, _BAR, _NOTE, _GAP, _AXIS = 30, 16, 16, 13, 12, 22
_LIFELINES = 80  # more broadcasts than this would hide the lanes behind them
_NOTE_LETTERS = 44


def drawn(picture: Picture, *, title: str, name: str) -> str:
    """Return an ``<svg>`` with the broadcasts on top, a lane for each client, and the time axis.

    It holds no script and refers to nothing outside of itself but the classes of its style.

    Args:
        picture: of one evidence.
        title: read out by screen readers.
        name: unique in the page; a word that may be an XML id.
    """
    heights = [_LABEL + _BAR + (_NOTE if track.marks else 0) + _GAP for track in picture.tracks]
    bottom = _TOP + sum(heights)
    parts = [*_cuts(picture, bottom), *_broadcasts(picture, bottom)]
    top = _TOP
    for track, height in zip(picture.tracks, heights, strict=True):
        parts += _lane(track, top)
        top += height
    parts += _axis(picture, bottom)
    told = ". ".join(f"{seconds(time)}, {what}" for time, what in picture.moments)
    return (
        f'<svg class="lanes" xmlns="http://www.w3.org/2000/svg" width="100%" '
        f'height="{bottom + _AXIS}" role="img" aria-labelledby="{name}-title {name}-told">'
        f'<title id="{name}-title">{_text(title)}</title>'
        f'<desc id="{name}-told">{_text(picture.captions[0])}. {_text(told)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def key(states: Iterable[str]) -> str:
    """Return a list of the states with their signs and what they mean, as HTML."""
    items = (
        f'<li><svg class="lanes" width="34" height="{_BAR}" aria-hidden="true">'
        f"{''.join(_span(0.0, 1.0, state, 0, labelled=False))}</svg>"
        f"<b>{_text(state)}</b> {_text(STATES.get(state, 'not known to this version'))}</li>"
        for state in states
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def _broadcasts(picture: Picture, bottom: int) -> Iterator[str]:
    if not picture.ticks:
        yield '<text class="soft" x="0" y="12">no broadcast</text>'
        return
    yield f'<text class="soft" x="0" y="12">{picture.captions[0]}</text>'
    lines = picture.ticks if len(picture.ticks) <= _LIFELINES else ()
    for place in lines:
        yield f'<line class="lifeline" {_at(place)} y1="{_TOP}" y2="{bottom}"/>'
    for place in picture.ticks:
        yield f'<line class="tick" {_at(place)} y1="18" y2="26"/>'


def _lane(track: Track, top: int) -> Iterator[str]:
    yield f"<g><title>{_text(f'{track.name}: {track.behaviour}')}</title>"
    for size, width in _WIDTHS.items():
        letters = int(width / _LETTER)
        who = shortened(track.name, width=letters // 2)
        doing = shortened(track.behaviour, width=letters - len(who) - 2)
        yield (
            f'<text class="{size}" x="0" y="{top + 11}"><tspan class="who">{_text(who)}</tspan>'
            f'<tspan class="soft" dx="7">{_text(doing)}</tspan></text>'
        )
    for start, end, state in track.spans:
        yield from _span(start, end, state, top + _LABEL, labelled=True)
    if track.marks:
        y = top + _LABEL + _BAR
        for mark in track.marks:
            yield (
                f'<svg x="{_percent(mark.place)}" y="{y}" class="over"><path class="mark" '
                f'd="M0,-1 L3.5,5 L-3.5,5 Z"><title>{_text(_moment(mark))}</title></path></svg>'
            )
        for size, width in _WIDTHS.items():
            notes = "".join(_notes(track.marks, width, y + _NOTE - 1))
            yield f'<g class="{size} note">{notes}</g>'
    yield "</g>"


def _span(start: float, end: float, state: str, top: int, *, labelled: bool) -> Iterator[str]:
    """Draw a state: each has a form of its own, so that none needs its colour to be told."""
    x, width = _percent(start), _percent(max(end - start, 0.0))
    kind = state if state in STATES else "other"
    if kind in {"evicted", "dead"}:
        middle = top + _BAR - 3
        yield (
            f'<line class="s-{kind}" x1="{x}" x2="{_percent(end)}" y1="{middle}" y2="{middle}"/>'
        )
        sign = "M-4,-4 L4,4 M-4,4 L4,-4" if kind == "evicted" else "M-4,-4 H4 V4 H-4 Z"
        # At the very edge half a sign would be cut off.
        nudge = 5 if start == 0 else 0
        yield (
            f'<svg x="{x}" y="{middle}" class="over">'
            f'<path class="g-{kind}" transform="translate({nudge} 0)" d="{sign}"/></svg>'
        )
    elif kind == "zombie":
        yield (
            f'<rect class="s-zombie" x="{x}" y="{top + 1}" width="{width}" height="{_BAR - 2}"/>'
        )
    else:
        height = {"healthy": 6, "lagging": 10}.get(kind, _BAR)
        y = top + _BAR - height if kind in {"healthy", "lagging"} else top
        yield f'<rect class="s-{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>'
    if labelled and state not in {"healthy", "lagging"}:
        room = len(state) * _LETTER + 14
        for size in ("", "wide"):
            if (end - start) * _WIDTHS[size or "narrow"] >= room:
                y = top + (_BAR - 7 if kind in {"evicted", "dead"} else 12)
                yield (
                    f'<svg x="{x}" y="{y}" class="over {size}">'
                    f'<text class="t-{kind}" x="7">{_text(state)}</text></svg>'
                )
                break


def _notes(marks: Iterable[Mark], width: float, y: int) -> Iterator[str]:
    """Write the words of as many marks as have room beside each other."""
    free = 0.0
    for mark in marks:
        said = shortened(mark.what, width=_NOTE_LETTERS)
        long = len(said) * _LETTER / width
        left = mark.place - 8 / width - long
        if mark.place >= free and mark.place + 8 / width + long <= 1:
            yield _note(mark.place, 7, "start", said, y)
            free = mark.place + (16 / width) + long
        elif left >= free:
            yield _note(mark.place, -7, "end", said, y)
            free = mark.place + 16 / width


def _note(place: float, dx: int, anchor: str, said: str, y: int) -> str:
    return (
        f'<text x="{_percent(place)}" dx="{dx}" y="{y}" text-anchor="{anchor}">{_text(said)}</text>'
    )


def _axis(picture: Picture, y: int) -> Iterator[str]:
    scale = picture.scale
    yield f'<line class="axis" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
    for size, width in _WIDTHS.items():
        yield f'<g class="{size}">'
        for time in scale.labels(distance=62 / width):
            place = scale.at(time)
            anchor = "start" if place < 0.04 else "end" if place > 0.96 else "middle"  # noqa: PLR2004  # room for half a label
            yield (
                f'<line class="axis" {_at(place)} y1="{y}" y2="{y + 4}"/>'
                f'<text class="soft" x="{_percent(place)}" y="{y + 16}" text-anchor="{anchor}">'
                f"{seconds(time)}</text>"
            )
        yield "</g>"


def _cuts(picture: Picture, y: int) -> Iterator[str]:
    scale = picture.scale
    for start, end in scale.cuts:
        place = (scale.at(start) + scale.at(end)) / 2
        told = f"{seconds(end - start)} in which nothing happened, drawn shorter"
        yield (
            f'<svg x="{_percent(place)}" y="0" class="over"><title>{_text(told)}</title>'
            f'<path class="cut" d="M-2,{y + 6} L4,{_TOP - 2} M-7,{y + 6} L-1,{_TOP - 2}"/></svg>'
        )


def _moment(mark: Mark) -> str:
    return f"{seconds(mark.time)}: {mark.what}"


def _at(place: float) -> str:
    return f'x1="{_percent(place)}" x2="{_percent(place)}"'


def _percent(place: float) -> str:
    return f"{round(place * 100, 2):g}%"


def _text(text: str) -> str:
    return escape(printable(text))
