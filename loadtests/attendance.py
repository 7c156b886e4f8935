"""One engine for each locust process: it begins with the first user and ends with locust.

What it sees is carried to locust's statistics, and to whoever started the process.
Importing this module imports locust, which patches the whole process.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import gevent
from gevent import monkey
from gevent.lock import RLock
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import StatsEntry

from loadtests.channel import tell
from loadtests.cohorts import Cohort
from loadtests.distributed import Follower, Leader
from loadtests.engine import Engine, News
from loadtests.errors import LoadTestError
from loadtests.histogram import Histogram
from loadtests.intake import Pushes
from loadtests.kinds import KINDS
from loadtests.members import Member
from loadtests.plan import Plan
from loadtests.record import GeneratorRecord, GeneratorResults
from loadtests.scenario import Scenario

__all__ = ["engine_of", "join"]

logger = logging.getLogger("loadtests")

_REPORT_EVERY = 0.5
_SWITCH = 0.0005
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
_plans: "WeakKeyDictionary[Environment, Plan]" = WeakKeyDictionary()
_roles: "WeakKeyDictionary[Environment, Leader | Follower]" = WeakKeyDictionary()
_on_plan: "WeakKeyDictionary[Environment, Callable[[Environment, Plan], None]]" = (
    WeakKeyDictionary()
)
_attendants: "WeakKeyDictionary[Environment, gevent.Greenlet]" = WeakKeyDictionary()
_one_at_a_time = RLock()
_carrying = RLock()
"""Held while news is on its way from an engine to locust: stopping there would lose it."""


def engine_of(environment: Environment, *, host: str | None = None) -> Engine:
    """Return the engine of this locust process; the first call starts it.

    Args:
        environment: of the process.
        host: where to connect, unless locust or the plan says so.

    Raises:
        LoadTestError: there is neither a plan nor a host.
    """
    # Starting lets other greenlets run, and each user asks.
    with _one_at_a_time:
        if environment not in _engines:
            _engines[environment] = _started(environment, host)
        return _engines[environment]


def _started(environment: Environment, host: str | None) -> Engine:
    start_new_thread = monkey.get_original("_thread", "start_new_thread")
    engine = Engine(
        _plan(environment, host),
        start_thread=lambda function: start_new_thread(function, ()),
        socket_factory=monkey.get_original("socket", "socket"),
        sleep=gevent.sleep,
    )
    # The engine's thread must not wait five milliseconds, Python's own measure, each time that
    # greenlets are busy.
    sys.setswitchinterval(_SWITCH)
    engine.start()
    _unfinished.add(environment)
    _attendants[environment] = gevent.spawn(_attend, environment, engine)
    hooks: Any = environment.events
    if engine.plan.look_again:
        # As long as everybody is connected. At the end of its run time locust begins with this.
        hooks.test_stopping.add_listener(lambda **_: engine.look_again())
    hooks.quitting.add_listener(lambda **_: _finish(environment))
    if environment.web_ui is not None:
        # There locust goes on when a run has stopped.
        hooks.test_stopping.add_listener(lambda **_: _finish(environment))
    hooks.quit.add_listener(lambda **_: engine.stop())
    return engine


def join(
    environment: Environment, *, on_plan: Callable[[Environment, Plan], None] | None = None
) -> None:
    """Let a master of locust lead its workers, and a worker follow; anybody else is alone.

    Args:
        environment: of this process; it has its runner.
        on_plan: called in a worker when the plan has come, before any user is spawned.
    """
    if on_plan is not None:
        _on_plan[environment] = on_plan
    if environment in _roles:
        return
    runner = environment.runner

    def take_plan(plan: Plan) -> None:
        _plans[environment] = plan
        if (told := _on_plan.get(environment)) is not None:
            told(environment, plan)

    if isinstance(runner, MasterRunner):
        hosts = [user.host for user in environment.user_classes if user.host]
        _roles[environment] = Leader(
            environment,
            _plan(environment, next(iter(hosts), None)),
            on_results=lambda results, viewers: _conclude(environment, results, viewers),
        )
    elif isinstance(runner, WorkerRunner):
        _roles[environment] = Follower(
            environment, on_plan=take_plan, results=lambda: _collect(environment)
        )


def _plan(environment: Environment, host: str | None) -> Plan:
    if (given := _plans.get(environment) or Plan.find()) is not None:
        return given
    url = environment.host or host
    if not url:
        raise LoadTestError(
            "no server to connect to: give --host ws://host:port/path, or the user class a host"
        )
    scenario = Scenario(
        name="users",
        proves="what the locustfile asks",
        cohorts=(Cohort(name="healthy", user="viewer", count=1),),
    )
    return Plan(scenario=scenario, url=url, scheduled=False, look_again=True)


def _attend(environment: Environment, engine: Engine) -> None:
    """Carry what the engine saw to locust and to whoever started it."""
    role = _roles.get(environment)
    while True:
        with _carrying:
            _report(environment, engine.take_news())
        told = engine.progress()
        if environment.runner is not None:
            told["state"] = environment.runner.state
        if isinstance(role, Follower):
            role.tell(told)
        else:
            tell("progress", json.dumps(told))
        gevent.sleep(_REPORT_EVERY)


def _finish(environment: Environment) -> None:
    # After SIGTERM locust shuts down twice; only the first time everybody is still connected.
    if environment in _unfinished and environment not in _roles:
        results, viewers = _collect(environment)
        _conclude(environment, results, viewers)


def _collect(environment: Environment) -> tuple[GeneratorResults, set[str]]:
    """Return what this process saw, and its cohorts of viewers; the statistics are then whole."""
    engine = _engines.get(environment)
    if engine is None:
        # A worker for which no user was left.
        nothing = GeneratorRecord()
        empty = GeneratorResults(clients=[], series={}, spread=Histogram(), generator=nothing)
        return empty, set()
    _unfinished.discard(environment)
    with _carrying:
        _attendants[environment].kill()
    if engine.plan.look_again:
        engine.look_again()
    news, results = engine.conclude()
    _report(environment, news)
    return results, engine.viewer_cohorts()


def _conclude(environment: Environment, results: GeneratorResults, viewers: set[str]) -> None:
    """Hand the results to whoever started this process, and settle locust's exit code."""
    results.statistics = [
        {key: getattr(entry, key) for key in _STATISTICS}
        for entry in environment.stats.entries.values()
    ]
    tell("results", results.model_dump_json())
    tell("done", "all")
    healthy = [client for client in results.clients if client.cohort in viewers]
    broken = sum(client.gaps + client.duplicates + client.disordered for client in healthy)
    dropped = sum(client.closed_at is not None and not client.released for client in healthy)
    if results.generator.error:
        logger.error("Results are missing: %s", results.generator.error)
    if broken or dropped:
        logger.error("Viewers: %d events lost, doubled or disordered, %d dropped", broken, dropped)
    if environment.process_exit_code is None:
        failed = broken or dropped or results.generator.error
        # In a locustfile of somebody's own, locust decides over a run in which all is well here.
        environment.process_exit_code = 1 if failed else 0 if Plan.find() is not None else None


def _report(environment: Environment, news: News) -> None:
    for cohort, taken in news.pushes.items():
        if taken.latency.count:
            entry = _entry(environment, f"push {cohort}", taken)
            environment.stats.get(entry.name, entry.method).extend(entry)
            environment.stats.total.extend(entry)
    for member in news.ended:
        _fire_end(environment, member)
    for member, away in news.returned:
        _fire(environment, f"return {member.cohort}", away, None)


def _fire_end(environment: Environment, member: Member) -> None:
    """Tell of a connection that the server ended: a failure, unless it was right to do so."""
    closed, turned_at = member.closed, member.faulty_at(time.monotonic())
    # Who does not read can only see that its connection is gone.
    code, reason, at = closed or ("unread", "", member.hung_up_at or 0.0)
    error = None
    if turned_at is None or not KINDS[member.kind].expects_eviction:
        error = LoadTestError(f"closed by the server with {code} {reason}".rstrip())
    after = max(0.0, at - turned_at) if turned_at is not None else 0.0
    _fire(environment, f"close {member.cohort} {code}", after, error)


def _fire(environment: Environment, name: str, seconds: float, error: Exception | None) -> None:
    hooks: Any = environment.events
    hooks.request.fire(
        request_type="WS",
        name=name,
        response_time=seconds * 1_000,
        response_length=0,
        exception=error,
        context={},
    )


def _entry(environment: Environment, name: str, taken: Pushes) -> StatsEntry:
    """Make the statistics of many pushes at once.

    Firing locust's request event for each would cost more than receiving it, and would round the
    response times between 100 ms and 1 s to 10 ms.
    """
    latency: Histogram = taken.latency
    now = time.time()
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
