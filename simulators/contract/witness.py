"""A fake client that keeps a record of what its manager did to it."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocketState

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.contract.results import Lane
from simulators.records import Closed

__all__ = ["Attempt", "Story", "Witness", "draw_lane"]


class Attempt:
    """One send or close that the manager began.

    Attributes:
        start: when it began.
        end: when it returned or raised; None while it waits.
        outcome: ``waits``, ``sent``, ``failed`` or ``cancelled``.
        text: what was sent; empty for a close.
    """

    __slots__ = ("end", "outcome", "start", "text")

    def __init__(self, start: float, text: str | bytes) -> None:
        self.start = start
        self.end: float | None = None
        self.outcome = "waits"
        self.text = text

    @property
    def blocked(self) -> bool:
        """Whether it took time, or still waits."""
        return self.end is None or self.end > self.start

    def __repr__(self) -> str:
        """Show when and how."""
        return f"<Attempt at {self.start:g} s, {self.outcome}>"


class Witness(FakeClient):
    """A `FakeClient` that remembers every send and close, and can fail in ways of its own.

    Attributes:
        sends: each send that the manager began, whether or not anything came of it.
        closes: the same for closes.
        joined: when it was handed to the manager; None before.
        left: when it was taken out by its endpoint; None before.
        raising: when set, each send raises what it returns, and nothing is written.
        accept_delay: how many seconds its accept takes.
        sends_waiting_most: how many sends were under way together at most.
        threads: the threads from which it was sent to.
    """

    def __init__(self, behaviour: Behaviour | None = None, **options: Any) -> None:
        super().__init__(behaviour, **options)
        self.sends: list[Attempt] = []
        self.closes: list[Attempt] = []
        self.joined: float | None = None
        self.left: float | None = None
        self.raising: Callable[[], BaseException] | None = None
        self.accept_delay = 0.0
        self.sends_waiting_most = 0
        self.threads: set[int] = set()

    async def send(self, message: Message) -> None:
        """Send as a `FakeClient` does, and remember it."""
        kind = message["type"]
        if kind not in {"websocket.send", "websocket.close"}:
            if self.accept_delay:
                await asyncio.sleep(self.accept_delay)
            await super().send(message)
            return
        self.threads.add(threading.get_ident())
        if len(self.sends) >= _MOST_SENDS:
            # Who sends without end, and catches whatever stops him, must wait somewhere.
            await asyncio.get_running_loop().create_future()
        data = message.get("text")
        attempt = Attempt(self._link.now, message.get("bytes", "") if data is None else data)
        attempts = self.sends if kind == "websocket.send" else self.closes
        attempts.append(attempt)
        if attempts is self.sends:
            self.sends_waiting_most = max(self.sends_waiting_most, self.sending + 1)
        try:
            if kind == "websocket.send" and self.raising is not None:
                raise self.raising()  # noqa: TRY301  # it must be recorded like any other
            await super().send(message)
        except Exception:
            attempt.outcome = "failed"
            raise
        except BaseException:
            attempt.outcome = "cancelled"
            raise
        else:
            attempt.outcome = "sent"
        finally:
            attempt.end = self._link.now

    @property
    def accepted_by_manager(self) -> bool:
        """Whether the connection was accepted."""
        return self.application_state is not WebSocketState.CONNECTING

    @property
    def blocked(self) -> bool:
        """Whether a send to it ever had to wait."""
        return any(attempt.blocked for attempt in self.sends)

    @property
    def failed(self) -> bool:
        """Whether a send to it ever raised or was cancelled."""
        return any(attempt.outcome in {"failed", "cancelled"} for attempt in self.sends)

    @property
    def waiting(self) -> int:
        """How many sends to it wait now."""
        return sum(attempt.outcome == "waits" for attempt in self.sends)

    def sends_after(self, time: float) -> list[Attempt]:
        """Return the sends that began later than this."""
        return [attempt for attempt in self.sends if attempt.start > time]

    # The picture.

    def lane(self, *, until: float) -> Lane:
        """Draw what it went through, up to this time."""
        unread = self.stalled and not self.sends and not (self.close_called or self.closed)
        return draw_lane(
            Story(
                client=self.name,
                behaviour=self.behaviour.describe(),
                joined=self.joined,
                left=self.left,
                sends=self.sends,
                stalls=self.stalled or "stall" in self.behaviour.name,
                behind_since=self.joined if unread else None,
                close_called=self.close_called,
                closed=self.closed,
                remarks=[(misuse.time, misuse.kind) for misuse in self.misuses[:_MOST_MARKS]],
            ),
            until=until,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of a client when its lane is drawn.

    Attributes:
        client: its name.
        behaviour: what it does, in words.
        joined: when it was handed to the manager.
        left: when its endpoint took it out.
        sends: what was sent to it.
        stalls: whether a send that waits, waits because it does not read.
        behind_since: from when on there was something that it did not read.
        close_called: the close by the manager, with its code and time.
        closed: how its peer saw the end.
        remarks: other moments worth a word.
        brief: seconds that a send may take and count as done at once.
    """

    client: str
    behaviour: str
    joined: float | None
    left: float | None
    sends: Sequence[Attempt]
    stalls: bool
    behind_since: float | None
    close_called: Closed | None
    closed: Closed | None
    remarks: Sequence[tuple[float, str]] = ()
    brief: float = 0.0


def draw_lane(story: Story, *, until: float) -> Lane:
    """Draw what a client went through, up to this time."""
    start = min(story.joined if story.joined is not None else until, until)
    turns: list[tuple[float, str]] = [(start, "healthy")]
    if story.behind_since is not None:
        turns.append((max(start, story.behind_since), "lagging"))
    busy = "stalled" if story.stalls else "lagging"
    for attempt in story.sends:
        if attempt.end is None or attempt.end > attempt.start + story.brief:
            turns.append((attempt.start, busy))
            if attempt.end is not None:
                after = "healthy" if attempt.outcome == "sent" else "zombie"
                turns.append((attempt.end, after))
        elif attempt.outcome in {"failed", "cancelled"}:
            turns.append((attempt.start, "zombie"))
    over = until
    close_called, closed = story.close_called, story.closed
    if close_called is not None:
        over = min(over, close_called.time)
        turns.append((close_called.time, "evicted"))
    if closed is not None and (close_called is None or closed.time < close_called.time):
        over = min(over, closed.time)
        turns.append((closed.time, "dead"))
    return Lane(
        client=story.client,
        behaviour=story.behaviour,
        spans=_spans(turns, over=over, until=until),
        marks=_marks(story),
    )


def _marks(story: Story) -> tuple[tuple[float, str], ...]:
    marks: list[tuple[float, str]] = []
    if story.joined is not None:
        marks.append((story.joined, "joined"))
    if story.left is not None:
        marks.append((story.left, "left"))
    marks += [
        (attempt.end or attempt.start, f"a send {attempt.outcome}")
        for attempt in story.sends
        if attempt.outcome in {"failed", "cancelled"}
    ][:_MOST_MARKS]
    if story.close_called is not None:
        code = story.close_called.code
        marks.append((story.close_called.time, f"closed by the manager: {code}"))
    elif story.closed is not None:
        marks.append((story.closed.time, "ended by its peer"))
    marks += story.remarks
    return tuple(sorted(marks, key=lambda mark: mark[0]))


_MOST_MARKS = 12
_MOST_SENDS = 20_000


def _spans(
    turns: list[tuple[float, str]], *, over: float, until: float
) -> tuple[tuple[float, float, str], ...]:
    """Make spans of turns: each lasts until the next, the same state is one, nothing is empty.

    What happened after `over`, when the connection had ended, does not count.
    """
    final = {"evicted", "dead"}
    ordered = sorted(
        (turn for turn in turns if turn[0] <= over or turn[1] in final), key=lambda turn: turn[0]
    )
    spans: list[tuple[float, float, str]] = []
    for at, (start, state) in enumerate(ordered):
        end = ordered[at + 1][0] if at + 1 < len(ordered) else until
        if spans and spans[-1][2] == state:
            spans[-1] = (spans[-1][0], end, state)
        elif end > start:
            spans.append((start, end, state))
    return tuple(spans)
