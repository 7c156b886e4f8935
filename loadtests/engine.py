"""The engine: many WebSocket clients on one event loop in a thread of their own.

It checks every message where it arrives: sequence, latency, spread. It knows neither locust nor
gevent: who starts it in a patched process hands in an unpatched thread, socket and sleep, and the
loop never meets a greenlet. Reading outside of gevent matters: there, a socket with data never
yields, and a run of 6 s took 72 s.
"""

import asyncio
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from loadtests.errors import LoadTestError
from loadtests.histogram import Histogram
from loadtests.plan import Plan
from loadtests.record import ClientRecord, GeneratorRecord, GeneratorResults
from loadtests.sequences import SequenceCheck
from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.sockets import SocketClient

__all__ = ["Engine", "Member", "Pushes"]

_T = TypeVar("_T")

_TICK = 0.05
_SPREAD_KEPT = 20_000
_RECENT = 3


@dataclass(slots=True)
class Pushes:
    """The pushes of one cohort since somebody last asked."""

    latency: Histogram
    received_bytes: int = 0


class Member:
    """One client of the engine, as its owner sees it.

    Attributes:
        client: the socket client; touch it only on the engine's loop.
        name: as the server knows it.
        cohort: what it is counted under.
        ready: whether the attempt to connect is over.
        error: why it failed, None when it did not.
        connect_time: the seconds that it took.
        faulty_at: when it turns faulty, on the monotonic clock.
        hung_up_at: when the server was seen to have ended its connection, without reading.
        released: whether its owner let it go.
        looked_again: whether it was made to read again at the end.
        streams: what it received, by run of the publisher; there is one, unless it only listens.
        others: messages that were no such event.
    """

    client: SocketClient

    def __init__(self, name: str, cohort: str) -> None:
        self.name = name
        self.cohort = cohort
        self.ready = False
        self.error: str | None = None
        self.connect_time: float | None = None
        self.faulty_at: float | None = None
        self.hung_up_at: float | None = None
        self.released = False
        self.looked_again = False
        self.streams: dict[str, SequenceCheck] = {}
        self.others = 0

    @property
    def ended(self) -> bool:
        """Whether its connection ended without its owner's doing."""
        client = self.client
        return client.closed is not None and client.died_at is None and not self.released


class Engine:
    """Carries the clients of a run.

    Args:
        plan: where to connect, and the clocks of the run.
        start_thread: starts a function in a native thread.
        socket_factory: makes an unpatched socket.
        sleep: how the calling side waits; in a patched process it must let greenlets run.

    Attributes:
        plan: as given.
        started_at: the monotonic clock's reading when its loop ran.
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
        self._socket_factory = socket_factory
        self._sleep = sleep
        self.started_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: str | None = None
        self._over = False
        self._names: dict[str, int] = {}
        self._members: list[Member] = []
        self._joining: set[asyncio.Task[None]] = set()
        self._series: dict[str, dict[int, Histogram]] = {}
        self._pushes: dict[str, Pushes] = {}
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._spread = Histogram()
        self._lag = Histogram()
        self._cpu_from: tuple[float, float] | None = None

    @property
    def faults_at(self) -> float:
        """When the faulty clients turn faulty, on the monotonic clock."""
        return self.started_at + self.plan.scenario.settle + self.plan.scenario.baseline

    # Called from outside, in any thread or greenlet

    def new_name(self, cohort: str) -> str:
        """Return the next name of a cohort."""
        number = self._names[cohort] = self._names.get(cohort, 0) + 1
        return f"{cohort}-{number}.{self.plan.tag}"

    def start(self) -> None:
        """Start the loop's thread, and return when it runs.

        Raises:
            LoadTestError: it does not come up.
        """
        self._start_thread(self._run)
        self._until(lambda: self._stop is not None or self._over, "start")
        self.started_at = time.monotonic()
        if self._failure:
            raise LoadTestError(f"the load engine did not start: {self._failure}")

    def stop(self) -> None:
        """End every connection at once and stop the loop's thread."""
        if self._loop is not None and self._stop is not None and not self._over:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._until(lambda: self._over, "stop")

    def connect(self, name: str, cohort: str, behaviour: Behaviour) -> Member:
        """Connect a client and return when that succeeded or failed; see `Member.error`."""
        member = self._ask(lambda: self._join(name, cohort, behaviour))
        self._until(lambda: member.ready, "connect")
        return member

    def release(self, member: Member) -> None:
        """Close a client's connection without waiting for it."""
        if self._loop is not None and not self._over:
            self._loop.call_soon_threadsafe(self._let_go, member)

    def take_pushes(self) -> dict[str, Pushes]:
        """Return what each cohort took since the last call."""

        def take() -> dict[str, Pushes]:
            taken, self._pushes = self._pushes, {}
            for cohort in taken:
                self._pushes[cohort] = Pushes(Histogram())
            return taken

        return self._ask(take)

    def progress(self) -> dict[str, Any]:
        """Return what a person wants to see while it runs; ``p99`` is of the last seconds."""
        return self._ask(self._progress)

    def look_again(self, *, limit: float = 2.0) -> None:
        """Let stalled clients read again, and wait until each has seen an end, or `limit`."""

        def resume() -> list[Member]:
            stalled = [member for member in self._members if member.client.stalled]
            for member in stalled:
                member.looked_again = True
                member.client.resume()
            return stalled

        waiting = self._ask(resume)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and not all(m.client.closed for m in waiting):
            self._sleep(0.02)

    def results(self) -> GeneratorResults:
        """Return everything that was seen; exact, whatever was asked for before."""
        return self._ask(self._results)

    def _ask(self, question: Callable[[], _T]) -> _T:
        answers: list[_T] = []
        errors: list[BaseException] = []

        def answer() -> None:
            try:
                answers.append(question())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked
                errors.append(error)

        if self._loop is None or self._over:
            raise LoadTestError(f"the load engine does not run: {self._failure or 'stopped'}")
        self._loop.call_soon_threadsafe(answer)
        self._until(lambda: bool(answers or errors), "answer")
        if errors:
            raise errors[0]
        return answers[0]

    def _until(self, condition: Callable[[], bool], what: str, *, limit: float = 30.0) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise LoadTestError(f"the load engine did not {what} within {limit:g} s")
            if self._over and what != "stop":
                raise LoadTestError(f"the load engine ended: {self._failure}")
            self._sleep(0.005)

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
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if self._cpu_from is not None:
                self._lag.record(max(0.0, now - due))
            due = max(due + _TICK, now)
            self._look_for_hang_ups(loop.time())
        for task in self._joining:
            task.cancel()
        for member in self._members:
            self._let_go(member)
        # One turn, so that the close frames and resets leave before the loop does.
        await asyncio.sleep(_TICK)

    def _look_for_hang_ups(self, now: float) -> None:
        for member in self._members:
            if member.faulty_at is not None and member.hung_up_at is None and not member.released:
                client = member.client
                if client.died_at is None and client.hung_up:
                    member.hung_up_at = now

    def _join(self, name: str, cohort: str, behaviour: Behaviour) -> Member:
        if self._cpu_from is None:
            self._cpu_from = (time.monotonic(), time.process_time())
        url = self.plan.url
        url += f"{'&' if '?' in url else '?'}client={quote(name)}"
        receive_buffer = self.plan.scenario.receive_buffer_bytes if behaviour.faults else None
        member = Member(name, cohort)
        member.client = SocketClient(
            url,
            behaviour,
            name=name,
            receive_buffer_bytes=receive_buffer,
            on_message=self._taker(member),
            keep=False,
            socket_factory=self._socket_factory,
        )
        self._members.append(member)
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._connect(member, behaviour))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return member

    async def _connect(self, member: Member, behaviour: Behaviour) -> None:
        began = time.monotonic()
        try:
            await member.client.connect(timeout=10.0)
            member.connect_time = time.monotonic() - began
            after = [getattr(fault, "after_seconds", None) for fault in behaviour.faults]
            if after and after[0] is not None:
                member.faulty_at = time.monotonic() + after[0]
        except SimulatorError as error:
            member.error = str(error)
        except OSError as error:
            member.error = f"{type(error).__name__}: {error}"
        finally:
            member.ready = True

    def _let_go(self, member: Member) -> None:
        if member.client.connected:
            member.released = True
            member.client.close()

    def _taker(self, member: Member) -> Callable[[SocketClient, bytes], None]:
        """Make the function that every message of this client goes through: keep it lean."""
        series = self._series.setdefault(member.cohort, {})
        self._pushes.setdefault(member.cohort, Pushes(Histogram()))
        cohort, streams = member.cohort, member.streams
        watched = cohort == "healthy" and self.plan.run_id is not None
        run_id, origin, offset = self.plan.run_id, self.plan.origin, self.plan.wall_offset
        first, last = self._first, self._last
        monotonic, loads, parse = time.monotonic, json.loads, datetime.fromisoformat

        def take(_client: SocketClient, payload: bytes) -> None:
            now = monotonic()
            try:
                event = loads(payload)
                run = event["run_id"]
                if run != run_id and run_id is not None:
                    member.others += 1
                    return
                sequence = event["sequence"]
                due = parse(event["timestamp"]).timestamp() - offset
            except (ValueError, KeyError, TypeError):
                member.others += 1
                return
            check = streams.get(run)
            if check is None:
                check = streams[run] = SequenceCheck()
            check.take(sequence)
            latency = now - due
            second = int(due - origin)
            histogram = series.get(second)
            if histogram is None:
                histogram = series[second] = Histogram()
            histogram.record(latency)
            pushes = self._pushes[cohort]
            pushes.latency.record(latency)
            pushes.received_bytes += len(payload)
            if watched:
                if sequence not in first:
                    first[sequence] = now
                    if len(first) > _SPREAD_KEPT:
                        self._fold_spread(_SPREAD_KEPT // 2)
                last[sequence] = now

        return take

    def _fold_spread(self, count: int) -> None:
        for sequence in list(self._first)[:count]:
            self._spread.record(self._last.pop(sequence) - self._first.pop(sequence))

    def _progress(self) -> dict[str, Any]:
        recent = Histogram()
        series = self._series.get("healthy", {})
        for second in sorted(series)[-_RECENT:]:
            recent.merge(series[second])
        healthy = [member for member in self._members if member.cohort == "healthy"]
        return {
            "started_at": self.started_at,
            "connected": sum(member.client.connected for member in self._members),
            "healthy": sum(member.client.connected for member in healthy),
            "failed": sum(member.error is not None for member in self._members),
            "received": sum(_received(member) for member in self._members),
            "expected": min((_expected(m) for m in healthy if m.client.connected), default=0),
            "p99": recent.quantile(0.99),
            "lag": self._lag.maximum,
        }

    def _results(self) -> GeneratorResults:
        spread = Histogram()
        spread.merge(self._spread)
        for sequence, first in self._first.items():
            spread.record(self._last[sequence] - first)
        cpu = 0.0
        if self._cpu_from is not None:
            since, used = self._cpu_from
            cpu = (time.process_time() - used) / max(1e-9, time.monotonic() - since)
        return GeneratorResults(
            clients=[self._client_record(member) for member in self._members],
            series=self._series,
            spread=spread,
            generator=GeneratorRecord(
                lag=self._lag,
                cpu=cpu,
                messages=sum(member.client.received_messages for member in self._members),
                loop=f"{type(self._loop).__module__}.{type(self._loop).__qualname__}",
            ),
        )

    def _client_record(self, member: Member) -> ClientRecord:
        client, checks, origin = member.client, list(member.streams.values()), self.plan.origin

        def run_time(moment: float | None) -> float | None:
            return None if moment is None else moment - origin

        faulty = client.stalled_at or client.died_at
        if faulty is None and member.faulty_at is not None and member.faulty_at < time.monotonic():
            faulty = member.faulty_at
        closed = client.closed
        return ClientRecord(
            name=member.name,
            cohort=member.cohort,
            connected_at=run_time(client.connected_at),
            connect_time=member.connect_time,
            error=member.error,
            faulty_at=run_time(faulty),
            hung_up_at=run_time(member.hung_up_at),
            closed_at=run_time(closed.time) if closed else None,
            closed_code=closed.code if closed else None,
            closed_reason=closed.reason if closed else "",
            looked_again=member.looked_again,
            released=member.released or client.died_at is not None,
            received=_received(member),
            received_bytes=client.received_bytes,
            first=min((c.first for c in checks if c.first is not None), default=None),
            expected=_expected(member),
            gaps=sum(check.gaps for check in checks),
            duplicates=sum(check.duplicates for check in checks),
            disordered=sum(check.disordered for check in checks),
            others=member.others,
        )


def _received(member: Member) -> int:
    return sum(check.received for check in member.streams.values())


def _expected(member: Member) -> int:
    return max((check.expected for check in member.streams.values()), default=0)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - absent on some systems, where asyncio's loop serves
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
