"""Mixes of behaviours: so many of each, by number or by fraction."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.faults import BehaviourError, Fault

__all__ = ["Parts", "mixed"]


class Parts(Protocol):
    """A mapping from behaviours, or words for them, to how many there are of each.

    An int is a number of clients, a float a fraction of all. Any mapping will do: to a type checker
    it is a protocol because the keys of a ``Mapping`` are invariant.
    """

    def items(self) -> Iterable[tuple[str | Behaviour, float]]:
        """Give the pairs, as every mapping does."""


_NAMED: Mapping[str, Callable[[], Behaviour]] = {
    "healthy": Behaviour.healthy,
    "slow": Behaviour.slow,
    "stalled": Behaviour.stalled,
    "dead": Behaviour.dead,
}
# Sums and products of fractions are not exact.
_NOTHING = 1e-9


def mixed(parts: Parts, *, count: int | None = None) -> list[Behaviour]:
    """Return so many behaviours of each part, in the order of the parts; what is left is healthy.

    Fractions are rounded so that together they are as many as their sum says.

    Args:
        parts: how many of each: an int is a number, a float a fraction of `count`. The key is a
            `Behaviour`, or one of ``healthy``, ``slow``, ``stalled``, ``dead``, or the kind of a
            fault that needs no numbers.
        count: how many in all; by default the sum of the numbers.

    Raises:
        OptionError: the parts are more than the whole, or mean nothing.
    """
    if not callable(getattr(parts, "items", None)):
        raise OptionError(
            f"mix: a mapping is expected, such as {{'healthy': 3, 'slow': 1}}, not {parts!r}"
        )
    numbers: dict[str | Behaviour, int] = {}
    exact: dict[str | Behaviour, float] = {}
    for part, share in parts.items():
        if type(share) is int and share >= 0:
            numbers[part] = share
        elif type(share) is float and 0 <= share <= 1:
            exact[part] = share
        else:
            raise OptionError(
                f"mix: {part!r} must be a number of clients, as an int, or a fraction from 0.0 "
                f"to 1.0 of count, not {share!r}"
            )
    if count is None:
        if exact:
            raise OptionError("mix: fractions need count=: how many clients there are in all")
        count = sum(numbers.values())
    wanted = round(sum(exact.values()) * count)
    rest = count - sum(numbers.values()) - wanted
    if rest < 0:
        raise OptionError(
            f"mix: the parts are more than the whole of {count}: {dict(parts.items())!r}"
        )
    exact = {part: share * count for part, share in exact.items()}
    numbers |= {part: math.floor(share + _NOTHING) for part, share in exact.items()}
    left = wanted - sum(numbers[part] for part in exact)
    for part in sorted(exact, key=lambda part: numbers[part] - exact[part])[:left]:
        numbers[part] += 1
    behaviours = [
        behaviour for part, number in numbers.items() for behaviour in [_behaviour(part)] * number
    ]
    return [*behaviours, *[Behaviour.healthy()] * rest]


def _behaviour(part: str | Behaviour) -> Behaviour:
    if isinstance(part, Behaviour):
        return part
    if (named := _NAMED.get(part)) is not None:
        return named()
    try:
        return Behaviour(name=part, faults=(Fault.from_json({"kind": part}),))
    except BehaviourError as error:
        raise OptionError(
            f"mix: {part!r} is none of {', '.join(_NAMED)}, and no fault by its kind alone "
            f"({error}); a Behaviour may be the key"
        ) from None
