"""A load test as data: who connects, what is published, and what must hold."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from loadtests.errors import ScenarioError

__all__ = [
    "COHORTS",
    "FOREIGN_BUFFER_BYTES",
    "SCENARIOS",
    "SERVER_BUFFER_BYTES",
    "Scenario",
    "Thresholds",
]

COHORTS = ("healthy", "slow", "stalled", "dead")
"""The cohorts of a scenario, in the order of tables; all but the first are faulty."""

SERVER_BUFFER_BYTES = 65_536 + 2 * 16_384
"""What our server holds for a client that does not read: uvicorn's own write buffer up to its
high-water mark, and a send buffer of 16 384 bytes, which Linux doubles."""

FOREIGN_BUFFER_BYTES = 65_536 + 4 * 1024 * 1024
"""The same for a server of which nothing is known: the kernel may let its send buffer grow to
4 MiB, the usual maximum of ``net.ipv4.tcp_wmem``."""

_WATER_BYTES = 65_536 - 16_384
"""What a paused connection of the server must drain before it takes the next send."""


def _check(name: str, value: object, *, above: float | None = None, least: float = 0) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    bound = f"above {above:g}" if above is not None else f"at least {least:g}"
    if not number or not math.isfinite(value):  # type: ignore[arg-type]  # `number` narrows it
        raise ScenarioError(f"{name} must be a finite number {bound}, not {value!r}")
    low = value <= above if above is not None else value < least  # type: ignore[operator]  # the same
    if low:
        raise ScenarioError(f"{name} must be {bound}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The limits of the verdict. Durations are seconds.

    Attributes:
        latency_p99: limit of the 99th percentile of the healthy clients' push latency.
        send_timeout: what the manager promises to wait for one send.
        eviction_margin: what an eviction may take beyond filling the pipe and `send_timeout`;
            also what the server may take to notice a reset.
        gone_within: what the connection of an evicted client may take to be gone.
        publisher_block: the longest that one publication may take.
        blast_ratio: how much the p99 may grow when the faulty clients turn faulty.
        blast_floor: below this p99 the ratio means nothing: 2 ms instead of 1 ms is noise.
        generator_lag: above this p99 of its own loop's lag the generator measures itself.
        generator_cpu: the share of one core above which the same is assumed.
        drain: how long after the last event the run waits for what is still under way.
    """

    latency_p99: float = 0.25
    send_timeout: float = 0.5
    eviction_margin: float = 2.0
    gone_within: float = 2.0
    publisher_block: float = 1.0
    blast_ratio: float = 5.0
    blast_floor: float = 0.05
    generator_lag: float = 0.1
    generator_cpu: float = 0.9
    drain: float = 4.0

    def __post_init__(self) -> None:
        """Refuse impossible limits."""
        for entry in dataclasses.fields(self):
            _check(entry.name, getattr(self, entry.name), above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One load test. Every client behaves until the baseline is over; then the faulty ones turn.

    Attributes:
        name: how it is called on the command line.
        proves: one line for the list of scenarios.
        healthy: clients that read everything as it comes.
        slow: clients that come to read `slow_bytes_per_second` only.
        stalled: clients that come to stop reading and keep their connection.
        dead: clients that come to die with a TCP reset.
        rate: events published each second.
        size_bytes: the size of one event on the wire.
        duration: how long events are published, in seconds; connecting before it and draining
            after it come on top.
        baseline_share: the part of `duration` before anybody turns faulty.
        ramp: seconds over which the clients connect.
        slow_bytes_per_second: at which rate slow clients read.
        receive_buffer_bytes: the kernel's receive buffer of faulty clients. With the system's
            default a client that stops reading hides behind megabytes for minutes.
        thresholds: what must hold.

    Raises:
        ScenarioError: a number that is impossible, or clients that could never be slow.
    """

    name: str
    proves: str
    healthy: int = 40
    slow: int = 5
    stalled: int = 5
    dead: int = 5
    rate: float = 100.0
    size_bytes: int = 300
    duration: float = 36.0
    baseline_share: float = 0.25
    ramp: float = 1.5
    slow_bytes_per_second: float = 1_000.0
    receive_buffer_bytes: int = 4_096
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for cohort in COHORTS:
            count = getattr(self, cohort)
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ScenarioError(f"{cohort} must be a whole number of at least 0, not {count!r}")
        if not self.healthy:
            raise ScenarioError("healthy must be at least 1: the verdict is about those who behave")
        limits = self.thresholds
        _check("rate", self.rate, above=0)
        _check("size_bytes", self.size_bytes, least=300)
        _check("duration", self.duration, least=1)
        _check("baseline_share", self.baseline_share, above=0)
        if self.baseline_share >= 1:
            raise ScenarioError(f"baseline_share must be below 1, not {self.baseline_share!r}")
        _check("ramp", self.ramp, above=0)
        _check("slow_bytes_per_second", self.slow_bytes_per_second, above=0)
        _check("receive_buffer_bytes", self.receive_buffer_bytes, least=1)
        if self.slow and self.slow_bytes_per_second >= self.published_bytes_per_second:
            raise ScenarioError(
                f"slow clients that read {self.slow_bytes_per_second:g} bytes/s keep up with"
                f" {self.rate:g} events/s of {self.size_bytes} bytes: publish more, or let them"
                " read less"
            )
        if self.slow and self.slow_bytes_per_second * limits.send_timeout >= _WATER_BYTES:
            raise ScenarioError(
                f"slow clients that read {self.slow_bytes_per_second:g} bytes/s are let through by"
                f" a send timeout of {limits.send_timeout:g} s: let them read less than"
                f" {_WATER_BYTES / limits.send_timeout:g} bytes/s"
            )

    @property
    def clients(self) -> int:
        """All clients together."""
        return sum(getattr(self, cohort) for cohort in COHORTS)

    @property
    def published_bytes_per_second(self) -> float:
        """What each client is sent in a second, frames included."""
        return self.rate * (self.size_bytes + 4)

    @property
    def baseline(self) -> float:
        """Seconds of publishing before anybody turns faulty."""
        return self.duration * self.baseline_share

    @property
    def settle(self) -> float:
        """Seconds from the generator's start until publishing begins."""
        return self.ramp + 1.0

    def pipe_bytes(self, *, server_buffer_bytes: int = SERVER_BUFFER_BYTES) -> int:
        """Return what a client that does not read absorbs before a send blocks.

        An upper bound: the kernel counts its own bookkeeping against these buffers, so that less
        payload fits.
        """
        return server_buffer_bytes + 2 * self.receive_buffer_bytes

    def fill_time(
        self,
        cohort: str,
        *,
        server_buffer_bytes: int = SERVER_BUFFER_BYTES,
        bytes_per_second: float | None = None,
    ) -> float:
        """Return the seconds that fill the pipe of a client of this cohort.

        Args:
            cohort: slow clients take their share out of the pipe meanwhile.
            server_buffer_bytes: the server's part of the pipe.
            bytes_per_second: what each client is sent; the scenario's own rate by default.

        Returns:
            Infinity when the client keeps up.
        """
        flows = self.published_bytes_per_second if bytes_per_second is None else bytes_per_second
        flows -= self.slow_bytes_per_second if cohort == "slow" else 0.0
        pipe = self.pipe_bytes(server_buffer_bytes=server_buffer_bytes)
        return pipe / flows if flows > 0 else math.inf

    def eviction_limit(
        self,
        cohort: str,
        *,
        server_buffer_bytes: int = SERVER_BUFFER_BYTES,
        bytes_per_second: float | None = None,
    ) -> float:
        """Return within how many seconds of its fault a client must be out of the pool.

        The arguments are those of `fill_time`.
        """
        margin = self.thresholds.eviction_margin
        if cohort == "dead":
            return margin
        fill = self.fill_time(
            cohort, server_buffer_bytes=server_buffer_bytes, bytes_per_second=bytes_per_second
        )
        return fill + self.thresholds.send_timeout + margin

    def changed(self, **options: Any) -> Self:
        """Return a copy with every option that is not None in place."""
        given = {name: value for name, value in options.items() if value is not None}
        return dataclasses.replace(self, **given)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a scenario back from its JSON form.

        Raises:
            ScenarioError: a key is unknown or missing, or a value is impossible.
        """
        values = dict(form)
        limits = values.pop("thresholds", {})
        _known(limits, Thresholds, within="thresholds")
        _known(values, cls, within="scenario")
        if missing := sorted({"name", "proves"} - values.keys()):
            raise ScenarioError(f"scenario: {' and '.join(missing)} missing")
        return cls(**values, thresholds=Thresholds(**limits))


def _known(form: Mapping[str, Any], kind: type[Any], *, within: str) -> None:
    known = {entry.name for entry in dataclasses.fields(kind)}
    if unknown := sorted(form.keys() - known):
        raise ScenarioError(
            f"{within}: unknown key {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
        )


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="storm",
            proves=(
                "slow, stalled and dead clients are evicted in time, and the healthy ones"
                " notice nothing"
            ),
        ),
    )
}
"""The scenarios that come with the package, by name."""
