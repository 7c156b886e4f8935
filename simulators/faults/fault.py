"""What every fault is: validated data with a kind, a description and a JSON form."""

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from simulators.errors import OptionError

__all__ = [
    "EVERYWHERE",
    "FAULTS",
    "WIRES",
    "BehaviourError",
    "Bound",
    "ClientFault",
    "Count",
    "Fault",
    "Fraction",
    "Limit",
    "Pause",
    "Rate",
    "Seconds",
    "Wires",
    "wires",
]

WIRES = ("in process", "tcp", "load test")
"""Where faults are played: through fake clients, on real sockets, and by the load generator."""

Wires = Mapping[str, Literal[True] | str]
"""For each of `WIRES`: True, or the reason why a fault cannot be produced there."""

FAULTS: dict[str, type["Fault"]] = {}
"""Every fault by its kind, once its module is imported."""


class BehaviourError(OptionError):
    """A fault or behaviour that cannot be: the message names the field and what it takes."""


def wires(
    *, in_process: str | None = None, tcp: str | None = None, load_test: str | None = None
) -> Wires:
    """Say where a fault exists: everywhere but where a reason is given."""
    reasons = zip(WIRES, (in_process, tcp, load_test), strict=True)
    return MappingProxyType({wire: reason or True for wire, reason in reasons})


EVERYWHERE = wires()


@dataclass(frozen=True, slots=True)
class Bound:
    """What a number may be; stands in the annotation of a field."""

    minimum: float
    above: bool = False
    maximum: float = math.inf
    whole: bool = False

    def allows(self, value: object) -> bool:
        """Tell whether it is a number within the bound. NaN and the infinities never are."""
        kind = int if self.whole else int | float
        if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value):
            return False
        return self.minimum <= value <= self.maximum and not (self.above and value == self.minimum)

    def describe(self) -> str:
        """Say what it takes."""
        number = "a whole number" if self.whole else "a number"
        least = f"above {self.minimum:g}" if self.above else f"at least {self.minimum:g}"
        most = f" and at most {self.maximum:g}" if self.maximum < math.inf else ""
        return f"{number} {least}{most}"


Seconds = Annotated[float, Bound(0)]
"""A duration that may be 0."""
Pause = Annotated[float, Bound(0, above=True)]
"""A duration above 0."""
Rate = Annotated[float, Bound(0, above=True)]
"""So many in a second."""
Count = Annotated[int, Bound(1, whole=True)]
"""How many, at least one."""
Limit = Annotated[int, Bound(0, whole=True)]
"""How many before something happens; 0 is at once."""
Fraction = Annotated[float, Bound(0, above=True, maximum=1)]
"""A part of a whole, above 0 and at most 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Subclasses are data; whoever drives a client or manager acts.

    Every field is checked against its annotation.

    Attributes:
        kind: its name in the catalogue and in the JSON form.
        wires: where it can be produced, or why not.
        expected: what a correct manager does about it.
    """

    kind: ClassVar[str]
    wires: ClassVar[Wires] = EVERYWHERE
    expected: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Register the kind, so that the JSON form can be read back."""
        # slots=True makes each class twice; the second, final one wins.
        if "kind" in vars(cls):
            FAULTS[cls.kind] = cls

    def __post_init__(self) -> None:
        """Refuse impossible values, naming the field."""
        for name, accepts, takes in _checks(type(self)):
            value = getattr(self, name)
            if not accepts(value):
                raise BehaviourError(f"{self.kind}: {name} must be {takes}, not {value!r}")
        self.check()

    def check(self) -> None:
        """Refuse values that are impossible together. Most faults have none."""

    def describe(self) -> str:
        """Say in one line what goes wrong."""
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
            BehaviourError: the kind or a field is unknown or missing, or a value is impossible.
        """
        fields = dict(form)
        kind = fields.pop("kind", None)
        fault = FAULTS.get(kind) if isinstance(kind, str) else None
        if fault is None:
            raise BehaviourError(f"unknown kind of fault {kind!r}: one of {', '.join(FAULTS)}")
        known = {field.name: field for field in dataclasses.fields(fault)}
        if unknown := sorted(fields.keys() - known):
            raise BehaviourError(
                f"{kind}: unknown field {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
            )
        needed = {name for name, field in known.items() if field.default is dataclasses.MISSING}
        if missing := sorted(needed - fields.keys()):
            raise BehaviourError(f"{kind}: {', '.join(missing)} is missing")
        return fault(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFault(Fault):
    """A fault of one connection: of its client, its path, or the socket object of its server.

    Attributes:
        toxicity: the fraction of the connections that it hits. Whoever makes the connections
            decides, by their seed; see `Behaviour.drawn`.
    """

    toxicity: Fraction = 1.0

    @property
    def last_word(self) -> bool:
        """Whether it ends the connection at once, or never lets one come about."""
        return False


_CHECKS: dict[str, list[tuple[str, Any, str]]] = {}


def _checks(fault: type[Fault]) -> list[tuple[str, Any, str]]:
    """Return a name, a test and a description for each field."""
    if fault.kind not in _CHECKS:
        hints = get_type_hints(fault, include_extras=True)
        _CHECKS[fault.kind] = [
            (field.name, *_check(hints[field.name])) for field in dataclasses.fields(fault)
        ]
    return _CHECKS[fault.kind]


def _check(hint: Any) -> tuple[Any, str]:
    if get_origin(hint) in {Union, types.UnionType}:
        (one,) = (part for part in get_args(hint) if part is not type(None))
        accepts, takes = _check(one)
        return lambda value: value is None or accepts(value), f"{takes} or None"
    if get_origin(hint) is Literal:
        words = get_args(hint)
        return lambda value: value in words, f"one of {', '.join(map(repr, words))}"
    if get_origin(hint) is Annotated:
        bound = get_args(hint)[1]
        return bound.allows, bound.describe()
    return lambda value: type(value) is hint, f"a {hint.__name__}"
