"""Clients that die: how, when, and what the server can see of it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulators.faults.fault import BehaviourError, ClientFault, Count, Limit, Seconds

__all__ = [
    "BlackHole",
    "CloseWithUnread",
    "Death",
    "DiesDuringBroadcast",
    "DoubleDisconnect",
    "FinWithoutClose",
    "HalfClose",
    "HalfOpen",
    "Reset",
]

_OUT = "has it out of the pool at once, and its cleanup done once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death(ClientFault):
    """A fault that happens once, at the first limit that is reached; at once when none is given.

    Attributes:
        after_messages: it happens when this many messages have been taken.
        after_seconds: it happens this long after the connection.
    """

    after_messages: Limit | None = None
    after_seconds: Seconds | None = None

    @property
    def at_once(self) -> bool:
        """Whether it happens before anything is taken."""
        limits = (self.after_messages, self.after_seconds)
        return 0 in limits or limits == (None, None)

    def when_due(self) -> str:
        """Say when it happens."""
        limits = [
            f"{value:g} {unit}"
            for value, unit in ((self.after_messages, "messages"), (self.after_seconds, "s"))
            if value is not None
        ]
        return "at once" if self.at_once else f"after {' or '.join(limits)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinWithoutClose(Death):
    """Closes its socket (FIN) without a close frame, as a killed process does."""

    kind: ClassVar[str] = "fin_without_close"
    expected: ClassVar[str] = _OUT

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.at_once

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"closes its socket without a close frame {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Death):
    """Dies with a TCP reset, without a close frame.

    Attributes:
        when: what else must be so, once a limit is reached. ``idle``: nothing, it dies then.
            ``mid_frame``: it dies when it has read half of the next message. ``during_send``: it
            stops reading, and dies when a send waits for it (on a real socket: when nothing more
            arrives). ``before_accept``: it dies before its upgrade is answered; without limits.
    """

    kind: ClassVar[str] = "reset"
    expected: ClassVar[str] = _OUT
    when: Literal["idle", "mid_frame", "during_send", "before_accept"] = "idle"

    def check(self) -> None:
        """Refuse limits that count from a connection that never stands."""
        limits = (self.after_messages, self.after_seconds)
        if self.when == "before_accept" and limits != (None, None):
            raise BehaviourError(
                "reset: after_messages and after_seconds count from the connection, which with "
                "when='before_accept' never stands: leave them out"
            )

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.when == "before_accept" or (self.when == "idle" and self.at_once)

    def describe(self) -> str:
        """Say in one line what the client does."""
        if self.when == "before_accept":
            return "resets before its upgrade is answered"
        detail = {"idle": "", "mid_frame": ", in the middle of a message"}.get(
            self.when, ", while a send waits for it"
        )
        return f"resets {self.when_due()}{detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseWithUnread(Death):
    """Stops reading, and closes its socket as soon as something is unread: a reset to the server.

    A kernel answers so for an application that closes without having read everything.
    """

    kind: ClassVar[str] = "close_with_unread"
    expected: ClassVar[str] = _OUT

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"stops reading {self.when_due()} and closes its socket with something unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfClose(Death):
    """Ends its side of the connection (FIN) and goes on reading."""

    kind: ClassVar[str] = "half_close"
    expected: ClassVar[str] = "takes it for gone, as servers do: out of the pool, socket closed"

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.at_once

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"ends its side of the connection and reads on, {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen(Death):
    """Vanishes: no FIN, no reset, no answer to anything. Sends succeed until the buffers are full.

    On real sockets the kernel of the vanished peer still acknowledges what fits its window.
    """

    kind: ClassVar[str] = "half_open"
    expected: ClassVar[str] = (
        "evicts it by its send timeout under traffic, by its pong timeout when idle, and aborts the"
        " connection, because no close completes"
    )

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"vanishes without a word {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiesDuringBroadcast(ClientFault):
    """Dies by a reset while a message is being sent to it.

    Attributes:
        nth: which message; 1 is the first. On a real socket: when it begins to arrive.
    """

    kind: ClassVar[str] = "dies_during_broadcast"
    expected: ClassVar[str] = "delivers the same event to everybody else; raises nothing"
    nth: Count = 1

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"dies while message {self.nth} is sent to it"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleDisconnect(Death):
    """Leaves with a close frame and a reset right behind it: the server hears of it twice.

    Its receive says so, its sends say so, and asked again a server repeats it.

    Attributes:
        code: of the close frame.
    """

    kind: ClassVar[str] = "double_disconnect"
    expected: ClassVar[str] = "removes it once; the second removal is no error"
    code: Literal[1000, 1001] = 1001

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.at_once

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"closes with {self.code} and resets right behind it, {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole(Death):
    """Something on the way takes everything and passes on nothing, in either direction.

    Sends succeed for ever. On real sockets a relay does it.
    """

    kind: ClassVar[str] = "black_hole"
    expected: ClassVar[str] = "evicts it by its pong timeout: nothing else can tell"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"sends to it succeed and nothing arrives, {self.when_due()}"
