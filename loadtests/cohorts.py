"""The parts of a scenario: its cohorts, the limits of a run, the search for a capacity."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from loadtests.errors import ScenarioError
from loadtests.kinds import KINDS, Kind

__all__ = ["Cohort", "RunLimits", "Search", "check_number", "check_text", "check_whole"]


def check_number(name: str, value: object, *, above: float | None = None, least: float = 0) -> None:
    """Refuse what is no finite number, or too low.

    Raises:
        ScenarioError: the message names it.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    bound = f"above {above:g}" if above is not None else f"at least {least:g}"
    if not number or not math.isfinite(value):  # type: ignore[arg-type]  # `number` narrows it
        raise ScenarioError(f"{name} must be a finite number {bound}, not {value!r}")
    low = value <= above if above is not None else value < least  # type: ignore[operator]  # the same
    if low:
        raise ScenarioError(f"{name} must be {bound}, not {value!r}")


def check_whole(name: str, value: object, *, least: int = 0) -> None:
    """Refuse what is no whole number, or too low.

    Raises:
        ScenarioError: the message names it.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ScenarioError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_text(name: str, value: object) -> None:
    """Refuse what is no text, or an empty one.

    Raises:
        ScenarioError: the message names it.
    """
    if not isinstance(value, str) or not value.strip():
        raise ScenarioError(f"{name} must be a text that says something, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Clients of one kind that are counted together. Times are seconds of publishing.

    Attributes:
        name: what it is called in metrics, tables and reports.
        user: the kind of its clients, a key of `loadtests.kinds.KINDS`.
        count: how many there are; 0 leaves the cohort out.
        turns: when they come to do what their kind does; None: at the end of the baseline.
        joins: when they connect; None: before publishing begins, spread over the ramp.
        leaves: when they close their connection; None: at the end.
        options: of the kind, see its defaults.

    Raises:
        ScenarioError: a value is impossible; the message names it.
    """

    name: str
    user: str
    count: int
    turns: float | None = None
    joins: float | None = None
    leaves: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_text("name", self.name)
        if not self.name.isidentifier():
            raise ScenarioError(
                f"name must be letters, digits and underscores, for metrics carry it,"
                f" not {self.name!r}"
            )
        if self.user not in KINDS:
            raise ScenarioError(f"user must be one of {', '.join(KINDS)}, not {self.user!r}")
        check_whole("count", self.count)
        for name in ("turns", "joins", "leaves"):
            if (moment := getattr(self, name)) is not None:
                check_number(name, moment)
        if self.turns is not None and self.user == "viewer":
            raise ScenarioError("turns is for kinds that come to do something else; viewers do not")
        if self.leaves is not None and self.leaves <= (self.joins or 0.0):
            raise ScenarioError(f"leaves must be after joins, not {self.leaves!r}")
        if not isinstance(self.options, Mapping):
            raise ScenarioError(f"options must be a table, not {self.options!r}")
        self.kind.complete(self.options)

    @property
    def kind(self) -> Kind:
        """What its clients are."""
        return KINDS[self.user]

    @property
    def complete_options(self) -> dict[str, Any]:
        """Its options with the kind's defaults where it says nothing."""
        return self.kind.complete(self.options)

    def stretched(self, factor: float) -> Self:
        """Return it with all its times multiplied."""
        times = {
            name: getattr(self, name) * factor
            for name in ("turns", "joins", "leaves")
            if getattr(self, name) is not None
        }
        return dataclasses.replace(self, **times)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What the questions of every run are measured by. Durations are seconds.

    Attributes:
        send_timeout: what the manager is taken to promise for one send.
        eviction_margin: what an eviction may take beyond filling the pipe and `send_timeout`;
            also what the server may take to notice a reset.
        gone_within: what the connection of an evicted client may take to be gone.
        generator_lag: above this p99 of its own loop's lag the generator measures itself.
        generator_cpu: the share of one core above which the same is assumed.
        waited: the share of the time for which the generator, or the server in its worst two
            seconds, may have been ready to run without a core to run on. Above it a broken limit
            of time proves nothing: the machine was busy with something else.
        publisher_late: how late the publisher's own timer may be.
        drain: how long after the last event the run waits for what is still under way.
    """

    send_timeout: float = 0.5
    eviction_margin: float = 2.0
    gone_within: float = 2.0
    generator_lag: float = 0.1
    generator_cpu: float = 0.9
    waited: float = 0.25
    publisher_late: float = 0.25
    drain: float = 4.0

    def __post_init__(self) -> None:
        """Refuse impossible limits."""
        for entry in dataclasses.fields(self):
            check_number(entry.name, getattr(self, entry.name), above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the clients grow in number until a limit breaks.

    Every `every` seconds of publishing `clients` more viewers join, `steps` times. The first part
    of a step, `settle` seconds, is for connecting and is not judged.

    Attributes:
        clients: how many join at each step.
        steps: how often.
        every: seconds from one step to the next.
        settle: seconds of a step that do not count.
        quantile: which latency of a step is judged: 0.95 is the p95.
        limit: what it must stay below, in seconds.
    """

    clients: int
    steps: int
    every: float = 4.0
    settle: float = 1.5
    quantile: float = 0.95
    limit: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be searched."""
        check_whole("clients", self.clients, least=1)
        check_whole("steps", self.steps, least=1)
        for name in ("every", "settle", "quantile", "limit"):
            check_number(name, getattr(self, name), above=0)
        if self.every < self.settle + 1:
            raise ScenarioError(
                f"every must leave a second after settle ({self.settle:g} s), not {self.every!r}"
            )
        if self.quantile >= 1:
            raise ScenarioError(f"quantile must be below 1, not {self.quantile!r}")

    @property
    def cohorts(self) -> tuple[Cohort, ...]:
        """The cohorts that join, one for each step."""
        return tuple(
            Cohort(name=f"step_{n}", user="viewer", count=self.clients, joins=n * self.every)
            for n in range(1, self.steps + 1)
        )
