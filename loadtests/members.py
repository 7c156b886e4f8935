"""One user of a load test, as the engine carries it: its connections, and what came over them."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from loadtests.kinds import KINDS
from loadtests.record import ClientRecord, ReturnRecord
from loadtests.sequences import SequenceCheck
from simulators.behaviours import Behaviour
from simulators.records import Closed
from simulators.sockets import SocketClient

__all__ = ["Member"]

_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Member:
    """One user. It has one connection at a time; a flapping one has several, one after another.

    Whoever owns it may read its attributes in any thread; they are written on the engine's loop.
    Moments are on the monotonic clock.

    Attributes:
        name: as the server knows it; of all its connections.
        cohort: what it is counted under.
        kind: its kind, a key of `loadtests.kinds.KINDS`.
        options: those of its kind, complete.
        behaviour: what each of its connections does.
        url: where it connects; None for the plan's address.
        turns_at: when it comes to misbehave, or to do what its kind does beside reading.
        leaves_at: when it closes by itself; None for the end of the run.
        client: its connection; touch it only on the engine's loop.
        ready: whether the first attempt to connect is over.
        error: why that failed, None when it did not.
        connect_time: the seconds that it took.
        told: what the server's close frame said, and when.
        closing: whether that came and the connection is not gone yet.
        hung_up_at: when the server was seen to have ended its connection, without reading.
        released: whether its owner let it go.
        looked_again: whether it was made to read again at the end.
        reported: whether its end was told to its owner.
        away: whether it has dropped its connection itself, to come back.
        streams: what came over this connection, by run of the publisher.
        others: messages that were no event that counts.
        untimed: events that count and do not tell when they were sent.
        after_close: messages that came after the server's close frame.
        pings: the server's application pings.
        last_ping_at: when the last of them came over this connection.
        sent: what it sent by itself, and `refused` what of that the server did not take.
        returns: its returns, the last one perhaps still under way.
    """

    def __init__(
        self,
        name: str,
        cohort: str,
        *,
        kind: str = "viewer",
        options: Mapping[str, Any] = _NO_OPTIONS,
        behaviour: Behaviour | None = None,
        url: str | None = None,
        turns_at: float | None = None,
        leaves_at: float | None = None,
    ) -> None:
        self.name = name
        self.cohort = cohort
        self.kind = kind
        self.options = options
        self.behaviour = behaviour or Behaviour.healthy()
        self.url = url
        self.turns_at = turns_at
        self.leaves_at = leaves_at
        self.client: SocketClient | None = None
        self.life: asyncio.Task[None] | None = None
        self.ready = False
        self.error: str | None = None
        self.connect_time: float | None = None
        self.told: Closed | None = None
        self.closing = False
        self.hung_up_at: float | None = None
        self.released = False
        self.looked_again = False
        self.reported = False
        self.away = False
        self.streams: dict[str, SequenceCheck] = {}
        self.others = 0
        self.untimed = 0
        self.after_close = 0
        self.pings = 0
        self.last_ping_at: float | None = None
        self.sent = 0
        self.refused = 0
        self.returns: list[ReturnRecord] = []
        self._past = SequenceCheck()
        self._away_times: list[float] = []
        self._past_messages = self._past_bytes = 0
        self._connected_at: float | None = None

    def __repr__(self) -> str:
        """Show whose it is and how it stands."""
        return f"<Member {self.name} of {self.cohort}: {self.client!r}>"

    # What its owner wants to know

    @property
    def connected(self) -> bool:
        """Whether its connection stands, as far as it has read."""
        return self.client is not None and self.client.connected and not self.closing

    @property
    def closed(self) -> Closed | None:
        """How its connection ended; None while it stands, or before."""
        if self.told is not None or self.client is None:
            return self.told
        return self.client.closed

    @property
    def ended(self) -> bool:
        """Whether its connection ended without its owner's doing."""
        client = self.client
        if client is None or self.closed is None or self.released or self.away:
            return False
        return client.died_at is None

    @property
    def left(self) -> bool:
        """Whether it ended its connection by itself, for good."""
        died = self.client is not None and self.client.died_at is not None
        return self.released or (died and not self.away)

    @property
    def received(self) -> int:
        """Events that counted, each once, over all its connections."""
        return self._past.received + sum(c.received for c in list(self.streams.values()))

    @property
    def received_messages(self) -> int:
        """Everything that it took."""
        now = self.client.received_messages if self.client is not None else 0
        return self._past_messages + now

    @property
    def received_bytes(self) -> int:
        """The bytes of it."""
        now = self.client.received_bytes if self.client is not None else 0
        return self._past_bytes + now

    @property
    def expected(self) -> int:
        """One more than the highest number of those of its present connection."""
        return max((check.expected for check in list(self.streams.values())), default=0)

    def faulty_at(self, now: float) -> float | None:
        """Return since when it misbehaves; None while it does not."""
        if not KINDS[self.kind].faulty:
            return None
        client, at = self.client, None
        # A pulsing reader stalls anew each time, and a flapping one dies anew.
        if client is not None and self.kind not in ("pulsing", "flapping"):
            at = client.stalled_at or client.died_at
        turned = self.turns_at is not None and self.turns_at <= now
        return at or (self.turns_at if turned else None)

    # What the engine does with it

    def begin(self) -> None:
        """Make room for a new connection, and keep the counts of the one before."""
        if self.client is not None:
            self._past_messages += self.client.received_messages
            self._past_bytes += self.client.received_bytes
        for check in self.streams.values():
            self._past.absorb(check)
        self.client = None
        self.streams = {}
        self.told = None
        self.closing = self.reported = False
        self.hung_up_at = self.last_ping_at = None

    def connected_first(self, moment: float | None) -> None:
        """Note when it was connected for the first time."""
        if self._connected_at is None:
            self._connected_at = moment

    def serve(self, run_time: float) -> None:
        """Note that the first event came over a connection."""
        if self.returns and self.returns[-1].served_at is None:
            self.returns[-1].served_at = run_time

    def take_returns(self) -> list[float]:
        """Return how long it was away each time that it came back since the last call."""
        times, self._away_times = self._away_times, []
        return times

    def back(self, run_time: float) -> None:
        """Note that it is connected again."""
        record = self.returns[-1]
        # An event may come with the handshake, before anybody was told that it had succeeded.
        record.back_at = min(run_time, record.served_at or run_time)
        self._away_times.append(run_time - record.dropped_at)
        self.away, self.error = False, None

    def record(self, *, origin: float, now: float) -> ClientRecord:
        """Return what it did and saw, in run time."""
        client, closed = self.client, self.closed
        checks = [self._past, *self.streams.values()]

        def run_time(moment: float | None) -> float | None:
            return None if moment is None else moment - origin

        return ClientRecord(
            name=self.name,
            cohort=self.cohort,
            connected_at=run_time(self._connected_at),
            connect_time=self.connect_time,
            error=self.error,
            faulty_at=run_time(self.faulty_at(now)),
            hung_up_at=run_time(self.hung_up_at),
            closed_at=run_time(closed.time) if closed else None,
            closed_code=closed.code if closed else None,
            closed_reason=closed.reason if closed else "",
            # Until the peer's next attempt, who was deaf cannot tell: silence says nothing.
            looked_again=self.looked_again and (closed is not None or self.kind != "half_open"),
            released=self.left or self.away,
            received=self.received,
            received_bytes=self.received_bytes,
            first=min(
                (c.first for c in self.streams.values() if c.first is not None), default=None
            ),
            expected=self.expected,
            gaps=sum(check.gaps for check in checks),
            duplicates=sum(check.duplicates for check in checks),
            disordered=sum(check.disordered for check in checks),
            others=self.others,
            untimed=self.untimed,
            after_close=self.after_close,
            pings=self.pings,
            sent=self.sent + (client.steady_pieces if client is not None else 0),
            refused=self.refused,
            # Copies: the last one may still be under way.
            returns=[one.model_copy() for one in self.returns],
        )
