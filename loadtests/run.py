"""A run from its beginning to its record: server, generator, publisher, observer, and their end."""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from loadtests.generator import Generator
from loadtests.observer import Observer
from loadtests.plan import Plan
from loadtests.publisher import Publisher
from loadtests.record import Record, ServerRecord
from loadtests.scenario import Scenario
from loadtests.target import Server, probe, publishes, tells

__all__ = ["Begun", "Progress", "execute"]

_STEP = 0.1
_SHOW_EVERY = 3.0
_SERVER_GRACE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is known when a run begins."""

    scenario: Scenario
    server: ServerRecord
    publishing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Attributes:
        clients: connections open at the server, or those that clients hold for open where it
            does not tell.
        p99: of the healthy latency over the last whole seconds.
        blocked: for how long the publication under way has not returned.
        note: says what just happened, if anything did.
    """

    time: float
    clients: int
    asked: int
    published: int | None
    received: int
    evicted: int | None
    p99: float
    blocked: float
    note: str = ""


class _ServerGone(Exception):  # noqa: N818 - it ends the loop, nobody sees it
    """The server died in the middle."""


def execute(
    scenario: Scenario,
    *,
    url: str | None = None,
    manager: str | None = None,
    publish: bool = True,
    command: str = "",
    on_begun: Callable[[Begun], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Record:
    """Run a scenario and return its record. Whatever happens, nothing is left running.

    Ctrl-C ends a run that has begun early; the record then says so.

    Args:
        scenario: what to do.
        url: a server that is there already; None starts the reference server.
        manager: ``MODULE:FACTORY`` for the reference server.
        publish: whether to publish; a foreign server must offer ``POST /api/events``.
        command: what repeats this run, for the record.
        on_begun: told once when everything stands ready.
        on_progress: told every few seconds.

    Raises:
        TargetError: there is no server, or no WebSocket at that address.
        LoadTestError: the generator does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flock-load-")))
        server = None
        if url is None:
            server = Server.start(manager=manager)
            stack.callback(server.stop)
            url = server.url
        probe(url)
        told = tells(url)
        ours = "server" in told and "manager" in told
        publish = publish and publishes(url)
        plan = Plan(
            scenario=scenario,
            url=url,
            run_id=f"load-{uuid4().hex[:12]}" if publish else None,
            folder=folder,
            parent=os.getpid(),
            look_again=not ours,
        )
        record = ServerRecord(
            url=url,
            manager=str(told["manager"]) if ours else None,
            started_here=server is not None,
            tuned=ours,
        )
        observer = Observer(plan, record) if ours else None
        on_begun(Begun(scenario=scenario, server=record, publishing=publish))
        course = _Course(plan, record, server, observer, on_progress)
        return course.follow(stack, publish=publish, command=command)


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
        self.generator: Generator
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
        self.generator = Generator(plan)
        stack.callback(self.generator.kill)
        starts_at = self.generator.wait_started() + scenario.settle
        if publish:
            self.publisher = Publisher(plan, starts_at=starts_at)
            stack.callback(self.publisher.stop)
            self.publisher.start()
        start = starts_at - plan.origin
        faults_at, end = start + scenario.baseline, start + scenario.duration
        try:
            self._until(start)
            self._until(faults_at, note=f"{'publishing' if publish else 'listening'} begins")
            faulty = scenario.clients - scenario.healthy
            self._until(end, note=f"{faulty} clients turn faulty" if faulty else "")
            self._drain()
        except KeyboardInterrupt:
            self._interrupted_at = self.now
            self._tell("interrupted: collecting what there is")
        except _ServerGone:
            self._tell(f"the server is gone: {self.record.death}")
        end = min(end, self.now)
        published = self.publisher.stop() if self.publisher is not None else None
        if self.observer is not None:
            self.observer.stop()
        results = self.generator.finish()
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
            results=results,
        )

    def _until(self, moment: float, *, note: str = "") -> None:
        if note:
            self._tell(note)
        while self.now < moment:
            time.sleep(min(_STEP, max(0.0, moment - self.now)))
            self._look()

    def _drain(self) -> None:
        """Wait for what is still under way, but not for ever."""
        deadline = self.now + self.plan.scenario.thresholds.drain
        while self.now < deadline:
            if self._drained():
                return
            time.sleep(_STEP)
            self._look()

    def _drained(self) -> bool:
        if self.publisher is None or not self.publisher.done:
            return False
        last = self.observer.last if self.observer is not None else None
        if last is not None and last.closing:
            return False
        return bool(self.generator.progress().get("expected", 0) >= self.publisher.accepted)

    def _look(self) -> None:
        death = self.server.death() if self.server is not None else None
        if death is None and self.observer is not None and self.observer.refused > _SERVER_GRACE:
            death = f"nothing listens any more at {self.plan.url}"
        if death is not None:
            self.record.died_at, self.record.death = self.now, death
            raise _ServerGone
        if time.monotonic() - self._shown_at >= _SHOW_EVERY:
            self._tell()

    def _tell(self, note: str = "") -> None:
        self._shown_at = time.monotonic()
        told = self.generator.progress()
        publisher, observer = self.publisher, self.observer
        last = observer.last if observer is not None else None
        open_there = last.connections if last is not None else None
        self._on_progress(
            Progress(
                time=self.now,
                clients=told.get("connected", 0) if open_there is None else open_there,
                asked=self.plan.scenario.clients,
                published=publisher.accepted if publisher is not None else None,
                received=told.get("received", 0),
                evicted=observer.evicted if observer is not None else None,
                p99=told.get("p99", 0.0),
                blocked=publisher.blocked if publisher is not None else 0.0,
                note=note,
            )
        )


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
