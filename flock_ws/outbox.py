"""Outbox: one client's place in the log, and its single send in flight."""

import asyncio
from typing import Any

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
        writer: its own task while it is busy.
        gone: it is out of the pool; nothing more is sent.
        ping: set while an application ping waits for its turn; done when it was sent or given up.
        joined_at: loop time.
        delivered: sends of events that completed.
    """

    __slots__ = (
        "delivered",
        "gone",
        "joined_at",
        "name",
        "number",
        "ping",
        "socket",
        "writer",
    )

    def __init__(self, socket: Any, *, name: str, number: int, joined_at: float) -> None:
        self.socket = socket
        self.name = name
        self.number = number
        self.joined_at = joined_at
        self.writer: asyncio.Task[None] | None = None
        self.gone = False
        self.ping: asyncio.Future[None] | None = None
        self.delivered = 0

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
            busy=self.writer is not None,
            lag=lag,
        )

    def __repr__(self) -> str:
        """Show the name and the state."""
        state = "gone" if self.gone else "busy" if self.writer is not None else "ready"
        return f"<Outbox {self.name} {state}, next event {self.number}>"


def name_of(websocket: Any) -> str | None:
    """Return the peer's address as a name, where the socket tells one."""
    address = getattr(websocket, "client", None)
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if isinstance(host, str) and isinstance(port, int):
        return f"{host}:{port}"
    return None
