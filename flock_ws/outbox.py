"""Outbox: one client's place in the log, and its single send in flight."""

import asyncio
from typing import Any

from flock_ws.direct import DirectConnection
from flock_ws.statistics import ClientStatistics, Lag

__all__ = ["Outbox", "name_of"]


class Outbox:
    """What the manager knows of one client.

    An outbox is idle (nothing to send), queued (behind, its turn will come), being served by the
    shared pump, or busy: a send did not complete at once, and a writer task of its own goes on.
    At any time at most one send is under way, heartbeat included.

    Attributes:
        socket: the WebSocket, or anything with an async `send_text(str)`.
        name: for statistics and log lines.
        number: the next event it is to take.
        direct: the way around ASGI, where the server offers one.
        offer: its `offer`, at hand.
        window_bits: of the compressed frames it takes; 0: it takes plain ones.
        writer: its own task while it is busy on the ordinary way.
        held: it is busy on the direct way: its transport takes nothing more for now.
        gone: it is out of the pool; nothing more is sent.
        ping: set while an application ping waits for its turn; done when it was sent or given up.
        joined_at: loop time.
        first: the first event it was to take.
        acknowledged: its peer has told that it took every event before this number.
        askable: it may be asked for an acknowledgement: nothing is under way or planned.
        asked: the number that a ping under way asks for; None while none is.
        asked_at: loop time of that ping.
        buffered_bytes: what was buffered when that ping was sent.
        round_trip: seconds from the last answered ping to its answer.
    """

    __slots__ = (
        "acknowledged",
        "askable",
        "asked",
        "asked_at",
        "buffered_bytes",
        "direct",
        "first",
        "gone",
        "held",
        "joined_at",
        "name",
        "number",
        "offer",
        "ping",
        "round_trip",
        "socket",
        "window_bits",
        "writer",
    )

    def __init__(
        self,
        socket: Any,
        *,
        name: str,
        number: int,
        joined_at: float,
        direct: DirectConnection | None = None,
    ) -> None:
        self.socket = socket
        self.direct = direct
        self.offer = direct.offer if direct is not None else None
        self.window_bits = direct.window_bits if direct is not None else 0
        self.name = name
        self.number = number
        self.joined_at = joined_at
        self.writer: asyncio.Task[None] | None = None
        self.held = False
        self.gone = False
        self.ping: asyncio.Future[None] | None = None
        self.first = number
        self.acknowledged = number
        self.askable = True
        self.asked: int | None = None
        self.asked_at = 0.0
        self.buffered_bytes = 0
        self.round_trip: float | None = None

    @property
    def delivered(self) -> int:
        """Sends of events that completed."""
        return self.number - self.first

    @property
    def busy(self) -> bool:
        """Whether a send to it did not complete at once and is under way."""
        return self.held or self.writer is not None

    def ping_done(self) -> None:
        """Tell who waits for the ping that it was sent or given up."""
        if self.ping is not None and not self.ping.done():
            self.ping.set_result(None)
        self.ping = None

    def statistics(self, lag: Lag) -> ClientStatistics:
        """Return a snapshot."""
        return ClientStatistics(
            name=self.name,
            joined_at=self.joined_at,
            delivered=self.delivered,
            busy=self.busy,
            lag=lag,
            buffered_bytes=self.direct.buffered_bytes if self.direct is not None else None,
            round_trip=self.round_trip,
        )

    def __repr__(self) -> str:
        """Show the name and the state."""
        state = "gone" if self.gone else "busy" if self.busy else "ready"
        return f"<Outbox {self.name} {state}, next event {self.number}>"


def name_of(websocket: Any) -> str | None:
    """Return the peer's address as a name, where the socket tells one."""
    address = getattr(websocket, "client", None)
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if isinstance(host, str) and isinstance(port, int):
        return f"{host}:{port}"
    return None
