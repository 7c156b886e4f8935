"""Clients that close badly, or do not let themselves be closed."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from simulators.faults.fault import Bound, ClientFault, Count, Limit, Pause, Rate, Seconds

__all__ = [
    "ClosesMidBroadcast",
    "ClosesWhileBlocked",
    "Closing",
    "IgnoresClose",
    "SendsAfterClose",
    "SimultaneousClose",
]

_Code = Annotated[int, Bound(1000, maximum=4999, whole=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing(ClientFault):
    """A fault of the closing handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoresClose(Closing):
    """Reads the close frame, does not answer it, and keeps its connection.

    Attributes:
        hold: for how long; None: until the server drops it.
    """

    kind: ClassVar[str] = "ignores_close"
    expected: ClassVar[str] = "has it out of the pool at once, and aborts it after close_timeout"
    hold: Pause | None = None

    def describe(self) -> str:
        """Say in one line what the client does."""
        how_long = "" if self.hold is None else f" for {self.hold:g} s"
        return f"ignores a close frame{how_long}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendsAfterClose(Closing):
    """Goes on sending when it was told to close, and only then answers.

    Attributes:
        messages: how many text messages.
        rate: so many in a second.
    """

    kind: ClassVar[str] = "sends_after_close"
    expected: ClassVar[str] = "does not send to it again, nor takes it back"
    messages: Count = 3
    rate: Rate = 100.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.messages} more messages when told to close"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimultaneousClose(Closing):
    """Closes at the same moment as the server: the two close frames cross.

    In process the client's is first: the application's receive shows its code, and the close finds
    the connection gone and raises. On real sockets the client answers the server's close frame with
    one of its own, that does not echo the code.

    Attributes:
        code: of its own close frame.
    """

    kind: ClassVar[str] = "simultaneous_close"
    expected: ClassVar[str] = "has it out of the pool once, without an error"
    code: _Code = 1001

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"closes with {self.code} when the server does"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosesMidBroadcast(Closing):
    """Leaves properly while a message is being sent to it.

    Attributes:
        nth: which message; 1 is the first. On a real socket: when it begins to arrive.
        code: of its close frame.
    """

    kind: ClassVar[str] = "closes_mid_broadcast"
    expected: ClassVar[str] = "delivers the same event to everybody else; raises nothing"
    nth: Count = 1
    code: _Code = 1001

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"closes with {self.code} while message {self.nth} is sent to it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosesWhileBlocked(Closing):
    """Stops reading, and leaves properly while a send waits for it.

    Attributes:
        after_messages: stops reading when it has taken this many messages.
        hold: how long a send waits before it leaves. On a real socket: since it stopped reading.
        code: of its close frame.
    """

    kind: ClassVar[str] = "closes_while_blocked"
    expected: ClassVar[str] = "has the waiting send end at once, and the client out of the pool"
    after_messages: Limit = 0
    hold: Seconds = 0.1
    code: _Code = 1001

    def describe(self) -> str:
        """Say in one line what the client does."""
        return (
            f"stops reading after {self.after_messages} messages and closes with {self.code} "
            f"when a send has waited {self.hold:g} s"
        )
