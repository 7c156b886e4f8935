"""What became of each client that misbehaved or was dropped, as data and as drawn lanes."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.answers import counted, seconds
from loadtests.kinds import KINDS
from loadtests.record import ClientRecord, EvictionRecord, PresenceRecord, Record
from loadtests.report.axes import Axis
from loadtests.report.markup import text
from loadtests.report.series import Shade, cohort_names, span

__all__ = ["Fate", "drawn", "fates", "key"]

_LANE, _TOP, _NAME = 15, 30, 13
_ROOM = 70  # per cent
_EACH = 10  # lanes of one cohort


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One client's course, in run time.

    Attributes:
        faulty_at: when it stopped reading, turned slow, died, …; None when it never did.
        died: whether its own end is what made it faulty.
        out_at: when it was out of the pool, from the best witness there is.
        reason: the manager's, or how else it ended.
        gone_at: when its connection was gone from the server.
        ends_at: when it was last known to be connected.
        away: from when to when it had left by itself, to come back.
        tolerable: whether a server does right to keep it in spite of what it does.
    """

    client: str
    cohort: str
    connected_at: float
    faulty_at: float | None
    died: bool
    out_at: float | None
    reason: str
    gone_at: float | None
    ends_at: float
    away: tuple[tuple[float, float], ...] = ()
    tolerable: bool = False

    @property
    def delay(self) -> float | None:
        """The seconds from its fault until it was out of the pool."""
        if self.faulty_at is None or self.out_at is None:
            return None
        return max(0.0, self.out_at - self.faulty_at)

    @property
    def told(self) -> str:
        """Say it in a sentence."""
        parts = [f"{self.client}: connected at {seconds(self.connected_at)}"]
        if self.faulty_at is not None:
            what = "died at" if self.died else "misbehaved from"
            parts.append(f"{what} {seconds(self.faulty_at)}")
        if self.out_at is not None:
            parts.append(f"out of the pool at {seconds(self.out_at)} ({self.reason})")
        elif self.away:
            parts.append(f"left {counted(len(self.away))} times by itself")
        elif self.faulty_at is not None:
            parts.append("kept, as it should be" if self.tolerable else "never dropped")
        if self.gone_at is not None:
            parts.append(f"its socket gone at {seconds(self.gone_at)}")
        return ", ".join(parts)


def fates(record: Record) -> dict[str, list[Fate]]:
    """Return, for each cohort, those that misbehaved or were dropped; the worst first."""
    evictions = {one.client: one for one in record.server.evictions}
    presences = {one.client: one for one in record.server.presences}
    found: dict[str, list[Fate]] = {}
    users = {one["name"]: one["user"] for one in record.scenario.get("cohorts", ())}
    for client in record.results.clients:
        if client.connected_at is None:
            continue
        fate = _fate(record, client, evictions.get(client.name), presences.get(client.name))
        kind = KINDS.get(users.get(client.cohort, ""))
        if kind is not None and kind.faulty and not kind.expects_eviction:
            fate = dataclasses.replace(fate, tolerable=True)
        if fate.faulty_at is not None or fate.out_at is not None:
            found.setdefault(client.cohort, []).append(fate)
    for one in found.values():
        one.sort(key=_badness, reverse=True)
    return {name: found[name] for name in cohort_names(record) if name in found}


def drawn(record: Record, *, shades: Sequence[Shade] = ()) -> str:
    """Return an ``<svg>`` with a lane for each; of many alike, the worst."""
    axis, y, lanes = Axis(*span(record)), _TOP, list[str]()
    for name, every in fates(record).items():
        shown = every[:_EACH]
        more = f", {len(every) - len(shown)} more not drawn" if len(every) > len(shown) else ""
        about = f"{_summary(every)}{more}"
        lanes.append(
            f'<text x="0" y="{y + _NAME - 3}"><tspan class="who">{text(name)}</tspan>'
            f'<tspan class="soft" dx="7">{text(about)}</tspan></text>'
        )
        y += _NAME + 3
        for fate in shown:
            lanes += _lane(fate, axis, y)
            y += _LANE
        y += 8
    if not lanes:
        return ""
    background = [*axis.shaded(shades, top=0, bottom=y), *axis.named(shades, top=0)]
    return (
        f'<svg class="lanes" xmlns="http://www.w3.org/2000/svg" width="100%" height="{y + 22}"'
        ' role="img" aria-label="What became of each client that misbehaved or was dropped">'
        f"{''.join(background)}{''.join(lanes)}{''.join(axis.drawn(y))}</svg>"
    )


def key() -> str:
    """Return the signs of a lane with what they mean."""
    signs = {
        '<rect class="s-healthy" y="5" width="34" height="5"/>': "behaves",
        '<rect class="s-stalled" y="1" width="34" height="10"/>': "misbehaves, is to go",
        '<rect class="s-lagging" y="1" width="34" height="10"/>': "misbehaves, and is to be kept",
        '<rect class="s-zombie" x="1" y="2" width="32" height="8"/>': (
            "out of the pool, its socket still there"
        ),
        '<path class="g-evicted" d="M13,2 L21,10 M13,10 L21,2"/>': "out of the pool",
        '<path class="g-dead" d="M13,2 H21 V10 H13 Z"/>': "its socket gone",
    }
    items = (
        f'<li><svg class="lanes" width="34" height="12" aria-hidden="true">{sign}</svg>{what}</li>'
        for sign, what in signs.items()
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def _fate(
    record: Record,
    client: ClientRecord,
    eviction: EvictionRecord | None,
    presence: PresenceRecord | None,
) -> Fate:
    own = client.released and client.closed_at is not None
    dropped = client.closed_at is not None and not client.released
    # Who leaves by itself is out of the pool as well, and was not dropped.
    watched = presence if client.faulty_at is not None or dropped or eviction else None
    outs = [
        eviction.at if eviction else None,
        watched.out_of_pool_at if watched else None,
        watched.gone_at if watched else None,
        client.closed_at if dropped else None,
        # From outside, the end of the connection is the only witness.
        client.hung_up_at,
    ]
    away = tuple(
        (one.dropped_at, record.ended_at if one.back_at is None else one.back_at)
        for one in client.returns
    )
    # What a server does with a connection that its client ended is no fate of the client's.
    out = min((time for time in outs if time is not None and not away), default=None)
    gone = [
        eviction.gone_at if eviction else None,
        watched.gone_at if watched else None,
    ]
    gone_at = min((time for time in gone if time is not None and not away), default=None)
    reason = "endpoint ended" if out == gone_at else "no reason told"
    if eviction is not None:
        reason = eviction.reason
    elif dropped:
        reason = f"closed with {client.closed_code}"
    ends = gone_at if gone_at is not None else record.ended_at
    return Fate(
        client=client.name,
        cohort=client.cohort,
        connected_at=client.connected_at or 0.0,
        faulty_at=client.faulty_at,
        died=own and client.faulty_at is not None and client.faulty_at == client.closed_at,
        out_at=out,
        reason=reason if out is not None else "",
        gone_at=gone_at,
        ends_at=max(ends, client.faulty_at or 0.0),
        away=away,
    )


def _summary(every: list[Fate]) -> str:
    delays = [fate.delay for fate in every if fate.delay is not None]
    stayed = sum(fate.out_at is None and not fate.away for fate in every)
    told = f"{counted(len(every))} of them"
    if delays:
        told += f", the slowest out after {seconds(max(delays))}"
    if left := sum(len(fate.away) for fate in every):
        told += f", left {counted(left)} times by themselves"
    if not stayed:
        return told
    return told + (
        ", kept as they should be" if every[0].tolerable else f", {stayed} never dropped"
    )


def _badness(fate: Fate) -> float:
    if fate.out_at is None:
        return -1.0 if fate.tolerable or fate.away else float("inf")
    # Dropped without a fault of its own is worse than any delay.
    return fate.delay if fate.delay is not None else 1e9


def _lane(fate: Fate, axis: Axis, y: int) -> Iterator[str]:
    middle, bottom = y + 6, y + 11
    begins = axis.place(fate.connected_at)
    turns = axis.place(fate.faulty_at if fate.faulty_at is not None else fate.ends_at)
    out = axis.place(fate.out_at) if fate.out_at is not None else axis.place(fate.ends_at)
    gone = axis.place(fate.gone_at if fate.gone_at is not None else fate.ends_at)
    yield f"<g><title>{text(fate.told)}</title>"
    if fate.away:
        edges = [begins, *(axis.place(time) for span in fate.away for time in span), gone]
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            yield _box("healthy", left, right, bottom - 5, 5)
    else:
        yield _box("healthy", begins, min(turns, out), bottom - 5, 5)
        if fate.faulty_at is not None:
            yield _box("lagging" if fate.tolerable else "stalled", turns, out, y + 1, 10)
    if fate.out_at is not None:
        yield _box("zombie", out, gone, y + 2, 8)
        yield (
            f'<svg x="{out}%" y="{middle}" class="over">'
            '<path class="g-evicted" d="M-4,-4 L4,4 M-4,4 L4,-4"/></svg>'
        )
        if fate.gone_at is not None:
            yield (
                f'<svg x="{gone}%" y="{middle}" class="over">'
                '<path class="g-dead" d="M-3,-4 H3 V4 H-3 Z"/></svg>'
            )
        told = f"{seconds(fate.delay)} {fate.reason}" if fate.delay is not None else fate.reason
        # Behind the lane, in it, or before it: wherever there is room for the words.
        anchor, x, dx = "start", gone, 8
        if gone > _ROOM:
            anchor, x, dx = ("start", out, 8) if out <= _ROOM else ("end", turns, -6)
        yield (
            f'<text class="soft" x="{x}%" dx="{dx}" y="{y + 10}" text-anchor="{anchor}">'
            f"{text(told)}</text>"
        )
    yield "</g>"


def _box(state: str, start: float, end: float, y: float, height: float) -> str:
    width = max(end - start, 0.0)
    if width <= 0:
        return ""
    return (
        f'<rect class="s-{state}" x="{start}%" y="{y:g}" width="{width:.3f}%" height="{height:g}"/>'
    )
