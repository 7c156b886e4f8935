"""Clients that answer pings late, wrongly or not at all."""

from dataclasses import dataclass
from typing import ClassVar

from simulators.faults.fault import ClientFault, Rate, Seconds

__all__ = [
    "LatePong",
    "Liveness",
    "NeverPongs",
    "PingFlood",
    "SilentApplication",
    "UnsolicitedPongs",
    "WrongPong",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness(ClientFault):
    """A fault of the answers to pings: the protocol's, and the application's ``{"type": "ping"}``.

    The modelled wire has no protocol pings: in process only the application's remain.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverPongs(Liveness):
    """Reads everything and answers no ping, neither the protocol's nor the application's.

    Attributes:
        after_seconds: how long after the connection it begins; it answers until then.
    """

    kind: ClassVar[str] = "never_pongs"
    expected: ClassVar[str] = "evicts it after its pong timeout, if one is set; else keeps it"
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        later = f" from {self.after_seconds:g} s on" if self.after_seconds else ""
        return f"answers no ping{later}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePong(Liveness):
    """Answers each ping, but late.

    Attributes:
        delay: how long each answer takes. Try it just below, at and above the pong timeout.
    """

    kind: ClassVar[str] = "late_pong"
    expected: ClassVar[str] = "keeps it while the delay is below the pong timeout; else evicts it"
    delay: Seconds

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"answers pings {self.delay:g} s late"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongPong(Liveness):
    """Answers pings with what was not asked: another payload; a timestamp of -1."""

    kind: ClassVar[str] = "wrong_pong"
    expected: ClassVar[str] = "is not upset; may take it for a sign of life"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return "answers pings with a wrong payload"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsolicitedPongs(Liveness):
    """Sends pongs that nobody asked for.

    Attributes:
        rate: so many in a second.
        after_seconds: how long after the connection it begins.
    """

    kind: ClassVar[str] = "unsolicited_pongs"
    expected: ClassVar[str] = "is not upset, and keeps its heartbeat"
    rate: Rate
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.rate:g} pongs/s unasked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PingFlood(Liveness):
    """Sends pings without end.

    Attributes:
        rate: so many in a second.
        after_seconds: how long after the connection it begins.
    """

    kind: ClassVar[str] = "ping_flood"
    expected: ClassVar[str] = "delivers to everybody as before"
    rate: Rate
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {self.rate:g} pings/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentApplication(Liveness):
    """Never answers the application's ping: its page hangs while its browser is well.

    On real sockets it answers the protocol's pings.
    """

    kind: ClassVar[str] = "silent_application"
    expected: ClassVar[str] = "evicts it after its pong timeout, if one is set; else keeps it"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return "never answers the application's ping"
