"""Locust users that hold a WebSocket: healthy, slow, stalled and dead.

They live in locust's life cycle and appear in its statistics: each connect as ``WS connect``, the
pushes as ``WS push <cohort>`` with the latency as response time, a connection that the server ended
as a failure of ``WS close <cohort>``. The sockets themselves are carried by one
`loadtests.engine.Engine` for each locust process, outside of gevent.

Subclass one to change what it does::

    class Snail(SlowUser):
        cohort = "snail"

        def behaviour(self, after_seconds: float) -> Behaviour:
            return Behaviour.slow(bytes_per_second=50, after_seconds=after_seconds)

Importing this module imports locust, which patches the whole process.
"""

import json
import os
import time
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import gevent
from gevent import monkey
from locust import User, constant, task
from locust.env import Environment
from locust.stats import StatsEntry

from loadtests.engine import Engine, Member, Pushes
from loadtests.errors import LoadTestError
from loadtests.plan import Plan
from loadtests.scenario import SCENARIOS
from simulators.behaviours import Behaviour

__all__ = [
    "PLAN_VARIABLE",
    "DeadUser",
    "FlockUser",
    "HealthyUser",
    "SlowUser",
    "StalledUser",
    "engine_of",
]

PLAN_VARIABLE = "FLOCK_LOAD_PLAN"
"""Names the file of the plan; without it a user's host is the WebSocket address."""

_REPORT_EVERY = 0.5
_STATISTICS = (
    "method",
    "name",
    "num_requests",
    "num_failures",
    "min_response_time",
    "max_response_time",
    "total_response_time",
    "total_content_length",
)
_engines: "WeakKeyDictionary[Environment, Engine]" = WeakKeyDictionary()
_unfinished: "WeakSet[Environment]" = WeakSet()


class FlockUser(User):
    """One client with a behaviour. It connects once and stays.

    Attributes:
        cohort: what its pushes are counted under.
        member: its client in the engine.
    """

    abstract = True
    wait_time = constant(1.0)
    cohort = "healthy"
    member: Member

    def behaviour(self, after_seconds: float) -> Behaviour:
        """Return what the client does; a faulty one turns faulty after this many seconds."""
        raise NotImplementedError

    def on_start(self) -> None:
        """Connect. A failure is a failed request, and the user stays without a connection."""
        engine = engine_of(self.environment)
        after = max(0.0, engine.faults_at - time.monotonic())
        name = engine.new_name(self.cohort)
        self.member = engine.connect(name, self.cohort, self.behaviour(after))
        self._told = False
        error = self.member.error
        self._fire(
            "connect",
            seconds=self.member.connect_time or 0.0,
            error=LoadTestError(error) if error else None,
        )

    def on_stop(self) -> None:
        """Close the connection without waiting, for the tail of a run must not be lost."""
        engine_of(self.environment).release(self.member)

    @task
    def stay(self) -> None:
        """Watch the connection: an end that the server brought about is told once."""
        if self.member.ended and not self._told:
            self._told = True
            closed = self.member.client.closed
            code, reason = (closed.code, closed.reason) if closed else (None, "")
            text = f"closed by the server with {code} {reason}".rstrip()
            self._fire(f"close {self.cohort}", seconds=0.0, error=LoadTestError(text))

    def _fire(self, name: str, *, seconds: float, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=seconds * 1_000,
            response_length=0,
            exception=error,
            context={},
        )


class HealthyUser(FlockUser):
    """Reads everything as it comes."""

    cohort = "healthy"

    def behaviour(self, after_seconds: float) -> Behaviour:  # noqa: ARG002 - it never turns
        """Return the behaviour without faults."""
        return Behaviour.healthy()


class SlowUser(FlockUser):
    """Comes to read at the scenario's low rate."""

    cohort = "slow"

    def behaviour(self, after_seconds: float) -> Behaviour:
        """Return a reader that turns slow."""
        rate = engine_of(self.environment).plan.scenario.slow_bytes_per_second
        return Behaviour.slow(bytes_per_second=rate, after_seconds=after_seconds)


class StalledUser(FlockUser):
    """Comes to stop reading, and keeps its connection."""

    cohort = "stalled"

    def behaviour(self, after_seconds: float) -> Behaviour:
        """Return a reader that stalls."""
        return Behaviour.stalled(after_seconds=after_seconds)


class DeadUser(FlockUser):
    """Comes to die with a TCP reset, and does not come back."""

    cohort = "dead"

    def behaviour(self, after_seconds: float) -> Behaviour:
        """Return a client that resets."""
        return Behaviour.dead(after_seconds=after_seconds)


def engine_of(environment: Environment) -> Engine:
    """Return the engine of this locust process; the first call starts it.

    Raises:
        LoadTestError: there is neither a plan nor a host.
    """
    engine = _engines.get(environment)
    if engine is None:
        start_new_thread = monkey.get_original("_thread", "start_new_thread")
        engine = _engines[environment] = Engine(
            _plan(environment),
            start_thread=lambda function: start_new_thread(function, ()),
            socket_factory=monkey.get_original("socket", "socket"),
            sleep=gevent.sleep,
        )
        engine.start()
        _unfinished.add(environment)
        attendant = gevent.spawn(_attend, environment, engine)
        quitting, quit_ = environment.events.quitting, environment.events.quit
        quitting.add_listener(  # type: ignore[no-untyped-call]  # locust's hooks have no types
            lambda **_: _finish(environment, engine, attendant)
        )
        quit_.add_listener(lambda **_: engine.stop())  # type: ignore[no-untyped-call]  # the same
    return engine


def _plan(environment: Environment) -> Plan:
    if path := os.environ.get(PLAN_VARIABLE):
        return Plan.read(Path(path))
    if not environment.host:
        raise LoadTestError("no server to connect to: give --host ws://host:port/path")
    return Plan(scenario=SCENARIOS["storm"], url=environment.host)


def _attend(environment: Environment, engine: Engine) -> None:
    """Carry what the engine saw to locust and to whoever started it."""
    while True:
        _report_pushes(environment, engine.take_pushes())
        if engine.plan.folder is not None:
            _write(engine.plan.folder / "progress.json", json.dumps(engine.progress()))
        parent = engine.plan.parent
        if parent is not None and os.getppid() != parent and environment.runner is not None:
            environment.runner.quit()
            return
        gevent.sleep(_REPORT_EVERY)


def _finish(environment: Environment, engine: Engine, attendant: gevent.Greenlet) -> None:
    if environment not in _unfinished:
        # After SIGTERM locust shuts down twice; only the first time everybody is still connected.
        return
    _unfinished.discard(environment)
    attendant.kill()
    if engine.plan.look_again:
        engine.look_again()
    _report_pushes(environment, engine.take_pushes())
    results = engine.results()
    results.statistics = [
        {key: getattr(entry, key) for key in _STATISTICS}
        for entry in environment.stats.entries.values()
    ]
    if engine.plan.folder is not None:
        _write(engine.plan.folder / "results.json", results.model_dump_json())
    healthy = [client for client in results.clients if client.cohort == "healthy"]
    broken = sum(client.gaps + client.duplicates + client.disordered for client in healthy)
    dropped = sum(client.closed_at is not None and not client.released for client in healthy)
    if environment.process_exit_code is None:
        environment.process_exit_code = 1 if broken or dropped else 0


def _report_pushes(environment: Environment, pushes: dict[str, Pushes]) -> None:
    for cohort, taken in pushes.items():
        if taken.latency.count:
            entry = _entry(environment, f"push {cohort}", taken)
            environment.stats.get(entry.name, entry.method).extend(entry)
            environment.stats.total.extend(entry)


def _entry(environment: Environment, name: str, taken: Pushes) -> StatsEntry:
    """Make the statistics of many pushes at once.

    Firing locust's request event for each would cost more than receiving it, and would round the
    response times between 100 ms and 1 s to 10 ms.
    """
    latency, now = taken.latency, time.time()
    entry = StatsEntry(environment.stats, name, "WS")
    numbers: dict[str, Any] = {
        "num_requests": latency.count,
        "total_response_time": latency.total * 1_000,
        "min_response_time": latency.minimum * 1_000,
        "max_response_time": latency.maximum * 1_000,
        "response_times": latency.milliseconds(),
        "num_reqs_per_sec": {int(now): latency.count},
        "total_content_length": taken.received_bytes,
        "last_request_timestamp": now,
        "start_time": now,
    }
    for key, value in numbers.items():
        setattr(entry, key, value)
    return entry


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: its reader never sees half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
