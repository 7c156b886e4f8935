"""The engine: many WebSocket clients on one event loop in a thread of their own.

It checks every message where it arrives: sequence, latency, spread. It knows neither locust nor
gevent: who starts it in a patched process hands in an unpatched thread, socket and sleep, and the
loop never meets a greenlet. Reading outside of gevent matters: there, a socket with data never
yields, and a run of 6 s took 72 s.
"""

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from loadtests.errors import LoadTestError
from loadtests.histogram import Histogram
from loadtests.intake import Intake, Pushes
from loadtests.lives import Lives
from loadtests.members import Member
from loadtests.plan import Plan
from loadtests.record import GeneratorRecord, GeneratorResults, HistoryReading
from simulators.starvation import starved

__all__ = ["Engine", "News"]

_T = TypeVar("_T")

_TICK = 0.05
_LOOK_EVERY = 2
_RECENT = 3
_STATES = ("clients", "connected", "turned", "ended", "left", "failed", "away")
_READINGS_KEPT = 20_000
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


@dataclass(slots=True)
class News:
    """What happened since somebody last asked.

    Attributes:
        pushes: by cohort.
        ended: members whose connections the server ended, each told once.
        returned: members that came back, with the seconds since they had dropped.
    """

    pushes: dict[str, Pushes] = field(default_factory=dict)
    ended: list[Member] = field(default_factory=list)
    returned: list[tuple[Member, float]] = field(default_factory=list)


class Engine:
    """Carries the clients of a run.

    Args:
        plan: where to connect, and the clocks of the run.
        start_thread: starts a function in a native thread.
        socket_factory: makes an unpatched socket.
        sleep: how the calling side waits; in a patched process it must let greenlets run.

    Attributes:
        plan: as given.
        started_at: when the run began, on the monotonic clock: when its loop ran, unless the plan
            says so.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        start_thread: Callable[[Callable[[], None]], object],
        socket_factory: Any = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.plan = plan
        self._start_thread = start_thread
        self._sleep = sleep
        self.started_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: str | None = None
        self._over = False
        self._names: dict[str, int] = {}
        self._members: list[Member] = []
        self._intake = Intake(plan)
        self._lives = Lives(plan, self._intake, socket_factory=socket_factory)
        self._taken_bytes: dict[str, int] = {}
        self._history: deque[HistoryReading] = deque(maxlen=_READINGS_KEPT)
        self._lag = Histogram()
        self._lags: dict[int, Histogram] = {}
        self._cpu_from: tuple[float, float] | None = None
        self._waited_from: float | None = None
        self._cpu_told = (time.monotonic(), time.process_time())

    @property
    def publishing_at(self) -> float:
        """When publishing begins, on the monotonic clock: second 0 of what a scenario says."""
        return self.started_at + self.plan.scenario.settle

    # Called from outside, in any thread or greenlet

    def new_name(self, cohort: str) -> str:
        """Return the next name of a cohort."""
        count = self._names[cohort] = self._names.get(cohort, 0) + 1
        # Generators that share a run take turns, so that no two clients have the same name.
        part, parts = self.plan.share
        return f"{cohort}-{part + 1 + (count - 1) * parts}.{self.plan.tag}"

    def start(self) -> None:
        """Start the loop's thread, and return when it runs.

        Raises:
            LoadTestError: it does not come up.
        """
        self._start_thread(self._run)
        self._until(lambda: self._stop is not None or self._over, "start")
        begun_at = self.plan.begun_at
        self.started_at = time.monotonic() if begun_at is None else begun_at
        if self._failure:
            raise LoadTestError(f"the load engine did not start: {self._failure}")

    def stop(self) -> None:
        """End every connection at once and stop the loop's thread."""
        if self._loop is not None and self._stop is not None and not self._over:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._until(lambda: self._over, "stop")

    def connect(self, member: Member) -> None:
        """Connect a client and return when that succeeded or failed; see `Member.error`."""
        self._tell(self._join, member)
        self._until(lambda: member.ready, "connect", limit=60.0)

    def release(self, member: Member) -> None:
        """Close a client's connection without waiting for it."""
        if self._loop is not None and not self._over:
            self._loop.call_soon_threadsafe(self._lives.let_go, member)

    def viewer_cohorts(self) -> set[str]:
        """Return the names of the cohorts that behave from beginning to end."""
        return {member.cohort for member in list(self._members) if member.kind == "viewer"}

    def note_history(self, reading: HistoryReading) -> None:
        """Keep what was answered to a reader of the history; of very many only the last ones."""
        self._history.append(reading)

    def take_news(self) -> News:
        """Return what happened since the last call."""
        news = self._ask(self._news)
        # Here and in `progress` members are looked through by the caller: with thousands of them
        # the loop would stand still meanwhile.
        sizes: dict[str, int] = {}
        for member in list(self._members):
            sizes[member.cohort] = sizes.get(member.cohort, 0) + member.received_bytes
            if not member.reported and (member.ended or member.hung_up_at is not None):
                member.reported = True
                news.ended.append(member)
        for cohort, size_bytes in sizes.items():
            taken = news.pushes.setdefault(cohort, Pushes())
            taken.received_bytes = size_bytes - self._taken_bytes.get(cohort, 0)
            self._taken_bytes[cohort] = size_bytes
        return news

    def progress(self) -> dict[str, Any]:
        """Return what a person wants to see while it runs.

        Latencies are those of the viewers in the last seconds; ``lag_p99`` is of the same time, and
        ``cpu`` of that since the last call. Of each cohort: its clients, how many are connected,
        have turned, were ended by the server, left by themselves, failed to connect, are away.
        """
        viewers, now = self.viewer_cohorts(), time.monotonic()
        latest, lag = self._ask(lambda: (self._intake.latest(viewers), self._latest_lag()))
        cohorts: dict[str, dict[str, int]] = {}
        received = messages = 0
        expected: list[int] = []
        for member in list(self._members):
            counts = cohorts.get(member.cohort)
            if counts is None:
                counts = cohorts[member.cohort] = dict.fromkeys(_STATES, 0)
            connected = member.connected
            counts["clients"] += 1
            counts["connected"] += connected
            counts["turned"] += member.faulty_at(now) is not None
            counts["ended"] += member.ended or member.hung_up_at is not None
            counts["left"] += member.left
            counts["failed"] += member.error is not None
            counts["away"] += member.away
            received += member.received
            messages += member.received_messages
            if connected and member.cohort in viewers:
                expected.append(member.expected)
        return {
            "started_at": self.started_at,
            "connected": sum(counts["connected"] for counts in cohorts.values()),
            "healthy": len(expected),
            "failed": sum(counts["failed"] for counts in cohorts.values()),
            "received": received,
            "messages": messages,
            "expected": min(expected, default=0),
            "p50": latest.quantile(0.5),
            "p95": latest.quantile(0.95),
            "p99": latest.quantile(0.99),
            "max": latest.maximum,
            "lag": self._lag.maximum,
            "lag_p99": lag.quantile(0.99),
            "cpu": self._latest_cpu(),
            "cohorts": cohorts,
        }

    def look_again(self, *, limit: float = 2.0) -> None:
        """Let those who read badly read well, and wait until each has seen an end, or `limit`."""

        def resume() -> list[Member]:
            return [member for member in self._members if self._lives.look_again(member)]

        waiting = self._ask(resume)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and not all(member.closed for member in waiting):
            self._sleep(0.02)

    def results(self) -> GeneratorResults:
        """Return everything that was seen; exact, whatever was asked for before."""
        return self._ask(self._results)

    def conclude(self) -> tuple[News, GeneratorResults]:
        """Return the last news, and everything that was seen up to the same moment.

        What comes later is in neither, so that the sum of all news is what the results hold.
        """
        return self._ask(lambda: (self._news(), self._results().model_copy(deep=True)))

    def _tell(self, act: Callable[..., object], *arguments: Any) -> None:
        if self._loop is None or self._over:
            raise LoadTestError(f"the load engine does not run: {self._failure or 'stopped'}")
        self._loop.call_soon_threadsafe(act, *arguments)

    def _ask(self, question: Callable[[], _T]) -> _T:
        answers: list[_T] = []
        errors: list[BaseException] = []

        def answer() -> None:
            try:
                answers.append(question())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
                errors.append(error)

        self._tell(answer)
        self._until(lambda: bool(answers or errors), "answer")
        if errors:
            raise errors[0]
        return answers[0]

    def _until(self, condition: Callable[[], bool], what: str, *, limit: float = 30.0) -> None:
        deadline = time.monotonic() + limit
        pause = _FIRST_PAUSE
        while not condition():
            if time.monotonic() > deadline:
                raise LoadTestError(f"the load engine did not {what} within {limit:g} s")
            if self._over and what != "stop":
                raise LoadTestError(f"the load engine ended: {self._failure}")
            self._sleep(pause)
            # Thousands may wait at once, and each look costs the loop's thread the interpreter.
            pause = min(pause * 2, _LONGEST_PAUSE)

    # On the engine's own thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve())
        except BaseException:  # noqa: BLE001 - a thread's end must not pass unseen
            self._failure = traceback.format_exc().strip().splitlines()[-1]
        finally:
            self._over = True

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._stop = stop = asyncio.Event()
        due = time.monotonic() + _TICK
        ticks = 0
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if self._cpu_from is not None:
                self._note_lag(due, now)
            due = max(due + _TICK, now)
            ticks += 1
            if ticks % _LOOK_EVERY == 0:
                self._look_for_hang_ups(loop.time())
        for member in self._members:
            self._lives.let_go(member)
        # One turn, so that the close frames and resets leave before the loop does.
        await asyncio.sleep(_TICK)
        for member in self._members:
            if member.client is not None:
                member.client.free()
        await asyncio.sleep(0)

    def _note_lag(self, due: float, now: float) -> None:
        lag = max(0.0, now - due)
        self._lag.record(lag)
        second = int(now - self.plan.origin)
        if second not in self._lags:
            self._lags[second] = Histogram()
        self._lags[second].record(lag)

    def _look_for_hang_ups(self, now: float) -> None:
        for member in self._members:
            client = member.client
            # Who reads sees it by itself.
            if client is None or not client.behaviour.faults or member.hung_up_at is not None:
                continue
            if not member.released and client.died_at is None and client.hung_up:
                member.hung_up_at = now

    def _join(self, member: Member) -> None:
        if self._cpu_from is None:
            self._cpu_from = (time.monotonic(), time.process_time())
            self._waited_from = starved()
        self._members.append(member)
        self._lives.begin(member)

    def _news(self) -> News:
        pushes = {cohort: Pushes(latency) for cohort, latency in self._intake.take_pushes().items()}
        flapping = [member for member in self._members if member.returns]
        return News(
            pushes, returned=[(one, away) for one in flapping for away in one.take_returns()]
        )

    def _latest_lag(self) -> Histogram:
        merged = Histogram()
        for second in sorted(self._lags)[-_RECENT:]:
            merged.merge(self._lags[second])
        return merged

    def _latest_cpu(self) -> float:
        """Return the share of a core since the last call."""
        (since, used), now = self._cpu_told, (time.monotonic(), time.process_time())
        self._cpu_told = now
        return (now[1] - used) / max(1e-9, now[0] - since)

    def _cpu(self) -> float:
        if self._cpu_from is None:
            return 0.0
        since, used = self._cpu_from
        return (time.process_time() - used) / max(1e-9, time.monotonic() - since)

    def _waited(self) -> float | None:
        """Return the share of the time for which this thread was ready to run and had no core."""
        so_far = starved()
        if self._cpu_from is None or self._waited_from is None or so_far is None:
            return None
        return (so_far - self._waited_from) / max(1e-9, time.monotonic() - self._cpu_from[0])

    def _results(self) -> GeneratorResults:
        self._intake.fold()
        origin, now = self.plan.origin, time.monotonic()
        return GeneratorResults(
            clients=[member.record(origin=origin, now=now) for member in self._members],
            series={cohort: dict(series) for cohort, series in self._intake.series.items()},
            spread=self._intake.spread(),
            generator=GeneratorRecord(
                lag=self._lag,
                lags=dict(self._lags),
                cpu=self._cpu(),
                waited=self._waited(),
                messages=sum(member.received_messages for member in self._members),
                loop=f"{type(self._loop).__module__}.{type(self._loop).__qualname__}",
            ),
            ping_intervals=self._intake.ping_intervals,
            ping_jitter=self._intake.ping_jitter,
            history=list(self._history),
        )


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - absent on some systems, where asyncio's loop serves
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
