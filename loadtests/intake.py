"""What all members take together: latency by cohort and second, the spread, the heartbeat."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.histogram import Histogram
from loadtests.kinds import KINDS
from loadtests.members import Member
from loadtests.payloads import Event, PayloadReader
from loadtests.plan import Plan
from loadtests.sequences import SequenceCheck
from simulators.sockets import SocketClient

__all__ = ["Intake", "Pushes"]

_SPREAD_KEPT = 20_000
_RECENT = 3
# Some 0.1 ms of the loop's time.
_COUNTED_AT_ONCE = 512


@dataclass(slots=True)
class Pushes:
    """The pushes of one cohort since somebody last asked."""

    latency: Histogram = field(default_factory=Histogram)
    received_bytes: int = 0


class Intake:
    """Counts what is pushed. It lives on the engine's loop.

    A latency is held against the second of run time in which its event was due. Where clients only
    listen, an event without a sequence counts among the others, and has a latency all the same.

    Args:
        plan: which events count, and the clocks of the run.

    Attributes:
        series: the latencies of each cohort by second; complete after `fold`.
        ping_intervals: between two application pings at the same client, one that reads well.
        ping_jitter: how far each was from the interval that the scenario asks the server for.
        reader: what reads the payloads.
    """

    def __init__(self, plan: Plan) -> None:
        self.reader = PayloadReader(
            sequence_path=plan.sequence_path,
            time_path=plan.time_path,
            wall_offset=plan.wall_offset,
            origin=plan.origin,
        )
        self.series: dict[str, dict[int, Histogram]] = {}
        self.ping_intervals = Histogram()
        self.ping_jitter = Histogram()
        self._plan = plan
        self._heartbeat = plan.scenario.server.get("heartbeat_interval")
        # As they came: what is counted many at a time costs less than half.
        self._recent: dict[str, dict[int, list[float]]] = {}
        self._pushes: dict[str, Histogram] = {}
        self._spans: dict[int, list[float]] = {}
        self._spread = Histogram()

    def taker(self, member: Member) -> Callable[[SocketClient, bytes], None]:
        """Make the function that every message of a member's connection goes through.

        It is what a run spends its time in: keep it lean.
        """
        recent = self._recent.setdefault(member.cohort, {})
        streams, spans = member.streams, self._spans
        run_id, origin = self._plan.run_id, self._plan.origin
        watched = member.kind == "viewer" and run_id is not None
        known, read = self.reader.known.get, self.reader.read
        monotonic, take_other, fold = time.monotonic, self._take_other, self._fold_second

        def take(_client: SocketClient, payload: bytes) -> None:
            now = monotonic()
            event = known(payload) or read(payload)
            sequence, run = event.sequence, event.run
            if sequence is None or (run != run_id and run_id is not None) or member.closing:
                take_other(member, event, now)
                return
            check = streams.get(run)
            if check is None:
                check = streams[run] = SequenceCheck()
                member.serve(now - origin)
            if sequence == check.expected and check.received:
                # What `take` would do, without a call for each message.
                check.expected = sequence + 1
                check.received += 1
            else:
                check.take(sequence)
            due = event.due
            if due is None:
                member.untimed += 1
                return
            second = event.second
            if second in recent:
                latencies = recent[second]
                latencies.append(now - due)
                if len(latencies) >= _COUNTED_AT_ONCE:
                    fold(member.cohort, second)
            else:
                recent[second] = [now - due]
            if watched:
                if sequence in spans:
                    spans[sequence][1] = now
                else:
                    spans[sequence] = [now, now]
                    if len(spans) > _SPREAD_KEPT:
                        self._fold_spans(_SPREAD_KEPT // 2)

        return take

    def _take_other(self, member: Member, event: Event, now: float) -> None:
        if member.closing:
            member.after_close += 1
        elif event.ping:
            self._take_ping(member, now)
        else:
            member.others += 1
            if event.due is not None and self._plan.run_id is None:
                recent = self._recent[member.cohort]
                recent.setdefault(event.second, []).append(now - event.due)

    def _take_ping(self, member: Member, now: float) -> None:
        member.pings += 1
        since, member.last_ping_at = member.last_ping_at, now
        if since is None or KINDS[member.kind].faulty:
            return
        self.ping_intervals.record(now - since)
        if self._heartbeat is not None:
            self.ping_jitter.record(abs(now - since - self._heartbeat))

    def _fold_spans(self, count: int) -> None:
        for sequence in list(self._spans)[:count]:
            first, last = self._spans.pop(sequence)
            self._spread.record(last - first)

    def spread(self) -> Histogram:
        """Return, over all events, the time from the first viewer that had it to the last."""
        spread = Histogram()
        spread.merge(self._spread)
        for first, last in self._spans.values():
            spread.record(last - first)
        return spread

    def fold(self) -> None:
        """Bring `series` up to date."""
        for cohort, recent in self._recent.items():
            self.series.setdefault(cohort, {})
            self._pushes.setdefault(cohort, Histogram())
            for second in list(recent):
                self._fold_second(cohort, second)

    def _fold_second(self, cohort: str, second: int) -> None:
        counted = Histogram()
        counted.record_all(self._recent[cohort].pop(second))
        self._pushes.setdefault(cohort, Histogram()).merge(counted)
        self.series.setdefault(cohort, {}).setdefault(second, Histogram()).merge(counted)

    def take_pushes(self) -> dict[str, Histogram]:
        """Return the latencies of each cohort since the last call."""
        self.fold()
        taken, self._pushes = self._pushes, {}
        return taken

    def latest(self, cohorts: set[str]) -> Histogram:
        """Return the latencies of the last seconds in which events were due."""
        self.fold()
        merged = Histogram()
        seconds: deque[int] = deque(
            sorted({second for name in cohorts for second in self.series.get(name, ())}),
            maxlen=_RECENT,
        )
        for name in cohorts:
            for second in seconds:
                if second in self.series.get(name, ()):
                    merged.merge(self.series[name][second])
        return merged
