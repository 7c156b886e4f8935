"""What goes wrong on the way between a server and a client. Most names are toxiproxy's.

On real sockets a relay does these. Nothing is lost but by the frame-aware ones: on TCP a loss is a
stall.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulators.faults.fault import ClientFault, Count, Limit, Pause, Rate, Seconds

__all__ = [
    "Bandwidth",
    "Direction",
    "DropFrame",
    "DuplicateFrame",
    "HoldFrame",
    "Latency",
    "LimitData",
    "PathFault",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
]

Direction = Literal["to_client", "to_server"]
"""Which way: what the server sends, or what the client sends."""

_ARROWS = {"to_client": "to the client", "to_server": "to the server", "both": "both ways"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFault(ClientFault):
    """A fault of the path, whatever the client does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(PathFault):
    """Everything takes longer. Order is kept.

    Attributes:
        seconds: how much longer, each way.
        jitter: up to this many seconds more, drawn for each message (on real sockets: piece).
        direction: which way.
    """

    kind: ClassVar[str] = "latency"
    expected: ClassVar[str] = "serves it like any other; counts only what it cannot write"
    seconds: Seconds
    jitter: Seconds = 0.0
    direction: Literal["to_client", "to_server", "both"] = "both"

    def describe(self) -> str:
        """Say in one line what happens."""
        more = f" and up to {self.jitter:g} s" if self.jitter else ""
        return f"{self.seconds:g} s{more} of latency {_ARROWS[self.direction]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(PathFault):
    """The path carries only so much.

    Attributes:
        bytes_per_second: so much.
        direction: which way.
    """

    kind: ClassVar[str] = "bandwidth"
    expected: ClassVar[str] = "as for a slow reader: evicts it once it lags more than allowed"
    bytes_per_second: Rate
    direction: Direction = "to_client"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.bytes_per_second:g} bytes/s {_ARROWS[self.direction]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(PathFault):
    """The stream comes in small pieces, with pauses between them.

    In process the pieces are joined before anybody sees them: what is left is the rate.

    Attributes:
        piece_bytes: the size of each piece.
        pause: between two pieces.
        direction: which way.
    """

    kind: ClassVar[str] = "slicer"
    expected: ClassVar[str] = "serves it like any other of that rate"
    piece_bytes: Count
    pause: Seconds = 0.0
    direction: Direction = "to_client"

    def describe(self) -> str:
        """Say in one line what happens."""
        return (
            f"pieces of {self.piece_bytes} bytes, {self.pause:g} s apart, {_ARROWS[self.direction]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(PathFault):
    """The connection is closed (FIN) when so much has been sent to the client.

    Attributes:
        limit_bytes: so much, frames included; the upgrade is not counted.
    """

    kind: ClassVar[str] = "limit_data"
    expected: ClassVar[str] = "has it out of the pool at once; loses nobody else's event"
    limit_bytes: Limit

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.limit_bytes == 0

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the connection is closed after {self.limit_bytes} bytes to the client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(PathFault):
    """What is sent either way disappears, and later the connection is closed (FIN).

    Sends succeed meanwhile, as into a `BlackHole`.

    Attributes:
        seconds: how long nothing arrives before the end; None: it never ends.
        after_seconds: how long after the connection it begins.
    """

    kind: ClassVar[str] = "timeout"
    expected: ClassVar[str] = "has it out of the pool by its pong timeout, or when the end comes"
    seconds: Pause | None = None
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what happens."""
        end = "" if self.seconds is None else f", and the end {self.seconds:g} s later"
        return f"what is sent disappears after {self.after_seconds:g} s{end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(PathFault):
    """The path resets both sides.

    Attributes:
        seconds: how long after the connection.
    """

    kind: ClassVar[str] = "reset_peer"
    expected: ClassVar[str] = "has it out of the pool at once"
    seconds: Seconds = 0.0

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once."""
        return self.seconds == 0

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the path resets both sides after {self.seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(PathFault):
    """The end of the connection takes long to reach the server.

    Attributes:
        seconds: how long.
    """

    kind: ClassVar[str] = "slow_close"
    expected: ClassVar[str] = "evicts what it cannot send to meanwhile; waits for nobody's close"
    seconds: Pause

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the end of the connection reaches the server {self.seconds:g} s late"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFrame(PathFault):
    """One message disappears. Never on TCP: a broken proxy or another worker's bug does it.

    Attributes:
        nth: which; 1 is the first.
        direction: which way.
    """

    kind: ClassVar[str] = "drop_frame"
    expected: ClassVar[str] = "cannot see it; numbered events let the client see the gap"
    nth: Count
    direction: Direction = "to_client"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"message {self.nth} {_ARROWS[self.direction]} is lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateFrame(PathFault):
    """One message arrives twice.

    Attributes:
        nth: which; 1 is the first.
        direction: which way.
    """

    kind: ClassVar[str] = "duplicate_frame"
    expected: ClassVar[str] = "cannot see it; numbered events let the client see the repetition"
    nth: Count
    direction: Direction = "to_client"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"message {self.nth} {_ARROWS[self.direction]} arrives twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFrame(PathFault):
    """One message is held back, and those behind it with it: order is kept.

    Attributes:
        nth: which; 1 is the first.
        seconds: how long.
        direction: which way.
    """

    kind: ClassVar[str] = "hold_frame"
    expected: ClassVar[str] = "keeps it while its lag stays within the limits"
    nth: Count
    seconds: Pause
    direction: Direction = "to_client"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"message {self.nth} {_ARROWS[self.direction]} is held for {self.seconds:g} s"
