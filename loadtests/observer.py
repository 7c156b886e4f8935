"""Watches a server's ``/api/stats`` while a run lasts, and keeps what it tells."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from loadtests.plan import Plan
from loadtests.record import EvictionRecord, PresenceRecord, ServerRecord, ServerSample
from loadtests.service import Service
from simulators.starvation import starved

__all__ = ["PATH", "Observer"]

PATH = "/api/stats"
_EVERY = 0.25
_LIMIT = 2.0
_LATELY = 1.0


class Observer:
    """Polls from a thread of its own. What a server does not offer stays empty.

    Args:
        plan: the run; only clients whose names end in its tag count.
        record: what is filled in.
    """

    def __init__(self, plan: Plan, record: ServerRecord) -> None:
        self.record = record
        self._plan = plan
        self._ending = f".{plan.tag}"
        self._service = Service.of(plan, timeout=_LIMIT)
        self._evictions: dict[tuple[Any, str], EvictionRecord] = {}
        self._presences: dict[str, PresenceRecord] = {}
        self._last_answer = time.monotonic()
        self._refused_since: float | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="observer", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._last_answer = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End; a poll under way is waited for, and a last one if the server still answers."""
        self._stopping.set()
        self._thread.join(timeout=2 * _LIMIT)
        self._service.close()

    @property
    def last(self) -> ServerSample | None:
        """The latest sample."""
        return self.record.samples[-1] if self.record.samples else None

    @property
    def evicted(self) -> int:
        """Clients of this run that left the pool without having left by themselves."""
        return self.dropped.total()

    @property
    def dropped(self) -> Counter[str]:
        """The same by cohort."""
        with self._lock:
            if self.record.offers_evictions:
                names = [one.client for one in self._evictions.values()]
            else:
                out = self._presences.values()
                names = [one.client for one in out if one.out_of_pool_at is not None]
        return Counter(name.partition("-")[0] for name in names)

    @property
    def refused(self) -> float:
        """For how many seconds nothing has listened at the address."""
        since = self._refused_since
        return time.monotonic() - since if since is not None else 0.0

    def _watch(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self._look(began)
            self._stopping.wait(max(0.0, began + _EVERY - time.monotonic()))
        if time.monotonic() - self._last_answer < _LATELY:
            self._look(time.monotonic())

    def _look(self, began: float) -> None:
        try:
            answer = self._service.get_json(PATH)
            self._refused_since = None
        except (OSError, http.client.HTTPException) as error:
            answer = None
            if not isinstance(error, ConnectionRefusedError):
                self._refused_since = None
            elif self._refused_since is None:
                self._refused_since = began
        now = time.monotonic()
        if isinstance(answer, dict):
            with self._lock:
                self._take(answer, at=(began + now) / 2)
            self._last_answer = now
        self.record.silent = max(self.record.silent, now - self._last_answer)

    def _take(self, answer: Mapping[str, Any], *, at: float) -> None:
        server = answer.get("server") or {}
        moment = at - self._plan.origin
        connections = answer.get("connections")
        evicted = answer.get("evicted")
        sample = ServerSample(
            at=moment,
            connections=len(self._ours(connections)) if connections is not None else None,
            clients=answer.get("clients"),
            published=answer.get("published"),
            delivered=answer.get("delivered"),
            evicted=_sum(evicted),
            closing=answer.get("closing"),
            history=_sum(answer.get("history")),
            waited=starved(server.get("pid")) if self.record.started_here else None,
            **_worst_lag(answer.get("per_client")),
            **{
                name: server.get(name)
                for name in ("memory_bytes", "cpu_seconds", "tasks", "loop_lag")
            },
        )
        self.record.samples.append(sample)
        if connections is not None:
            self.record.offers_connections = True
            self._compare(self._ours(connections), moment)
        if isinstance(answer.get("evictions"), list) and "clock" in server:
            self.record.offers_evictions = True
            # The server's loop time, by way of the wall clock, on our run's clock.
            shift = server["clock"] - server["time"] - self._plan.wall_offset - self._plan.origin
            for told in answer["evictions"]:
                if str(told.get("client", "")).endswith(self._ending):
                    self._evictions[told.get("number"), told["client"]] = _eviction(told, shift)
        self.record.evictions = list(self._evictions.values())
        self.record.presences = list(self._presences.values())

    def _ours(self, connections: Any) -> list[Mapping[str, Any]]:
        return [one for one in connections if str(one.get("name", "")).endswith(self._ending)]

    def _compare(self, connections: list[Mapping[str, Any]], moment: float) -> None:
        open_now = {one["name"]: one.get("in_pool") for one in connections}
        for name, in_pool in open_now.items():
            presence = self._presences.get(name)
            if in_pool is not None:
                self.record.offers_pool = True
            if presence is None:
                # Not yet in the pool is not out of it: it is watched from when it was in.
                if in_pool is not False:
                    self._presences[name] = PresenceRecord(client=name, seen_at=moment)
            elif in_pool is False and presence.out_of_pool_at is None:
                presence.out_of_pool_at = moment
        for name, presence in self._presences.items():
            if name not in open_now and presence.gone_at is None:
                presence.gone_at = moment


def _eviction(told: Mapping[str, Any], shift: float) -> EvictionRecord:
    lag = told.get("lag") or {}
    gone_at = told.get("gone_at")
    return EvictionRecord(
        client=told["client"],
        reason=str(told.get("reason")),
        code=told.get("code"),
        at=told["at"] + shift,
        gone_at=gone_at + shift if gone_at is not None else None,
        lag_messages=lag.get("messages", 0),
        lag_bytes=lag.get("bytes", 0),
        lag_seconds=lag.get("seconds", 0.0),
        error=told.get("error"),
    )


def _sum(counts: Any) -> int | None:
    return sum(counts.values()) if isinstance(counts, dict) else None


def _worst_lag(clients: Any) -> dict[str, Any]:
    """Return how far the client is behind that is furthest behind, by each measure."""
    if not isinstance(clients, list):
        return {}
    lags = [client.get("lag") or {} for client in clients]
    return {
        f"lag_{measure}": max((lag.get(measure, 0) for lag in lags), default=0)
        for measure in ("messages", "bytes", "seconds")
    }
