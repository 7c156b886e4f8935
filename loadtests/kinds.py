"""The kinds of users of a load test: what each does, with which options.

Every user holds one WebSocket connection; what some do beside it is in `loadtests.lives`. Nothing
here does I/O.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from loadtests.errors import ScenarioError
from simulators.behaviours import Behaviour
from simulators.faults import (
    BehaviourError,
    Fault,
    Flapper,
    Flood,
    HalfOpen,
    NeverPongs,
    PulsingReader,
)

__all__ = ["KINDS", "Kind"]

# The keys of an event and their values take as much.
_LEAST = {"size_bytes": 300}
_ABOVE_ZERO = {"bytes_per_second", "rate", "interval", "on", "off", "up"}
_CHOICES = {"ends": ("reset", "close")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of user.

    Attributes:
        name: what a scenario calls it.
        summary: one line that says what it does.
        defaults: every option that it takes, with its default. Durations are seconds.
        behaviour: makes what its connection does, from complete options and the seconds after
            connecting at which it turns.
        faulty: whether it comes to misbehave. It is then dropped by the server, or is at least not
            judged by what it receives from then on.
        expects_eviction: whether a correct server drops it in time once it has turned. Of those
            that answer no ping a server only can if it has a pong timeout.
    """

    name: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    behaviour: Callable[[Mapping[str, Any], float], Behaviour]
    faulty: bool = False
    expects_eviction: bool = False

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with the defaults for what is not given.

        Raises:
            ScenarioError: an option that it does not take, or a value that cannot be; the message
                names it and says what is taken.
        """
        for name, value in options.items():
            if name not in self.defaults:
                takes = f"it takes {', '.join(self.defaults)}" if self.defaults else "it takes none"
                raise ScenarioError(f"a user of kind {self.name} has no option {name!r}; {takes}")
            self._check(name, value)
        complete = {**self.defaults, **options}
        try:
            self.behaviour(complete, 0.0)
            if {"up", "down"} <= complete.keys():
                Flapper(up=complete["up"], down=complete["down"])
        except BehaviourError as error:
            raise ScenarioError(f"a user of kind {self.name}: {error}") from None
        return complete

    def _check(self, name: str, value: object) -> None:
        default = self.defaults[name]
        if isinstance(default, bool):
            right, expected = isinstance(value, bool), "true or false"
        elif isinstance(default, int):
            least = _LEAST.get(name, 1)
            right = isinstance(value, int) and not isinstance(value, bool) and value >= least
            expected = f"a whole number of at least {least}"
        elif isinstance(default, float):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            right, expected = number and math.isfinite(value), "a number of at least 0"  # type: ignore[arg-type]  # `number` narrows it
            if name in _ABOVE_ZERO:
                right, expected = right and value > 0, "a number above 0"  # type: ignore[operator]  # the same
            else:
                right = right and value >= 0  # type: ignore[operator]  # the same
        else:
            choices = _CHOICES.get(name)
            right = isinstance(value, str) and (choices is None or value in choices)
            expected = " or ".join(map(repr, choices)) if choices else "some text"
        if not right:
            raise ScenarioError(
                f"a user of kind {self.name}: {name} must be {expected}, not {value!r}"
            )


def _healthy(_: Mapping[str, Any], after: float) -> Behaviour:  # noqa: ARG001 - it never turns
    return Behaviour.healthy()


def _slow(options: Mapping[str, Any], after: float) -> Behaviour:
    return Behaviour.slow(bytes_per_second=options["bytes_per_second"], after_seconds=after)


def _with(name: str, fault: Fault) -> Behaviour:
    return Behaviour(name=name, faults=(fault,))


def _pulsing(options: Mapping[str, Any], after: float) -> Behaviour:
    fault = PulsingReader(on=options["on"], off=options["off"], after_seconds=after)
    return _with("pulsing", fault)


def _flooder(options: Mapping[str, Any], after: float) -> Behaviour:
    rate, size = options["rate"], options["message_bytes"]
    return _with("flooder", Flood(rate=rate, message_bytes=size, after_seconds=after))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                name="viewer",
                summary="reads everything as it comes, like a browser's dashboard",
                behaviour=_healthy,
            ),
            Kind(
                name="slow",
                summary="comes to read at a low steady rate",
                defaults={"bytes_per_second": 1_000.0},
                behaviour=_slow,
                faulty=True,
                expects_eviction=True,
            ),
            Kind(
                name="pulsing",
                summary="comes to read now and then, and to pause in between",
                defaults={"on": 0.5, "off": 0.2},
                behaviour=_pulsing,
                faulty=True,
            ),
            Kind(
                name="stalled",
                summary="comes to stop reading, and keeps its connection",
                behaviour=lambda _, after: Behaviour.stalled(after_seconds=after),
                faulty=True,
                expects_eviction=True,
            ),
            Kind(
                name="half_open",
                summary=(
                    "comes to vanish without a word: it neither reads nor sends, and where the"
                    " system allows it (Linux) its kernel does not even acknowledge"
                ),
                defaults={"deaf": True},
                behaviour=lambda _, after: _with("half_open", HalfOpen(after_seconds=after)),
                faulty=True,
                expects_eviction=True,
            ),
            Kind(
                name="dead",
                summary="comes to die with a TCP reset, and does not come back",
                behaviour=lambda _, after: Behaviour.dead(after_seconds=after),
                faulty=True,
                expects_eviction=True,
            ),
            Kind(
                name="flapping",
                summary="comes to drop its connection and return, again and again",
                defaults={"up": 2.0, "down": 1.0, "spread": 0.0, "ends": "reset"},
                behaviour=_healthy,
                faulty=True,
            ),
            Kind(
                name="never_pongs",
                summary="reads everything, and comes to answer no ping",
                behaviour=lambda _, after: _with("never_pongs", NeverPongs(after_seconds=after)),
                faulty=True,
                expects_eviction=True,
            ),
            Kind(
                name="flooder",
                summary="reads everything, and comes to send many messages to the server",
                defaults={"rate": 500.0, "message_bytes": 100},
                behaviour=_flooder,
                faulty=True,
            ),
            Kind(
                name="history_reader",
                summary="reads everything, and asks for the server's history at a pace",
                defaults={"interval": 0.5, "path": "/api/streaming-history/load"},
                behaviour=_healthy,
            ),
            Kind(
                name="publisher",
                summary="reads everything, and publishes events of its own at a pace",
                defaults={"rate": 5.0, "size_bytes": 300},
                behaviour=_healthy,
            ),
        )
    }
)
"""Every kind of user by its name, in the order of tables."""
