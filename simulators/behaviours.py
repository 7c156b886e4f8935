"""What a fake client does, as data: how it reads, and how it dies.

A `Behaviour` is a named tuple of faults. The same behaviour drives a client in process
(`simulators.clients`), over real TCP (`simulators.sockets`) and in a load test. Nothing here
does I/O, reads a clock or draws a random number.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

from simulators.errors import OptionError

__all__ = [
    "Behaviour",
    "BehaviourError",
    "Fault",
    "Reset",
    "SendDelay",
    "SlowReader",
    "StalledReader",
]

_FAULTS: dict[str, type["Fault"]] = {}


class BehaviourError(OptionError):
    """A fault or behaviour that cannot be: the message names the field and what it takes."""


def _number(fault: str, field: str, value: float | None, *, minimum: float, above: bool) -> None:
    if value is None:
        return
    wrong_type = isinstance(value, bool) or not isinstance(value, int | float)
    if wrong_type or math.isnan(value) or value < minimum or (above and value == minimum):
        bound = f"above {minimum:g}" if above else f"at least {minimum:g}"
        raise BehaviourError(f"{fault}: {field} must be a number {bound}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that a client does wrong. Subclasses are data; whoever drives a client acts."""

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Register the kind, so that the JSON form can be read back."""
        # slots=True makes each class twice; the second, final one wins.
        _FAULTS[cls.kind] = cls

    def describe(self) -> str:
        """Say in one line what the client does."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: ``kind`` and the fields that differ from their defaults."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        return {"kind": self.kind, **fields}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> "Fault":
        """Read a fault back from its JSON form.

        Raises:
            BehaviourError: the kind or a field is unknown, or a value is impossible.
        """
        fields = dict(form)
        kind = fields.pop("kind", None)
        fault = _FAULTS.get(kind) if isinstance(kind, str) else None
        if fault is None:
            raise BehaviourError(f"unknown kind of fault {kind!r}: one of {', '.join(_FAULTS)}")
        known = {field.name for field in dataclasses.fields(fault)}
        if unknown := sorted(fields.keys() - known):
            raise BehaviourError(
                f"{kind}: unknown field {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
            )
        return fault(**fields)


F = TypeVar("F", bound=Fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowReader(Fault):
    """Takes what it is sent at a steady, low rate.

    Attributes:
        bytes_per_second: the rate at which it reads, above 0.
        chunk_bytes: how much it takes at a time, at least 1; the pause between two chunks follows
            from the rate.
        after_seconds: how long after the connection it becomes slow.
    """

    kind: ClassVar[str] = "slow_reader"
    bytes_per_second: float
    chunk_bytes: int = 512
    after_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        _number(self.kind, "bytes_per_second", self.bytes_per_second, minimum=0, above=True)
        _number(self.kind, "chunk_bytes", self.chunk_bytes, minimum=1, above=False)
        _number(self.kind, "after_seconds", self.after_seconds, minimum=0, above=False)

    def describe(self) -> str:
        """Say in one line what the client does."""
        later = f" from {self.after_seconds:g} s on" if self.after_seconds else ""
        return f"reads {self.bytes_per_second:g} bytes/s{later}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledReader(Fault):
    """Stops reading and keeps its connection open. The first limit that is reached counts.

    Attributes:
        after_messages: stalls when it has taken this many messages.
        after_bytes: stalls when it has taken this many bytes of messages.
        after_seconds: stalls this long after the connection.
        resume_after: reads again this long after it stalled; never when None.

    With no limit given it stalls at once.
    """

    kind: ClassVar[str] = "stalled_reader"
    after_messages: int | None = None
    after_bytes: int | None = None
    after_seconds: float | None = None
    resume_after: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        _number(self.kind, "after_messages", self.after_messages, minimum=0, above=False)
        _number(self.kind, "after_bytes", self.after_bytes, minimum=0, above=False)
        _number(self.kind, "after_seconds", self.after_seconds, minimum=0, above=False)
        _number(self.kind, "resume_after", self.resume_after, minimum=0, above=True)

    @property
    def at_once(self) -> bool:
        """Whether it never reads anything before it stalls."""
        limits = (self.after_messages, self.after_bytes, self.after_seconds)
        return 0 in limits or limits == (None, None, None)

    def describe(self) -> str:
        """Say in one line what the client does."""
        limits = [
            f"{value:g} {unit}"
            for value, unit in (
                (self.after_messages, "messages"),
                (self.after_bytes, "bytes"),
                (self.after_seconds, "s"),
            )
            if value is not None
        ]
        when = "at once" if self.at_once else f"after {' or '.join(limits)}"
        again = f", for {self.resume_after:g} s" if self.resume_after is not None else ""
        return f"stops reading {when}{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    """Dies with a TCP reset, without a close frame. The first limit that is reached counts.

    Attributes:
        after_messages: dies when it has taken this many messages.
        after_seconds: dies this long after the connection.

    With no limit given it dies as soon as it is connected.
    """

    kind: ClassVar[str] = "reset"
    after_messages: int | None = None
    after_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        _number(self.kind, "after_messages", self.after_messages, minimum=0, above=False)
        _number(self.kind, "after_seconds", self.after_seconds, minimum=0, above=False)

    @property
    def at_once(self) -> bool:
        """Whether it dies before it takes anything."""
        limits = (self.after_messages, self.after_seconds)
        return 0 in limits or limits == (None, None)

    def describe(self) -> str:
        """Say in one line what the client does."""
        limits = [
            f"{value:g} {unit}"
            for value, unit in ((self.after_messages, "messages"), (self.after_seconds, "s"))
            if value is not None
        ]
        return f"resets {'at once' if self.at_once else 'after ' + ' or '.join(limits)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDelay(Fault):
    """Each send to it takes a while before anything is written.

    A fault of the application's own socket object: only a fake client has it. On a socket a send
    takes as long as the buffers make it.

    Attributes:
        seconds: how long each send takes at least.
        jitter: up to this many seconds more, drawn for each send.
    """

    kind: ClassVar[str] = "send_delay"
    seconds: float
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        _number(self.kind, "seconds", self.seconds, minimum=0, above=False)
        _number(self.kind, "jitter", self.jitter, minimum=0, above=False)

    def describe(self) -> str:
        """Say in one line what the client does."""
        more = f" and up to {self.jitter:g} s more" if self.jitter else ""
        return f"takes {self.seconds:g} s{more} for each send"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A name and the faults of a client; without faults it is healthy.

    Attributes:
        name: a short word for statistics and reports.
        faults: at most one of each kind.
    """

    name: str = "healthy"
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two faults of one kind, whose meaning together nobody could say."""
        kinds = [fault.kind for fault in self.faults]
        if doubled := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise BehaviourError(f"behaviour {self.name!r} has {', '.join(doubled)} more than once")

    @classmethod
    def healthy(cls) -> Self:
        """Reads everything as it comes."""
        return cls()

    @classmethod
    def slow(cls, *, bytes_per_second: float = 1_000.0, after_seconds: float = 0.0) -> Self:
        """Reads at a steady low rate."""
        fault = SlowReader(bytes_per_second=bytes_per_second, after_seconds=after_seconds)
        return cls(name="slow", faults=(fault,))

    @classmethod
    def stalled(
        cls,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        resume_after: float | None = None,
    ) -> Self:
        """Stops reading and keeps the connection."""
        fault = StalledReader(
            after_messages=after_messages, after_seconds=after_seconds, resume_after=resume_after
        )
        return cls(name="stalled", faults=(fault,))

    @classmethod
    def dead(cls, *, after_messages: int | None = None, after_seconds: float | None = None) -> Self:
        """Dies with a reset."""
        fault = Reset(after_messages=after_messages, after_seconds=after_seconds)
        return cls(name="dead", faults=(fault,))

    def fault(self, kind: type[F]) -> F | None:
        """Return the fault of this kind, or None."""
        return next((fault for fault in self.faults if isinstance(fault, kind)), None)

    def describe(self) -> str:
        """Say in one line what the client does."""
        return (
            "; ".join(fault.describe() for fault in self.faults) or "reads everything as it comes"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: ``{"name": …, "faults": […]}``."""
        return {"name": self.name, "faults": [fault.to_json() for fault in self.faults]}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a behaviour back from its JSON form.

        Raises:
            BehaviourError: as `Fault.from_json`.
        """
        faults = tuple(Fault.from_json(fault) for fault in form.get("faults", ()))
        return cls(name=form.get("name", "healthy"), faults=faults)
