"""What many clients do together. Data only: a swarm acts on it."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from simulators.faults.fault import (
    Bound,
    Count,
    Fault,
    Fraction,
    Limit,
    Pause,
    Seconds,
    Wires,
    wires,
)

__all__ = [
    "DistinctAddresses",
    "DuplicateIdentity",
    "FdExhaustion",
    "Flapper",
    "JoinsDuringBroadcast",
    "LeavesDuringBroadcast",
    "MassDrop",
    "PopulationFault",
    "ReconnectStorm",
    "SwizzleStall",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationFault(Fault):
    """A fault of a population, not of one client: no `Behaviour` can have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectStorm(PopulationFault):
    """Clients lose their connections at once, and all come back.

    Attributes:
        clients: how many.
        window: over how long they come back; 0 is together.
        jitter: up to this many seconds more, drawn for each.
        same_identity: whether they come back under their old names.
        after_seconds: how long after the start of the run.
    """

    kind: ClassVar[str] = "reconnect_storm"
    expected: ClassVar[str] = "serves all of them again within a bound, and nobody twice"
    clients: Count
    window: Seconds = 0.0
    jitter: Seconds = 0.0
    same_identity: bool = True
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what happens."""
        who = "under the same names" if self.same_identity else "under new names"
        return f"{self.clients} clients drop and come back {who} within {self.window:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapper(PopulationFault):
    """A client connects and drops, again and again.

    Attributes:
        up: how long each connection stands.
        down: how long it stays away.
        times: how often; None: without end.
    """

    kind: ClassVar[str] = "flapper"
    expected: ClassVar[str] = "keeps nothing of the connections that are gone"
    up: Pause
    down: Seconds
    times: Count | None = None

    def describe(self) -> str:
        """Say in one line what happens."""
        often = "without end" if self.times is None else f"{self.times} times"
        return f"connected for {self.up:g} s, away for {self.down:g} s, {often}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateIdentity(PopulationFault):
    """Several connections under one name at the same time.

    Attributes:
        connections: how many.
    """

    kind: ClassVar[str] = "duplicate_identity"
    expected: ClassVar[str] = "serves each; the end of one removes no other"
    connections: Annotated[int, Bound(2, whole=True)] = 2

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.connections} connections under one name"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinsDuringBroadcast(PopulationFault):
    """Clients join while a broadcast is under way.

    Attributes:
        clients: how many.
    """

    kind: ClassVar[str] = "joins_during_broadcast"
    expected: ClassVar[str] = "raises nothing; each gets every event from a point on, in order"
    clients: Count = 1

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.clients} clients join during a broadcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavesDuringBroadcast(PopulationFault):
    """Clients leave while a broadcast is under way.

    Attributes:
        clients: how many.
    """

    kind: ClassVar[str] = "leaves_during_broadcast"
    expected: ClassVar[str] = "raises nothing; everybody else gets the event"
    clients: Count = 1

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.clients} clients leave during a broadcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class MassDrop(PopulationFault):
    """A part of the clients dies at the same moment, by a reset.

    Attributes:
        fraction: which part.
        after_seconds: how long after the start of the run.
    """

    kind: ClassVar[str] = "mass_drop"
    expected: ClassVar[str] = "has them out of the pool, and the rest served as before"
    fraction: Fraction
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.fraction:.0%} of the clients die at {self.after_seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwizzleStall(PopulationFault):
    """Clients stall one by one, and read again in a random order.

    Attributes:
        clients: how many.
        stagger: between one and the next, stalling as well as resuming.
        after_seconds: how long after the start of the run.
    """

    kind: ClassVar[str] = "swizzle_stall"
    expected: ClassVar[str] = "evicts who stalls too long; keeps the order of the rest"
    clients: Count
    stagger: Seconds
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.clients} clients stall {self.stagger:g} s apart and resume in random order"


@dataclass(frozen=True, slots=True, kw_only=True)
class FdExhaustion(PopulationFault):
    """The server's process has no file descriptor left for another connection.

    Attributes:
        spare: how many it can still open.
    """

    kind: ClassVar[str] = "fd_exhaustion"
    wires: ClassVar[Wires] = wires(in_process="a fake client takes no file descriptor")
    expected: ClassVar[str] = "serves those it has, and newcomers when there is room again"
    spare: Limit = 0

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the server can open {self.spare} more connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctAddresses(PopulationFault):
    """Clients come from different addresses (127.0.0.x).

    Attributes:
        addresses: how many.
    """

    kind: ClassVar[str] = "distinct_addresses"
    expected: ClassVar[str] = "serves all of them alike"
    addresses: Annotated[int, Bound(1, maximum=253, whole=True)]

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"clients from {self.addresses} addresses"
