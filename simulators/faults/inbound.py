"""Clients that send what a server should not be upset by."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from simulators.faults.fault import (
    Bound,
    ClientFault,
    Count,
    Pause,
    Rate,
    Seconds,
    Wires,
    wires,
)

__all__ = [
    "BadJson",
    "DeepJson",
    "DeflateBomb",
    "Dribble",
    "EndlessFragments",
    "Flood",
    "Inbound",
    "Oversize",
    "WrongType",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound(ClientFault):
    """Something sent to the server.

    Attributes:
        after_seconds: how long after the connection it is sent first.
        every: it is sent again each time this has passed; once only when None.
    """

    after_seconds: Seconds = 0.0
    every: Pause | None = None

    def when_due(self) -> str:
        """Say when it is sent."""
        again = f", then every {self.every:g} s" if self.every is not None else ""
        return f"after {self.after_seconds:g} s{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood(ClientFault):
    """Sends text messages without end.

    Attributes:
        rate: so many in a second.
        message_bytes: the size of each.
        after_seconds: how long after the connection it begins.
    """

    kind: ClassVar[str] = "flood"
    expected: ClassVar[str] = "delivers to everybody as before; its memory does not grow"
    rate: Rate
    message_bytes: Count = 100
    after_seconds: Seconds = 0.0

    def message(self) -> str:
        """Return what it sends."""
        return "x" * self.message_bytes

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.rate:g} messages/s of {self.message_bytes} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversize(Inbound):
    """Sends a message that is too large: servers end the connection with 1009.

    In process it does so above uvicorn's default of 16 MiB; a smaller one arrives.

    Attributes:
        message_bytes: its size.
    """

    kind: ClassVar[str] = "oversize"
    expected: ClassVar[str] = "loses this client only"
    message_bytes: Count = 16 * 1024 * 1024 + 1

    def message(self) -> str:
        """Return what it sends."""
        return "x" * self.message_bytes

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends a message of {self.message_bytes} bytes {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndlessFragments(Inbound):
    """Sends a message in fragments and does not finish it.

    Attributes:
        fragments: how many it sends.
        fragment_bytes: the size of each.
    """

    kind: ClassVar[str] = "endless_fragments"
    wires: ClassVar[Wires] = wires(
        in_process="fragments are joined below the application, which sees nothing of these"
    )
    expected: ClassVar[str] = "never hears of it; the server's memory is bounded by its limit"
    fragments: Count = 10_000
    fragment_bytes: Count = 100

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.fragments} fragments of a message that never ends {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateBomb(Inbound):
    """Sends a small compressed message that is large when it is inflated.

    Attributes:
        ratio: how many times as large.
        message_bytes: its inflated size.
    """

    kind: ClassVar[str] = "deflate_bomb"
    wires: ClassVar[Wires] = wires(
        in_process="compression belongs to the server, below the application; oversize is what"
        " would be left of it"
    )
    expected: ClassVar[str] = "loses this client only (1009); the server bounds what it inflates"
    ratio: Annotated[float, Bound(1, above=True, maximum=1_000)] = 1_000.0
    message_bytes: Count = 64 * 1024 * 1024

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.message_bytes} bytes compressed {self.ratio:g} times {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dribble(Inbound):
    """Sends a message byte by byte.

    In process the message arrives when its last byte would.

    Attributes:
        interval: between two bytes.
        message_bytes: the size of the message.
    """

    kind: ClassVar[str] = "dribble"
    expected: ClassVar[str] = "delivers to everybody as before, this client included"
    interval: Pause
    message_bytes: Count = 20

    def message(self) -> str:
        """Return what it sends."""
        return "x" * self.message_bytes

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.message_bytes} bytes, one every {self.interval:g} s, {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongType(Inbound):
    """Sends a binary message where text is expected."""

    kind: ClassVar[str] = "wrong_type"
    expected: ClassVar[str] = "loses this client at most, with a close code"

    def message(self) -> bytes:
        """Return what it sends."""
        return b"\x00\xff"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends a binary message {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadJson(Inbound):
    """Sends text that is no JSON."""

    kind: ClassVar[str] = "bad_json"
    expected: ClassVar[str] = "loses this client at most, with a close code"

    def message(self) -> str:
        """Return what it sends."""
        return '{"type": "pong", '

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends text that is no JSON {self.when_due()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepJson(Inbound):
    """Sends JSON so deeply nested that parsers give up with a RecursionError.

    Attributes:
        depth: how many lists in one another.
    """

    kind: ClassVar[str] = "deep_json"
    expected: ClassVar[str] = "loses this client at most, with a close code"
    depth: Count = 100_000

    def message(self) -> str:
        """Return what it sends."""
        return "[" * self.depth + "]" * self.depth

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends JSON nested {self.depth} deep {self.when_due()}"
