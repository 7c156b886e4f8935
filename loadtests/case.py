"""A record with what the questions need to look up in it."""

from dataclasses import dataclass

from loadtests.answers import milliseconds
from loadtests.histogram import Histogram
from loadtests.record import ClientRecord, EvictionRecord, PresenceRecord, Record
from loadtests.scenario import FOREIGN_BUFFER_BYTES, SERVER_BUFFER_BYTES, Scenario

__all__ = ["Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """A record with what most questions need to look up in it."""

    record: Record
    scenario: Scenario
    evictions: dict[str, EvictionRecord]
    presences: dict[str, PresenceRecord]

    @classmethod
    def of(cls, record: Record) -> "Case":
        """Prepare a record."""
        return cls(
            record,
            Scenario.from_json(record.scenario),
            {eviction.client: eviction for eviction in record.server.evictions},
            {presence.client: presence for presence in record.server.presences},
        )

    def cohort(self, name: str) -> list[ClientRecord]:
        """Return the clients of a cohort that connected."""
        clients = self.record.results.clients
        return [one for one in clients if one.cohort == name and one.connected_at is not None]

    @property
    def buffer_bytes(self) -> int:
        """What the server holds for a client that does not read, as far as is known."""
        return SERVER_BUFFER_BYTES if self.record.server.tuned else FOREIGN_BUFFER_BYTES

    @property
    def bytes_per_second(self) -> float:
        """What each client was sent: as published, else as the healthy clients received it."""
        if self.record.publisher is not None:
            return self.scenario.published_bytes_per_second
        healthy = self.cohort("healthy")
        received = sum(client.received_bytes + 4 * client.received for client in healthy)
        time = sum(self.record.ended_at - (client.connected_at or 0.0) for client in healthy)
        return received / time if time > 0 else 0.0

    @property
    def looks_inside(self) -> bool:
        """Whether the server tells who is in its pool."""
        server = self.record.server
        return server.offers_evictions or server.offers_connections

    @property
    def healthy(self) -> dict[int, Histogram]:
        """The latencies of the healthy clients, second by second."""
        return self.record.results.series.get("healthy", {})

    @property
    def doubt(self) -> str | None:
        """Why the generator's own measurements cannot be trusted; None when they can."""
        limits, told = self.scenario.thresholds, self.record.results.generator
        if told.error:
            return f"the load generator failed: {told.error}"
        lag = told.lag.quantile(0.99)
        if lag > limits.generator_lag:
            return (
                f"the load generator was the bottleneck: its loop lagged {milliseconds(lag)} (p99)"
            )
        if told.cpu > limits.generator_cpu:
            return f"the load generator was the bottleneck: it used {told.cpu:.0%} of a core"
        published = self.record.publisher
        if published is not None and published.late > limits.latency_p99:
            return f"the publisher's own timer was {milliseconds(published.late)} late"
        return None

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
        if end is None or connected_at is None or self.record.server.died_at is not None:
            return client.gaps
        # Of one that came late, only what followed its first event can be asked.
        early = connected_at < self.record.publishing[0]
        return client.missed(start=0 if early else None, end=end)

    def left_pool(self, client: ClientRecord) -> float | None:
        """Return when the client was out of the pool, from the best witness there is."""
        times: list[float | None] = []
        if client.name in self.evictions:
            times.append(self.evictions[client.name].at)
        if client.name in self.presences:
            presence = self.presences[client.name]
            times += [presence.out_of_pool_at, presence.gone_at]
        return min((time for time in times if time is not None), default=None)
