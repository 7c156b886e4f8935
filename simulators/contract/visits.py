"""Clients on real sockets, seen from both ends: what the peer took, and what the server did."""

import asyncio
import contextlib
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from simulators.behaviours import Behaviour
from simulators.contract.results import Lane
from simulators.contract.witness import Attempt, Story, draw_lane
from simulators.records import Closed
from simulators.sockets import SocketClient

__all__ = ["BRIEF", "Visit", "Visitor", "shifted"]

BRIEF = 0.05
"""Seconds that a send may take on a busy machine without having waited for its peer."""


class Visit:
    """One connection as the server has it: what its application sent, and how it went.

    What is written past ASGI, as `flock_ws.uvicorn_protocol` lets a manager do, is not seen.

    Attributes:
        name: the client's.
        scope: of the connection.
        port: the client's.
        websocket: what a manager is handed; None for an application, which makes its own.
        sends: each send that was begun.
        closes: the same for closes.
        close_called: the first close, with its code.
        joined: when it was in, as far as can be seen.
        left: when its endpoint had taken it out.
        errors: what its joining or leaving raised.
    """

    def __init__(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        self.name = name
        self.scope = scope
        self.port: int = (scope.get("client") or ("", 0))[1]
        self.websocket: WebSocket | None = None
        self.sends: list[Attempt] = []
        self.closes: list[Attempt] = []
        self.close_called: Closed | None = None
        self.joined: float | None = None
        self.left: float | None = None
        self.errors: list[BaseException] = []
        self._accepted = False
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Receive for the application. One that waits for what its client says has let it in."""
        if self._accepted:
            self.enter()
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Send for the application, and remember it."""
        kind = message["type"]
        if kind not in {"websocket.send", "websocket.close"}:
            await self._send(message)
            self._accepted = self._accepted or kind == "websocket.accept"
            return
        now = asyncio.get_running_loop().time
        text = message.get("text")
        attempt = Attempt(now(), message.get("bytes") or "" if text is None else text)
        (self.sends if kind == "websocket.send" else self.closes).append(attempt)
        if kind == "websocket.close" and self.close_called is None:
            code, reason = message.get("code") or 1000, message.get("reason") or ""
            self.close_called = Closed(code, reason, now())
        try:
            await self._send(message)
        except BaseException as error:
            attempt.outcome = "failed" if isinstance(error, Exception) else "cancelled"
            raise
        else:
            attempt.outcome = "sent"
        finally:
            attempt.end = now()

    def enter(self) -> None:
        """Note that the client is in."""
        if self.joined is None:
            self.joined = asyncio.get_running_loop().time()

    @property
    def waiting(self) -> bool:
        """Whether a send to it waits now."""
        return any(attempt.outcome == "waits" for attempt in self.sends)

    @property
    def failed(self) -> bool:
        """Whether a send to it ever raised or was cancelled."""
        return any(attempt.outcome in {"failed", "cancelled"} for attempt in self.sends)


class Visitor(SocketClient):
    """A `SocketClient` that remembers how a check uses it.

    Attributes:
        visit: the server's end of it, where the server is ours.
        entered: when it was in.
    """

    def __init__(self, url: str, behaviour: Behaviour, **options: Any) -> None:
        super().__init__(url, behaviour, **options)
        self.visit: Visit | None = None
        self.entered: float | None = None

    async def depart(self) -> None:
        """Free its socket, politely only if that takes no time."""
        with contextlib.suppress(Exception):
            await self.leave(timeout=BRIEF)
        self.free()
        await self._clear()

    def lane(self, *, zero: float, until: float) -> Lane:
        """Draw what it went through.

        Args:
            zero: the loop's time that is 0 on the picture.
            until: where the picture ends.
        """
        visit, closed = self.visit, self.closed
        remarks = [(self.stalled_at, "stops reading")] if self.stalled_at is not None else []
        if visit is not None and visit.close_called is not None and closed is not None:
            remarks.append((closed.time, f"heard of its end: {closed.code}"))
        elif visit is None and closed is not None:
            remarks.append((closed.time, f"closed: {closed.code}"))
        return shifted(
            draw_lane(
                Story(
                    client=self.name,
                    behaviour=self.behaviour.describe(),
                    joined=self.entered,
                    left=visit.left if visit is not None else None,
                    sends=visit.sends if visit is not None else (),
                    stalls=self.stalled_at is not None,
                    behind_since=self._behind_since(),
                    close_called=visit.close_called if visit is not None else None,
                    closed=closed,
                    remarks=remarks,
                    brief=BRIEF,
                ),
                until=until,
            ),
            zero,
        )

    def _behind_since(self) -> float | None:
        """Return when something was first sent to it that it did not read."""
        if self.stalled_at is None or self.visit is None:
            return self.stalled_at
        later = (one.start for one in self.visit.sends if one.start >= self.stalled_at)
        return next(later, None)


def shifted(lane: Lane, zero: float) -> Lane:
    """Return a lane whose times begin at 0 where they were `zero`."""

    def at(time: float) -> float:
        return round(max(0.0, time - zero), 4)

    return Lane(
        client=lane.client,
        behaviour=lane.behaviour,
        spans=tuple((at(start), at(end), state) for start, end, state in lane.spans),
        marks=tuple((at(time), what) for time, what in lane.marks),
    )
