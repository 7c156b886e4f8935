"""What goes wrong on the server's side, whatever its clients do.

`simulators.incidents` acts on it, against any manager.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulators.faults.fault import Count, Fault, Limit, Pause, Wires, wires

__all__ = [
    "CancelBroadcast",
    "HistoryOverflow",
    "HookRaises",
    "JoinDuringStream",
    "LoopBlock",
    "ServerFault",
    "ShutdownWithStalled",
    "UnserializableEvent",
]

_ELSEWHERE = "it takes the manager itself, which is in the server's process"
_MANAGER_ONLY = wires(tcp=_ELSEWHERE, load_test=_ELSEWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFault(Fault):
    """A fault of the server's side: no `Behaviour` can have it."""

    wires: ClassVar[Wires] = _MANAGER_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBlock(ServerFault):
    """Something blocks the event loop: nothing runs, while time goes by.

    Attributes:
        seconds: how long.
    """

    kind: ClassVar[str] = "loop_block"
    expected: ClassVar[str] = "evicts nobody who could have taken everything"
    seconds: Pause

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the event loop stands still for {self.seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBroadcast(ServerFault):
    """The caller of a broadcast is cancelled.

    Attributes:
        at_await: when the broadcast has waited for the loop this many times; 0 is before it runs.
    """

    kind: ClassVar[str] = "cancel_broadcast"
    expected: ClassVar[str] = "lets the cancellation through and evicts nobody for it"
    at_await: Limit = 1

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"the caller of a broadcast is cancelled at its wait {self.at_await}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRaises(ServerFault):
    """A callback that the manager was given raises.

    Attributes:
        hook: the attribute or keyword of the manager under which it goes.
        exception: what it raises, by name.
    """

    kind: ClassVar[str] = "hook_raises"
    expected: ClassVar[str] = "logs it, and goes on as if it had not"
    hook: str = "on_evict"
    exception: Literal["RuntimeError", "ValueError", "KeyError"] = "RuntimeError"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.hook} raises {self.exception}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnserializableEvent(ServerFault):
    """An event that cannot be encoded is broadcast.

    Attributes:
        how: what is in its payload: an ``object`` of no JSON type, half a ``surrogate`` pair, or a
            ``circular`` reference.
    """

    kind: ClassVar[str] = "unserializable_event"
    expected: ClassVar[str] = "raises to the publisher, remembers nothing, touches no client"
    how: Literal["object", "surrogate", "circular"] = "object"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"an event that cannot be encoded ({self.how}) is broadcast"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownWithStalled(ServerFault):
    """The manager shuts down while clients do not read.

    Attributes:
        clients: how many.
    """

    kind: ClassVar[str] = "shutdown_with_stalled"
    expected: ClassVar[str] = "shuts down in bounded time, with no client and no task left"
    clients: Count = 1

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"shutdown with {self.clients} stalled clients"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOverflow(ServerFault):
    """More streaming events of one agent than its history holds.

    Attributes:
        limit: what it holds.
        more: how many more are broadcast.
        agent: whose they are.
    """

    kind: ClassVar[str] = "history_overflow"
    expected: ClassVar[str] = "remembers the newest, exactly as many as the limit"
    limit: Count = 128_344
    more: Count = 1
    agent: str = "agent"

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"{self.limit + self.more} streaming events for a history of {self.limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinDuringStream(ServerFault):
    """A client joins in the middle of an agent's token stream, and asks for the history.

    Attributes:
        agent: whose stream.
        before: how many events are broadcast before it joins.
        after: how many after.
    """

    kind: ClassVar[str] = "join_during_stream"
    expected: ClassVar[str] = "gives history and live events that meet without gap or repetition"
    agent: str = "agent"
    before: Limit = 10
    after: Limit = 10

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"a client joins after {self.before} of {self.before + self.after} streamed events"
