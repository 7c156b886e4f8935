"""A steady publisher: what it was due to publish is the ground truth of a run."""

import http.client
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count, islice

from loadtests.plan import Plan
from loadtests.record import Block, PublisherRecord
from loadtests.service import Service
from simulators.events import numbered_events

__all__ = ["PATH", "Publisher"]

PATH = "/api/events"
_MOST = 1_000
_BLOCKED = 0.5
_REFUSED_PAUSE = 0.2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Publisher:
    """Posts events at a steady rate from a thread of its own, whatever the server does (open loop).

    An event carries the time at which it was due, so a late publication shows as latency. All that
    is due goes into one request, in order; the next request waits for the answer to the one
    before, as any publisher that keeps order must. What was refused is not sent again.

    Args:
        plan: what to publish and where.
        starts_at: the monotonic clock's reading when the first event is due.
    """

    def __init__(self, plan: Plan, *, starts_at: float) -> None:
        self._plan = plan
        self._starts_at = starts_at
        self._total = max(1, round(plan.scenario.rate * plan.scenario.duration))
        self._service = Service.of(plan, timeout=None)
        self._stopping = threading.Event()
        self._stopped_at: float | None = None
        self._under_way: float | None = None
        start = starts_at - plan.origin
        self._record = PublisherRecord(started_at=start, ended_at=start)
        self._thread = threading.Thread(target=self._publish, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin; the first event waits for its time."""
        self._thread.start()

    def stop(self) -> PublisherRecord:
        """End, give up a request that is under way, and return what was published."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
        blocked = self.blocked
        self._stopping.set()
        if blocked >= _BLOCKED:
            self._service.interrupt()
        self._thread.join(timeout=2.0)
        if self._thread.is_alive():
            self._service.interrupt()
            self._thread.join(timeout=2.0)
        now = min(self._stopped_at, self._starts_at + self._plan.scenario.duration)
        self._record.ended_at = now - self._plan.origin
        self._record.due = self._due(now)
        return self._record

    @property
    def accepted(self) -> int:
        """Events that the server has taken so far."""
        return self._record.accepted

    @property
    def blocked(self) -> float:
        """For how many seconds the request under way has not returned; 0 without one."""
        since = self._under_way
        return time.monotonic() - since if since is not None else 0.0

    @property
    def done(self) -> bool:
        """Whether everything was sent and answered."""
        return not self._thread.is_alive()

    def _due(self, now: float) -> int:
        elapsed = now - self._starts_at
        return 0 if elapsed < 0 else min(self._total, int(elapsed * self._plan.scenario.rate) + 1)

    def _publish(self) -> None:
        plan, scenario = self._plan, self._plan.scenario
        events = numbered_events(
            agent_name="load",
            run_id=plan.run_id or "load",
            size_bytes=scenario.size_bytes,
            stamp=map(self._due_time, count()).__next__,
        )
        sent = 0
        while sent < self._total and not self._stopping.is_set():
            due_at = self._starts_at + sent / scenario.rate
            wait = due_at - time.monotonic()
            if wait > 0:
                self._stopping.wait(wait)
                self._record.late = max(self._record.late, time.monotonic() - due_at)
                continue
            number = min(self._due(time.monotonic()) - sent, _MOST)
            lines = [
                f'{{"kind":"StreamingOutputEvent","event":{event.model_dump_json()}}}'
                for event in islice(events, number)
            ]
            sent += number
            self._post(f"[{','.join(lines)}]".encode(), number)
        self._service.close()

    def _due_time(self, number: int) -> datetime:
        moment = self._starts_at + number / self._plan.scenario.rate + self._plan.wall_offset
        return _EPOCH + timedelta(microseconds=round(moment * 1e6))

    def _post(self, body: bytes, number: int) -> None:
        record = self._record
        record.requests += 1
        record.sent += number
        began = self._under_way = time.monotonic()
        refusal: str | None = None
        gone = False
        try:
            status, answer = self._service.request("POST", PATH, body)
            if status // 100 != 2:  # noqa: PLR2004 - the class of success
                refusal = f"{status}: {answer[:120].decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            refusal = f"{type(error).__name__}: {error}".rstrip(": ")
            gone = True
        took = time.monotonic() - began
        self._under_way = None
        given_up = gone and self._stopping.is_set()
        record.longest = max(record.longest, took)
        if took >= _BLOCKED:
            block = Block(at=began - self._plan.origin, seconds=took, returned=not gone)
            record.blocks.append(block)
        if refusal is None:
            record.accepted += number
        elif not given_up:
            record.refusals[refusal] = record.refusals.get(refusal, 0) + number
            self._stopping.wait(_REFUSED_PAUSE)
