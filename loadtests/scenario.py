"""A load test as data: who connects, what is published, and what must hold."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from loadtests.cohorts import Cohort, RunLimits, Search, check_number, check_text, check_whole
from loadtests.errors import ScenarioError

__all__ = ["AUTOMATIC_WINDOWS", "SERVER_OPTIONS", "Scenario"]

AUTOMATIC_WINDOWS = ("all", "baseline", "faults")
"""Windows that every scenario has: all of the publishing, and before and after the baseline."""

SERVER_OPTIONS: Mapping[str, float] = {
    "send_timeout": 0.001,
    "heartbeat_interval": 0.001,
    "pong_timeout": 0.001,
    "history_limit": 1,
    "max_clients": 1,
}
"""What a scenario may ask of a server that is started for it, with the least value of each."""

_WHOLE_OPTIONS = frozenset({"history_limit", "max_clients"})
_LEAST_EVENT_BYTES = 300
_WATER_BYTES = 65_536 - 16_384
"""What a paused connection of our server must drain before it takes the next send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One load test. Times are seconds of publishing, durations are seconds.

    Attributes:
        name: how it is called on the command line.
        proves: one line for the list of scenarios.
        cohorts: who connects.
        rate: events published each second.
        size_bytes: the size of one event on the wire.
        duration: how long events are published; connecting before it and draining after it come
            on top.
        ramp: over how long the clients connect.
        baseline: how long nobody misbehaves, unless a cohort says when it turns.
        windows: named spans that metrics can be asked for. `baseline`, `faults` and `all` are
            always among them and follow from `baseline` and `duration`.
        server: options of a server that is started for the run, see `SERVER_OPTIONS`.
        thresholds: expressions over metrics that must hold, see `loadtests.thresholds`.
        receive_buffer_bytes: the kernel's receive buffer of clients that misbehave. With the
            system's default a client that stops reading hides behind megabytes for minutes.
        limits: what the questions of every run are measured by.
        search: how the number of clients grows; None leaves it as it is.

    Raises:
        ScenarioError: a number that is impossible, or clients that could never be slow.
    """

    name: str
    proves: str
    cohorts: tuple[Cohort, ...]
    rate: float = 100.0
    size_bytes: int = 300
    duration: float = 36.0
    ramp: float = 1.5
    baseline: float = 9.0
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    thresholds: tuple[str, ...] = ()
    receive_buffer_bytes: int = 4_096
    limits: RunLimits = field(default_factory=RunLimits)
    search: Search | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run, and complete cohorts and windows."""
        check_text("name", self.name)
        check_text("proves", self.proves)
        check_number("rate", self.rate, above=0)
        check_whole("size_bytes", self.size_bytes, least=_LEAST_EVENT_BYTES)
        check_number("duration", self.duration, least=1)
        check_number("ramp", self.ramp, above=0)
        check_number("baseline", self.baseline, above=0)
        check_whole("receive_buffer_bytes", self.receive_buffer_bytes, least=1)
        if self.baseline > self.duration:
            raise ScenarioError(
                f"baseline must be within the duration of {self.duration:g} s,"
                f" not {self.baseline!r}"
            )
        if self.search is not None:
            names = {cohort.name for cohort in self.cohorts}
            steps = [step for step in self.search.cohorts if step.name not in names]
            object.__setattr__(self, "cohorts", (*self.cohorts, *steps))
        self._check_cohorts()
        self._check_windows()
        self._check_server()
        self._check_slow()
        for threshold in self.thresholds:
            check_text("thresholds", threshold)
        automatic = {
            "all": (0.0, self.duration),
            "baseline": (0.0, self.baseline),
            "faults": (self.baseline, self.duration),
        }
        object.__setattr__(self, "windows", {**self.windows, **automatic})

    def _check_cohorts(self) -> None:
        names = [cohort.name for cohort in self.cohorts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ScenarioError(f"cohorts: the name {twice[0]} is given twice")
        if not self.healthy_clients:
            raise ScenarioError(
                "cohorts: there must be at least one viewer, for the verdict is about those who"
                " behave"
            )
        for cohort in self.cohorts:
            if cohort.name == "healthy" and cohort.user != "viewer":
                raise ScenarioError("cohorts: healthy means the viewers; choose another name")
            for name in ("turns", "joins", "leaves"):
                moment = getattr(cohort, name)
                if moment is not None and moment > self.duration:
                    raise ScenarioError(
                        f"cohorts.{cohort.name}.{name} must be within the duration of"
                        f" {self.duration:g} s, not {moment!r}"
                    )

    def _check_windows(self) -> None:
        for name, given in self.windows.items():
            span: object = given
            if name in AUTOMATIC_WINDOWS:
                continue
            if not name.isidentifier():
                raise ScenarioError(
                    f"windows: {name!r} must be letters, digits and underscores, for metrics"
                    " carry it"
                )
            if not isinstance(span, tuple) or len(span) != 2:  # noqa: PLR2004 - from, to
                raise ScenarioError(f"windows.{name} must be [from, to], not {given!r}")
            start, end = span
            check_number(f"windows.{name}", start)
            check_number(f"windows.{name}", end)
            if not start < end <= self.duration:
                raise ScenarioError(
                    f"windows.{name} must be [from, to] within the duration of"
                    f" {self.duration:g} s, not {list(span)!r}"
                )

    def _check_server(self) -> None:
        for name, value in self.server.items():
            if name not in SERVER_OPTIONS:
                raise ScenarioError(
                    f"server.{name} is unknown; a server takes {', '.join(SERVER_OPTIONS)}"
                )
            if name in _WHOLE_OPTIONS:
                check_whole(f"server.{name}", value, least=int(SERVER_OPTIONS[name]))
            else:
                check_number(f"server.{name}", value, least=SERVER_OPTIONS[name])

    def _check_slow(self) -> None:
        for cohort in self.cohorts:
            if cohort.user != "slow" or not cohort.count:
                continue
            taken = float(cohort.complete_options["bytes_per_second"])
            if taken >= self.published_bytes_per_second:
                raise ScenarioError(
                    f"cohorts.{cohort.name}: slow clients that read {taken:g} bytes/s keep up with"
                    f" {self.rate:g} events/s of {self.size_bytes} bytes: publish more, or let"
                    " them read less"
                )
            if taken * self.send_timeout >= _WATER_BYTES:
                raise ScenarioError(
                    f"cohorts.{cohort.name}: slow clients that read {taken:g} bytes/s are let"
                    f" through by a send timeout of {self.send_timeout:g} s: let them read less"
                    f" than {_WATER_BYTES / self.send_timeout:g} bytes/s"
                )

    @property
    def clients(self) -> int:
        """All clients together."""
        return sum(cohort.count for cohort in self.cohorts)

    @property
    def healthy_clients(self) -> int:
        """The viewers, who behave from beginning to end."""
        return sum(cohort.count for cohort in self.cohorts if cohort.user == "viewer")

    @property
    def faulty_clients(self) -> int:
        """Those who come to misbehave."""
        return sum(cohort.count for cohort in self.cohorts if cohort.kind.faulty)

    @property
    def published_bytes_per_second(self) -> float:
        """What each client is sent in a second, frames included."""
        return self.rate * (self.size_bytes + 4)

    @property
    def settle(self) -> float:
        """Seconds from the generator's start until publishing begins."""
        return self.ramp + 1.0

    @property
    def send_timeout(self) -> float:
        """What a send may take before the client is evicted."""
        return float(self.server.get("send_timeout", self.limits.send_timeout))

    @property
    def first_turn(self) -> float:
        """When the first client comes to misbehave; the end of the baseline when none does."""
        turns = [self.turns(cohort) for cohort in self.cohorts if cohort.kind.faulty]
        return min(turns, default=self.baseline)

    def cohort(self, name: str) -> Cohort:
        """Return a cohort by its name.

        Raises:
            ScenarioError: there is none; the message names those that are there.
        """
        for cohort in self.cohorts:
            if cohort.name == name:
                return cohort
        known = ", ".join(cohort.name for cohort in self.cohorts)
        raise ScenarioError(f"{self.name} has no cohort {name!r} (there are: {known})")

    def turns(self, cohort: Cohort) -> float:
        """Return when the clients of a cohort come to misbehave."""
        return self.baseline if cohort.turns is None else cohort.turns

    def changed(
        self,
        *,
        clients: Mapping[str, int] | None = None,
        duration: float | None = None,
        thresholds: tuple[str, ...] | None = None,
        **options: Any,
    ) -> Self:
        """Return a copy with every option that is not None in place.

        Args:
            clients: cohorts by name, with how many clients each is to have.
            duration: the scenario is stretched to it as a whole: baseline, windows, and when
                cohorts turn, join and leave. Options of the kinds stay as they are.
            thresholds: in place of those there are.
            options: any other field.

        Raises:
            ScenarioError: there is no such cohort, or the result cannot be run.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if thresholds is not None:
            given["thresholds"] = thresholds
        cohorts = given.pop("cohorts", self.cohorts)
        for name, count in (clients or {}).items():
            one = self.cohort(name)
            changed = _within(f"cohorts.{name}", dataclasses.replace, one, count=count)
            cohorts = tuple(changed if cohort is one else cohort for cohort in cohorts)
        if duration is not None:
            check_number("duration", duration, least=1)
            if self.search is not None:
                raise ScenarioError(
                    f"{self.name} lasts as long as its steps: change them instead of duration"
                )
            factor = duration / self.duration
            cohorts = tuple(cohort.stretched(factor) for cohort in cohorts)
            given["duration"] = duration
            given["baseline"] = self.baseline * factor
            given["windows"] = {
                name: (start * factor, min(end * factor, duration))
                for name, (start, end) in self.windows.items()
            }
        return dataclasses.replace(self, cohorts=cohorts, **given)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a scenario from its JSON form, or from that of a file.

        Raises:
            ScenarioError: a key is unknown or missing, or a value is impossible.
        """
        values = dict(form)
        _keys(values, cls, within="the scenario")
        cohorts = values.get("cohorts", ())
        if not isinstance(cohorts, list | tuple):
            raise ScenarioError(f"cohorts must be a list of tables, not {cohorts!r}")
        values["cohorts"] = tuple(
            _read(Cohort, entry, within=f"cohorts[{number}]")
            for number, entry in enumerate(cohorts, start=1)
        )
        values["limits"] = _read(RunLimits, values.get("limits", {}), within="limits")
        if values.get("search") is not None:
            values["search"] = _read(Search, values["search"], within="search")
        for name in ("windows", "server"):
            if not isinstance(values.setdefault(name, {}), Mapping):
                raise ScenarioError(f"{name} must be a table, not {values[name]!r}")
        thresholds = values.get("thresholds", ())
        if not isinstance(thresholds, list | tuple):
            raise ScenarioError(f"thresholds must be a list of texts, not {thresholds!r}")
        values["thresholds"] = tuple(thresholds)
        values["windows"] = {
            name: tuple(span) if isinstance(span, list) else span
            for name, span in values["windows"].items()
        }
        return cls(**values)


def _read(kind: type[Any], form: Any, *, within: str) -> Any:
    if isinstance(form, kind):
        return form
    if not isinstance(form, Mapping):
        raise ScenarioError(f"{within} must be a table, not {form!r}")
    _keys(form, kind, within=within)
    return _within(within, kind, **form)


def _within(place: str, make: Any, *values: Any, **named: Any) -> Any:
    """Let an error say in which part of the scenario it was found."""
    try:
        return make(*values, **named)
    except ScenarioError as error:
        raise ScenarioError(f"{place}.{error}") from None


def _keys(form: Mapping[str, Any], kind: type[Any], *, within: str) -> None:
    entries = dataclasses.fields(kind)
    known = [entry.name for entry in entries]
    if unknown := [name for name in form if name not in known]:
        raise ScenarioError(
            f"{within}: unknown key {', '.join(unknown)}; it takes {', '.join(known)}"
        )
    must = [
        entry.name
        for entry in entries
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in must if name not in form]:
        raise ScenarioError(f"{within}: {' and '.join(missing)} missing")
