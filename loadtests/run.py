"""A run from its beginning to its record: server, generator, publisher, observer, and their end."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any
from uuid import uuid4

from loadtests.access import Access
from loadtests.board import Board
from loadtests.descriptors import ensure_descriptors
from loadtests.generator import Crew, Generator
from loadtests.interrupts import Interrupts
from loadtests.live import Progress, received
from loadtests.observer import Observer
from loadtests.plan import Plan
from loadtests.publisher import Publisher
from loadtests.record import Record, ServerRecord
from loadtests.scenario import Scenario
from loadtests.target import Server, listens, probe, publishes, tells

__all__ = ["Begun", "execute"]

_STEP = 0.1
_TOLD = {0.5: "p50", 0.95: "p95", 0.99: "p99"}
_SHOW_EVERY = 0.5
_SERVER_GRACE = 3.0
_PATIENCE = 15.0
_HURRY = 3.0
_LEAVE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is known when a run begins."""

    scenario: Scenario
    server: ServerRecord
    publishing: bool


class _ServerGone(Exception):  # noqa: N818 - it ends the loop, nobody sees it
    """The server died in the middle."""


class _GeneratorGone(Exception):  # noqa: N818 - it ends the loop, nobody sees it
    """A process of the generator died in the middle."""


class _LimitBroken(Exception):  # noqa: N818 - it ends the loop, nobody sees it
    """A search found its end before its last step."""


def execute(
    scenario: Scenario,
    *,
    url: str | None = None,
    manager: str | None = None,
    app: str | None = None,
    path: str = "/ws",
    access: Access | None = None,
    crew: Crew | None = None,
    publish: bool = True,
    command: str = "",
    interrupts: Interrupts | None = None,
    on_begun: Callable[[Begun], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_record: Callable[[Record], None] = lambda _: None,
    board: Board | None = None,
) -> Record:
    """Run a scenario and return its record. Whatever happens, nothing is left running.

    Ctrl-C ends a run that has begun early; the record then says so.

    Args:
        scenario: what to do.
        url: a server that is there already; None starts the reference server.
        manager: ``MODULE:FACTORY`` for the reference server.
        app: ``MODULE:APP`` to serve in the place of the reference server.
        path: the WebSocket endpoint of that application.
        access: what the server wants to hear, and where its events keep what is measured.
        crew: how many processes share the clients; one by default.
        publish: whether to publish; a foreign server must offer ``POST /api/events``.
        command: what repeats this run, for the record.
        interrupts: tells a first Ctrl-C from a second; without it, each raises where it comes.
        on_begun: told once when everything stands ready.
        on_progress: told twice a second, and whenever something happens.
        on_record: told at the end, while everything that was started is still there.
        board: with one, locust's web UI is there, and the run begins when somebody starts it.

    Raises:
        TargetError: there is no server, or no WebSocket at that address.
        LoadTestError: the generator does not start.
    """
    access = access or Access()
    ensure_descriptors(scenario.clients)
    with ExitStack() as stack:
        server = None
        if url is None:
            server = Server.start(manager=manager, app=app, path=path, options=scenario.server)
            stack.callback(server.stop)
            url = server.url
        probe(url, access=access)
        told = tells(url, access=access)
        ours = "server" in told and "manager" in told
        # Whoever says where the number is means somebody else's events.
        publish = publish and access.sequence_path is None and publishes(url, access=access)
        plan = Plan(
            scenario=scenario,
            url=url,
            run_id=f"load-{uuid4().hex[:12]}" if publish else None,
            look_again=not ours,
            tells_names=ours,
            **access.to_plan(),
        )
        record = ServerRecord(
            url=url,
            manager=str(told["manager"]) if ours else app,
            started_here=server is not None,
            tuned=ours or server is not None,
        )
        observer = Observer(plan, record) if ours else None
        on_begun(Begun(scenario=scenario, server=record, publishing=publish))
        course = _Course(plan, record, server, observer, on_progress)
        course.crew, course.interrupts = crew or course.crew, interrupts or course.interrupts
        course.board = board
        if app is not None and scenario.server:
            names = ", ".join(scenario.server)
            course.note(f"{app} is served as it is: {names} of the scenario are not for it")
        if crowded := course.crew.crowding(servers=int(server is not None), cores=_cores()):
            course.note(crowded)
        try:
            done = course.follow(stack, publish=publish, command=command)
            on_record(done)
        except KeyboardInterrupt:
            # Nobody wants to wait for anything any more.
            stack.pop_all()
            course.abandon()
            raise
        return done


class _Course:
    """One run while it lasts."""

    def __init__(
        self,
        plan: Plan,
        record: ServerRecord,
        server: Server | None,
        observer: Observer | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.plan, self.record, self.server, self.observer = plan, record, server, observer
        self._on_progress = on_progress
        self._shown_at = plan.origin
        self._interrupted_at: float | None = None
        self._slow_since: float | None = None
        self._begins: float | None = None
        self._most = 0
        self.crew, self.interrupts = Crew(), Interrupts()
        self.board: Board | None = None
        self.generator: Generator | None = None
        self.publisher: Publisher | None = None

    @property
    def now(self) -> float:
        """Run time."""
        return time.monotonic() - self.plan.origin

    def follow(self, stack: ExitStack, *, publish: bool, command: str) -> Record:
        """Run it."""
        plan, scenario = self.plan, self.plan.scenario
        began = datetime.now(UTC).isoformat(timespec="seconds")
        if self.observer is not None:
            self.observer.start()
            stack.callback(self.observer.stop)
        self.generator = generator = Generator(plan, crew=self.crew, board=self.board)
        stack.callback(generator.kill)
        if self.crew.guests:
            self._tell(
                f"waiting for remote workers ({self.crew.guests}); start each on its machine with:"
                f" flock-ws load --join {self.crew.reached_at}"
            )
        starts_at = generator.wait_started() + scenario.settle
        if publish:
            self.publisher = Publisher(plan, starts_at=starts_at)
            stack.callback(self.publisher.stop)
            self.publisher.start()
        start = self._begins = starts_at - plan.origin
        failure: str | None = None
        faults_at, end = start + scenario.first_turn, start + scenario.duration
        try:
            self._until(start)
            self._tell(f"{'publishing' if publish else 'listening'} begins")
            for moment, note in _programme(scenario):
                self._until(start + moment)
                self._tell(note)
            self._until(end)
            self._drain()
        except KeyboardInterrupt:
            self._interrupted_at = self.now
            self._tell("interrupted: collecting what there is")
        except _ServerGone:
            self._tell(f"the server is gone: {self.record.death}")
        except _LimitBroken:
            self._tell("the limit broke: no more clients")
        except _GeneratorGone as gone:
            failure = f"{self.now:.1f} s into the run, {gone}"
            self._tell(f"the load generator failed: {gone}")
        self.interrupts.end()
        end = min(end, self.now)
        hurried = self._interrupted_at is not None or failure is not None
        published = self.publisher.stop() if self.publisher is not None else None
        if self.observer is not None:
            self.observer.stop()
        results = generator.finish(within=_HURRY if hurried else _PATIENCE, politely=not hurried)
        results.generator.error = failure or results.generator.error
        if hurried and self.server is not None:
            self.server.stop(within=_LEAVE)
        return Record(
            scenario=scenario.to_json(),
            command=command,
            began=began,
            environment=_environment(),
            server=self.record,
            publisher=published,
            publishing=(start, end),
            faults_at=faults_at,
            ended_at=self.now,
            interrupted_at=self._interrupted_at,
            sequence_path=plan.sequence_path,
            time_path=plan.time_path,
            results=results,
        )

    def note(self, text: str) -> None:
        """Say something to whoever watches."""
        self._tell(text)

    def abandon(self) -> None:
        """Kill what was started; threads end with this process."""
        if self.generator is not None:
            self.generator.kill()
        if self.server is not None:
            self.server.stop(within=0)

    @property
    def _told(self) -> dict[str, Any]:
        return self.generator.progress() if self.generator is not None else {}

    def _until(self, moment: float) -> None:
        while self.now < moment:
            time.sleep(min(_STEP, max(0.0, moment - self.now)))
            self._look()

    def _drain(self) -> None:
        """Wait for what is still under way, but not for ever."""
        deadline = self.now + self.plan.scenario.limits.drain
        while self.now < deadline:
            if self._drained():
                return
            time.sleep(_STEP)
            self._look()

    def _drained(self) -> bool:
        if self.publisher is None:
            return True  # somebody else publishes, and never ends
        if not self.publisher.done:
            return False
        last = self.observer.last if self.observer is not None else None
        if last is not None and last.closing:
            return False
        return bool(self._told.get("expected", 0) >= self.publisher.accepted)

    def _look(self) -> None:
        death = self.server.death() if self.server is not None else None
        if death is None and self.observer is not None and self.observer.refused > _SERVER_GRACE:
            death = f"nothing listens any more at {self.plan.url}"
        # A server that is ours tells the observer.
        blind = death is None and self.observer is None
        if blind and self._all_gone() and not listens(self.plan.url):
            death = f"nothing listens any more at {self.plan.url}"
        if death is not None:
            self.record.died_at, self.record.death = self.now, death
            raise _ServerGone
        if self.board is not None and self.generator is not None and self.generator.stop_asked:
            raise KeyboardInterrupt  # it is the same wish
        if self.generator is not None and (failure := self.generator.death()) is not None:
            raise _GeneratorGone(failure)
        if self._step_broke():
            raise _LimitBroken
        if time.monotonic() - self._shown_at >= _SHOW_EVERY:
            self._tell()

    def _all_gone(self) -> bool:
        """Tell whether all clients had connected once, and none is now."""
        connected = self._told.get("connected", 0)
        self._most = max(self._most, connected)
        return not connected and self._most > 0

    def _step_broke(self) -> bool:
        """Tell whether a search is over: its limit was exceeded through a whole step."""
        search = self.plan.scenario.search
        if search is None:
            return False
        # Where a lower quantile is above the limit, that which is judged is so too.
        told = max((name for part, name in _TOLD.items() if part <= search.quantile), default="")
        if self._told.get(told, 0.0) < search.limit:
            self._slow_since = None
            return False
        if self._slow_since is None:
            self._slow_since = self.now
        # The step that broke must be whole to be judged.
        return self.now - self._slow_since > 2 * search.every

    def _tell(self, note: str = "") -> None:
        self._shown_at = time.monotonic()
        told = self._told
        publisher, observer = self.publisher, self.observer
        last = observer.last if observer is not None else None
        open_there = last.connections if last is not None else None
        self._on_progress(
            Progress(
                time=self.now,
                clients=told.get("connected", 0) if open_there is None else open_there,
                asked=self.plan.scenario.clients,
                published=publisher.accepted if publisher is not None else None,
                received=received(told, listening=publisher is None),
                evicted=observer.evicted if observer is not None else None,
                p99=told.get("p99", 0.0),
                blocked=publisher.blocked if publisher is not None else 0.0,
                begins=self._begins,
                told=told,
                dropped=self._dropped(),
                sample=last,
                note=note,
            )
        )

    def _dropped(self) -> dict[str, int]:
        """Return what the server has dropped of the cohorts that it must drop."""
        told = self.observer.dropped if self.observer is not None else {}
        gone = {one.name for one in self.plan.scenario.cohorts if one.kind.expects_eviction}
        return {name: count for name, count in told.items() if name in gone}


def _programme(scenario: Scenario) -> list[tuple[float, str]]:
    """Return what happens by itself while events are published, in order."""
    moments: dict[tuple[float, str], list[str]] = {}
    for cohort in scenario.cohorts:
        who = f"{cohort.count} {cohort.name}"
        if cohort.count and cohort.joins is not None:
            moments.setdefault((cohort.joins, "join"), []).append(who)
        if cohort.count and cohort.user != "viewer":
            moments.setdefault((scenario.turns(cohort), "turn"), []).append(who)
        if cohort.count and cohort.leaves is not None:
            moments.setdefault((cohort.leaves, "leave"), []).append(who)
    return [(moment, f"{', '.join(who)} {what}") for (moment, what), who in sorted(moments.items())]


def _cores() -> int | None:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _environment() -> dict[str, Any]:
    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    names = ("flock-ws", "locust", "uvicorn", "uvloop", "websockets", "starlette")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in names},
    }
