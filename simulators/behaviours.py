"""What a fake client does, as data: a name, and the faults that it has.

The same behaviour drives a client in process (`simulators.clients`), over real TCP
(`simulators.sockets`) and in a load test. Nothing here does I/O, reads a clock or draws a random
number.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from simulators.faults import (
    BehaviourError,
    ClientFault,
    Fault,
    Reset,
    SlowReader,
    StalledReader,
)
from simulators.faults.together import check_together

__all__ = ["Behaviour", "require"]

_F = TypeVar("_F", bound=Fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A name and the faults of a client; without faults it is healthy.

    Attributes:
        name: a short word for statistics and reports.
        faults: those of one client, at most one of each kind.
    """

    name: str = "healthy"
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse faults whose meaning together nobody could say."""
        if type(self.name) is not str or not self.name:
            raise BehaviourError(f"a behaviour's name must be some text, not {self.name!r}")
        if type(self.faults) is not tuple:
            raise BehaviourError(
                f"behaviour {self.name!r}: its faults must be a tuple, as (SlowReader(…),), "
                f"not {self.faults!r}"
            )
        check_together(self.name, self.faults)

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

    @classmethod
    def of(cls, *faults: Fault) -> Self:
        """These faults, under the name of the first; healthy without any.

        Raises:
            BehaviourError: one client cannot have them together.
        """
        return cls(name=faults[0].kind, faults=faults) if faults else cls()

    def fault(self, kind: type[_F]) -> _F | None:
        """Return the fault of this kind, or None."""
        return next((fault for fault in self.faults if isinstance(fault, kind)), None)

    def drawn(self, draw: Callable[[], float]) -> Self:
        """Return what it is for one connection: without the faults that do not hit it.

        Args:
            draw: gives a number from 0 to 1, as ``Random.random``; called once for each fault with
                a toxicity below 1, in their order.
        """
        if all(_toxicity(fault) == 1 for fault in self.faults):
            return self
        hit = tuple(
            dataclasses.replace(fault, toxicity=1.0)  # type: ignore[call-arg]  # only client faults get in
            for fault in self.faults
            if _toxicity(fault) == 1 or draw() < _toxicity(fault)
        )
        return dataclasses.replace(self, faults=hit)

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


def _toxicity(fault: Fault) -> float:
    return fault.toxicity if isinstance(fault, ClientFault) else 1.0


def require(behaviour: Behaviour, *, wire: Literal["in process", "tcp", "load test"]) -> None:
    """Refuse a behaviour with a fault that cannot be produced on a wire, and what is no behaviour.

    Raises:
        BehaviourError: it names the fault, the wire and the reason.
    """
    if not isinstance(behaviour, Behaviour):
        raise BehaviourError(
            "a behaviour is expected, such as Behaviour.slow() or Behaviour.of(SlowReader(…)), "
            f"not {behaviour!r}"
        )
    for fault in behaviour.faults:
        reason = fault.wires[wire]
        if reason is not True:
            raise BehaviourError(
                f"behaviour {behaviour.name!r}: {fault.kind} cannot be produced {_ON[wire]}: "
                f"{reason}"
            )


_ON = {"in process": "in process", "tcp": "over TCP", "load test": "in a load test"}
