"""A record with what the questions need to look up in it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from loadtests.answers import milliseconds
from loadtests.capacity import Step, steps
from loadtests.cohorts import Cohort
from loadtests.histogram import Histogram
from loadtests.pipe import Pipe
from loadtests.record import ClientRecord, EvictionRecord, PresenceRecord, Record
from loadtests.scenario import Scenario

__all__ = ["Case"]

_JOINING = 1.0
_WAIT_SAMPLES = 8
"""Two seconds of the server's statistics."""

_REFERENCE = "flock_ws.manager:WebSocketManager"


@dataclass(frozen=True, slots=True)
class Case:
    """A record with what most questions need to look up in it."""

    record: Record
    scenario: Scenario
    evictions: dict[str, EvictionRecord]
    presences: dict[str, PresenceRecord]
    cohorts: dict[str, Cohort]

    @classmethod
    def of(cls, record: Record) -> "Case":
        """Prepare a record."""
        scenario = Scenario.from_json(record.scenario)
        return cls(
            record,
            scenario,
            {eviction.client: eviction for eviction in record.server.evictions},
            {presence.client: presence for presence in record.server.presences},
            {cohort.name: cohort for cohort in scenario.cohorts},
        )

    def connected(self, cohort: Cohort) -> list[ClientRecord]:
        """Return the clients of a cohort that connected."""
        clients = self.record.results.clients
        return [
            one for one in clients if one.cohort == cohort.name and one.connected_at is not None
        ]

    @property
    def viewers(self) -> list[Cohort]:
        """The cohorts of those who behave from beginning to end."""
        return [cohort for cohort in self.scenario.cohorts if cohort.user == "viewer"]

    @property
    def healthy(self) -> list[ClientRecord]:
        """The clients of these cohorts that connected."""
        return [client for cohort in self.viewers for client in self.connected(cohort)]

    @property
    def pipe(self) -> Pipe:
        """What a client that does not read absorbs, as far as is known."""
        # A server that was there already has a heartbeat of its own, of which nothing is known.
        heartbeat = self.record.server.started_here and not self.pings_nobody
        return Pipe(self.scenario, self.record.server.tuned, self.bytes_per_second, heartbeat)

    @property
    def bytes_per_second(self) -> float:
        """What each client was sent: as published, else as the healthy clients received it."""
        if self.record.publisher is not None:
            return self.scenario.published_bytes_per_second
        healthy = self.healthy
        received = sum(client.received_bytes + 4 * client.received for client in healthy)
        time = sum(self.record.ended_at - (client.connected_at or 0.0) for client in healthy)
        return received / time if time > 0 else 0.0

    @property
    def looks_inside(self) -> bool:
        """Whether the server tells who is in its pool."""
        server = self.record.server
        return server.offers_evictions or server.offers_connections

    @property
    def pings_nobody(self) -> bool:
        """Whether the manager has no heartbeat: a foreign one of which nobody saw a ping."""
        foreign = self.record.server.manager != _REFERENCE
        return foreign and not self.record.results.ping_intervals.count

    def series(self, cohorts: Iterable[Cohort]) -> dict[int, Histogram]:
        """Return the push latencies of some cohorts, second by second of run time."""
        merged: dict[int, Histogram] = {}
        for cohort in cohorts:
            for second, histogram in self.record.results.series.get(cohort.name, {}).items():
                merged.setdefault(second, Histogram()).merge(histogram)
        return merged

    @property
    def steps(self) -> list[Step]:
        """The steps of a search, up to and with the first that broke."""
        return steps(self.record, self.scenario)

    @property
    def search_broke(self) -> bool:
        """Whether the load was raised until it was too much, as a search does."""
        return any(not step.kept for step in self.steps)

    @property
    def doubt(self) -> str | None:
        """Why the generator's own measurements cannot be trusted; None when they can."""
        limits, told = self.scenario.limits, self.record.results.generator
        if told.error:
            return f"the load generator failed: {told.error}"
        if (broken := next((step for step in self.steps if not step.kept), None)) is not None:
            return broken.doubt
        lag = told.lag.quantile(0.99)
        if lag > limits.generator_lag:
            return (
                f"the load generator was the bottleneck: its loop lagged {milliseconds(lag)} (p99)"
            )
        if told.cpu > limits.generator_cpu:
            return f"the load generator was the bottleneck: it used {told.cpu:.0%} of a core"
        published = self.record.publisher
        if published is not None and published.late > limits.publisher_late:
            return f"the publisher's own timer was {milliseconds(published.late)} late"
        return None

    def starved(self, excess: float) -> str | None:
        """Say that the machine had no core free, so that something may have come late by itself.

        None when it had, or does not tell, or when nobody waited that long: what is 30 s late is
        not so because the server waited for 2 s. Nothing comes sooner on a busy machine, so what
        was in time was in time all the same.

        Args:
            excess: by how many seconds a limit was broken.
        """
        waits = [one.waited for one in self.record.server.samples if one.waited is not None]
        generator = self.record.results.generator.waited
        in_server = waits[-1] - waits[0] if waits else 0.0
        lost = max(in_server, (generator or 0.0) * self.record.ended_at)
        shares = {"server": self.server_waited, "generator": generator}
        for name, share in shares.items():
            if share is not None and share > self.scenario.limits.waited and excess <= lost:
                return f"the machine had no core free for the {name} ({share:.0%} of the time)"
        return None

    @property
    def server_waited(self) -> float | None:
        """For which share of its worst two seconds the server had no core; None: not known."""
        told = [
            (one.at, one.waited) for one in self.record.server.samples if one.waited is not None
        ]
        spans = zip(told, told[_WAIT_SAMPLES:], strict=False)
        shares = [(end[1] - start[1]) / (end[0] - start[0]) for start, end in spans]
        return max(shares, default=None)

    @property
    def published(self) -> int | None:
        """How many events every healthy client should have; None when somebody else published."""
        told = self.record.publisher
        if told is None:
            return None
        # In a run that was cut short, what was due in its last moment may not have been sent.
        cut = self.record.interrupted_at is not None and all(b.returned for b in told.blocks)
        return told.sent if cut else told.due

    def missed(self, client: ClientRecord) -> int:
        """Return how many events the client should have got and did not."""
        end, connected_at = self.published, client.connected_at
        # Where either side broke off, what was still under way is not lost by the manager.
        broke_off = self.record.server.died_at is not None or self.record.results.generator.error
        if end is None or connected_at is None or broke_off:
            return client.gaps
        if self.left_by_itself(client):
            return client.gaps
        begun = connected_at - self.record.publishing[0]
        # One that came while events were published may have come into the pool a moment later.
        start = 0 if begun < 0 else math.ceil((begun + _JOINING) * self.scenario.rate)
        return client.missed(start=min(start, end), end=end)

    def left_by_itself(self, client: ClientRecord) -> bool:
        """Tell whether the scenario had the client leave before the end."""
        return self.cohorts[client.cohort].leaves is not None

    def turned_at(self, client: ClientRecord) -> float | None:
        """Return when the client ceased to behave as a viewer does; None while it did."""
        moments = [client.faulty_at]
        if (leaves := self.cohorts[client.cohort].leaves) is not None:
            moments.append(self.record.publishing[0] + leaves)
        if client.returns:
            moments.append(client.returns[0].dropped_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def left_pool(self, client: ClientRecord) -> float | None:
        """Return when the client was out of the pool, from the best witness there is."""
        times: list[float | None] = []
        if client.name in self.evictions:
            times.append(self.evictions[client.name].at)
        if client.name in self.presences:
            presence = self.presences[client.name]
            times += [presence.out_of_pool_at, presence.gone_at]
        return min((time for time in times if time is not None), default=None)
