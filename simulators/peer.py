"""The far end of a modelled connection: a client that reads, answers, leaves and dies.

`simulators.clients.FakeClient` is the same connection as the application holds it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message

from simulators.behaviours import Behaviour
from simulators.body import Frame
from simulators.conduct import Conduct
from simulators.link import Link
from simulators.pings import is_ping, pong
from simulators.records import Closed, Received
from simulators.uplink import Uplink, wire_with
from simulators.wire import Wire

__all__ = ["Peer"]

_ABNORMAL = 1006


class Peer:
    """One client at its own end of a modelled connection.

    Args:
        behaviour: what it does.
        wire: what lies between.
        accepted: whether its connection stands already.
        hear: what the server does with an ASGI message of this client.
        unread: how many of these messages the application has not taken.
        change: called when something happened that somebody may wait for.

    Attributes:
        link: the way to it.
        uplink: the way from it.
        received: the messages that it has read.
        closed: how the connection ended, as it saw it.
        accepted: whether its connection has stood.
        conduct: what it does by itself; None when it is healthy.
    """

    __slots__ = (
        "_change",
        "_hear",
        "_unread",
        "_wire",
        "accepted",
        "closed",
        "conduct",
        "link",
        "observer",
        "received",
        "uplink",
    )

    def __init__(
        self,
        behaviour: Behaviour,
        wire: Wire,
        *,
        accepted: bool,
        hear: Callable[[Message], None],
        unread: Callable[[], int],
        change: Callable[[], None],
    ) -> None:
        faults = behaviour.faults
        self._wire = wire
        self.link: Link[Frame] = Link(wire_with(wire, faults) if faults else wire, read=self._read)
        self.uplink = Uplink(self.link, wire, faults)
        self.received: list[Received] = []
        self.closed: Closed | None = None
        self.observer: Callable[[str, float, object], None] | None = None
        self.accepted = accepted
        self._hear = hear
        self._unread = unread
        self._change = change
        self.conduct: Conduct | None = None
        if faults:
            self.conduct = Conduct(behaviour, self)
            self.link.watch(watched=True)

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as it has seen."""
        return self.accepted and self.closed is None

    @property
    def unread_by_server(self) -> int:
        """How many of its messages the application has not taken."""
        return self._unread()

    def begin(self) -> None:
        """Behave from now on: the client is complete."""
        if self.conduct is None:
            return
        if self.accepted:
            self.conduct.begin()
        else:
            self.conduct.ask()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop."""
        self.link.bind(loop)
        self.uplink.bind()
        if self.conduct is not None:
            self.conduct.bind(loop)

    async def accept(self) -> None:
        """Take the answer to the upgrade.

        Raises:
            ConnectionResetError: it is gone.
        """
        conduct = self.conduct
        if conduct is not None and self.link.open:
            await conduct.accepting()
        if not self.link.open:
            raise ConnectionResetError("the peer is gone")
        self.accepted = True
        if conduct is not None:
            conduct.begin()

    # What it does.

    def stall(self, *, fill: bool = True) -> None:
        """Stop reading, and keep the connection."""
        if self.closed is None:
            self._observe("stalled", unless=self.link.stalled)
            self.link.stall(fill=fill)

    def resume(self) -> None:
        """Read again."""
        if self.closed is None:
            self._observe("resumed", unless=not self.link.stalled)
            self.link.resume()
            if self.conduct is not None:
                self.conduct.resumed()

    def heal(self) -> None:
        """Be healthy from now on, path included. A client that is gone stays so, and is noticed."""
        held = self._forget()
        self.uplink.heal()
        self.link.swallow(swallows=False)
        if self.closed is not None:
            # What the server sends next would be answered with a reset.
            self._lose_later(self._wire.lost_code)
            return
        self.link.pace(None)
        self.link.rewire(self._wire)
        for frame in held:
            self._read(frame, self.link.now)
        self.resume()

    def reset(self) -> None:
        """Die by a TCP reset."""
        self._die()

    def fin(self) -> None:
        """Close the socket without a close frame. To a server it is the same."""
        self._die()

    def _die(self) -> None:
        if self.closed is None:
            self.end(_ABNORMAL, "")
            self._lose_later(self._wire.lost_code)

    def half_close(self) -> None:
        """End its own side, and read on until the server ends the other."""
        if self.closed is None:
            self.uplink.carry_end(
                self._lose_half, {"type": "websocket.disconnect", "code": self._wire.lost_code}
            )

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close properly, with a close frame."""
        if self.closed is None:
            self.end(code, reason)
            self._lose_later(code, reason)

    def deny(self, status: int) -> None:
        """Take the server's refusal of the upgrade, an HTTP status."""
        if self.link.open:
            self.lose({"type": "websocket.disconnect", "code": _ABNORMAL})
            self._end_later(f"HTTP {status}")

    def lose_again(self) -> None:
        """Let the server notice once more that it is gone."""
        again = {"type": "websocket.disconnect", "code": self._wire.lost_code}
        self.uplink.carry_end(self._hear, again)

    def say(self, message: str | bytes | Mapping[str, Any]) -> None:
        """Send a message to the application; a mapping goes as JSON."""
        if isinstance(message, bytes):
            said: Message = {"type": "websocket.receive", "bytes": message}
            size = len(message)
        else:
            text = (
                message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
            )
            said = {"type": "websocket.receive", "text": text}
            size = len(text.encode())
        self.uplink.carry_message(self._tell, said, size=size)

    def take(self, frame: str | bytes, time: float) -> None:
        """Have read a message, and answer it if it is an application ping."""
        # What the class would do, without its keyword handling.
        self.received.append(tuple.__new__(Received, (frame, time)))
        if self.observer is not None:
            self.observer("received", time, frame)
        if isinstance(frame, str) and '"ping"' in frame and is_ping(frame):
            if self.conduct is not None:
                self.conduct.ping()
            else:
                self.say(pong(time))
        self._change()

    def answer_close(self, frame: Closed) -> None:
        """Answer a close frame, and be gone."""
        self.end(frame.code, frame.reason)
        self.uplink.carry_end(self.lose, None)

    def end(self, code: int, reason: str) -> None:
        """Be at the end of the connection: it reads no more."""
        if self.closed is None:
            self.closed = Closed(code, reason, self.link.now)
            if self.observer is not None:
                self.observer("ended", self.closed.time, self.closed)
            self._forget()
            self.link.stall(fill=False)
            self._change()

    def lose(self, message: Message | None) -> None:
        """Let the server notice the end of the connection, and tell the application if given."""
        if not self.link.open:
            return
        self.link.cut()
        if message is not None:
            self._hear(message)

    def abort(self) -> None:
        """Be dropped by the server."""
        if not self.link.open:
            return
        self.lose({"type": "websocket.disconnect", "code": self._wire.lost_code})
        if not self.uplink.muted:
            self._end_later()

    def _observe(self, what: str, *, unless: bool) -> None:
        if self.observer is not None and not unless:
            self.observer(what, self.link.now, None)

    def _end_later(self, reason: str = "") -> None:
        """See the end when the news of it has arrived."""
        delay = self.link.delay()
        if delay and self.link.loop is not None:
            self.link.loop.call_later(delay, self.end, _ABNORMAL, reason)
        else:
            self.end(_ABNORMAL, reason)

    def _lose_half(self, message: Message) -> None:
        if self.link.open:
            self.lose(message)
            self._end_later()

    def _lose_later(self, code: int, reason: str | None = None) -> None:
        message: Message = {"type": "websocket.disconnect", "code": code}
        if reason is not None:
            message["reason"] = reason
        self.uplink.carry_end(self.lose, message)

    def _tell(self, message: Message) -> None:
        if self.link.open:
            self._hear(message)

    def _read(self, frame: Frame, time: float) -> None:
        if self.conduct is not None:
            self.conduct.read(frame, time)
        elif isinstance(frame, Closed):
            self.answer_close(frame)
        else:
            self.take(frame, time)

    def _forget(self) -> list[Frame]:
        """Do nothing by itself any more, and return what the path held back."""
        conduct, self.conduct = self.conduct, None
        self.link.watch(watched=False)
        return [] if conduct is None else conduct.stop()
