"""What a manager tells about itself: lag, evictions, and a snapshot of everything."""

import dataclasses
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ClientStatistics", "Eviction", "Lag", "Statistics"]


@dataclass(frozen=True, slots=True)
class Lag:
    """What a client has not taken yet.

    A send that completed counts as taken: bytes that wait in the server's or the kernel's
    buffers are not seen here.

    Attributes:
        messages: events accepted for the client whose send has not completed.
        bytes: their size as UTF-8.
        seconds: the age of the oldest of them.
    """

    messages: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """One client that was dropped, and why.

    Attributes:
        number: counts the manager's evictions from 0.
        client: the client's name.
        reason: `send_timeout`, `send_failed`, `lag_bytes`, `lag_messages`, `no_pong`, `no_ack` or
            `shutdown`.
        code: the close code meant for it; it goes out only if the socket's `close` takes one and
            the peer still reads.
        lag: how far behind the client was.
        at: loop time of the eviction.
        gone_at: loop time when its socket was gone; None while it is still closing. Where the
            server does not tell when a connection is lost, this is when `close` returned or was
            given up.
        error: type and text of the exception that a send raised, if one did.
    """

    number: int
    client: str
    reason: str
    code: int
    lag: Lag
    at: float
    gone_at: float | None = None
    error: str | None = None
    _websocket: "weakref.ref[Any] | None" = dataclasses.field(
        default=None, repr=False, compare=False
    )

    @property
    def websocket(self) -> Any:
        """The evicted socket while anybody still holds it, else None."""
        return self._websocket() if self._websocket is not None else None

    def __str__(self) -> str:
        """Name the client, the reason, and how far it was behind, if it was."""
        lag, parts = self.lag, [self.reason]
        if lag.messages:
            noun = "message" if lag.messages == 1 else "messages"
            parts.append(f"{lag.messages} {noun} ({lag.bytes} bytes, {lag.seconds:.3f} s) behind")
        if self.error:
            parts.append(self.error)
        return f"{self.client}: {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "number": self.number,
            "client": self.client,
            "reason": self.reason,
            "code": self.code,
            "at": self.at,
            "gone_at": self.gone_at,
            "lag": dataclasses.asdict(self.lag),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatistics:
    """One client of the pool.

    Attributes:
        name: as given on joining, else made from its address.
        joined_at: loop time.
        delivered: sends of events that completed.
        busy: whether a send did not complete at once and is still in flight.
        lag: what it has not taken yet.
        buffered_bytes: sent and not taken by the peer's kernel; None where the server tells none.
        round_trip: seconds that the last acknowledgement took; None where none was asked for.
    """

    name: str
    joined_at: float
    delivered: int
    busy: bool
    lag: Lag
    buffered_bytes: int | None = None
    round_trip: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """An immutable snapshot of a manager.

    Attributes:
        time: loop time of the snapshot.
        clients: clients in the pool.
        per_client: one entry for each of them, in order of joining.
        published: events published, with or without clients.
        delivered: sends of events that completed, over all clients.
        joined: clients that ever joined.
        left: clients that were removed without being evicted.
        evicted: evictions by reason.
        closing: evicted clients whose socket is not gone yet.
        history: remembered streaming events by agent.
        evictions: the last evictions, oldest first, as many as the manager keeps.
    """

    time: float
    clients: int
    per_client: tuple[ClientStatistics, ...]
    published: int
    delivered: int
    joined: int
    left: int
    evicted: Mapping[str, int]
    closing: int
    history: Mapping[str, int]
    evictions: tuple[Eviction, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "time": self.time,
            "clients": self.clients,
            "per_client": [dataclasses.asdict(client) for client in self.per_client],
            "published": self.published,
            "delivered": self.delivered,
            "joined": self.joined,
            "left": self.left,
            "evicted": dict(self.evicted),
            "closing": self.closing,
            "history": dict(self.history),
            "evictions": [eviction.as_dict() for eviction in self.evictions],
        }
