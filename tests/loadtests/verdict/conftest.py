"""Every way in which a run can end, on records made by hand."""

from typing import Any

import pytest

from loadtests.answers import Answer
from loadtests.cohorts import Cohort
from loadtests.histogram import Histogram
from loadtests.record import (
    ClientRecord,
    EvictionRecord,
    GeneratorRecord,
    GeneratorResults,
    PresenceRecord,
    PublisherRecord,
    Record,
    ServerRecord,
    ServerSample,
)
from loadtests.scenario import Scenario
from loadtests.verdict import judge

SCENARIO = Scenario(
    name="small",
    proves="what each question says to each record",
    cohorts=(
        Cohort(name="healthy", user="viewer", count=2),
        Cohort(name="slow", user="slow", count=1),
        Cohort(name="stalled", user="stalled", count=1),
        Cohort(name="dead", user="dead", count=1),
    ),
    duration=20.0,
    baseline=5.0,
    thresholds=(
        "healthy.latency.p99 < 0.25",
        "healthy.latency.p99[faults] <= max(5 * healthy.latency.p99[baseline], 0.05)",
        "publisher.block_max < 1",
    ),
)
START, FAULTS, END = 3.0, 8.0, 23.0
DUE = 2_000
LEFT = {"slow": FAULTS + 4.0, "stalled": FAULTS + 3.9, "dead": FAULTS + 0.1}


class Small:
    """A small run in which every promise was kept, made by hand, and what to change in it."""

    scenario = SCENARIO
    latency, blast, block = SCENARIO.thresholds
    start, faults, end, due, left = START, FAULTS, END, DUE, LEFT

    @staticmethod
    def client(name: str, **changes: Any) -> ClientRecord:
        cohort = name.partition("-")[0]
        fields: dict[str, Any] = {"name": name, "cohort": cohort, "connected_at": 1.0, "first": 0}
        if cohort == "healthy":
            fields |= {"received": DUE, "expected": DUE, "received_bytes": DUE * 300}
        else:
            fields |= {"received": 500, "expected": 500, "faulty_at": FAULTS}
            fields |= {"released": True}
        return ClientRecord(**(fields | changes))

    @staticmethod
    def latencies(seconds: float) -> Histogram:
        histogram = Histogram()
        for _ in range(200):
            histogram.record(seconds)
        return histogram

    @staticmethod
    def kept(scenario: Scenario = SCENARIO) -> Record:
        """Return the record of a run in which every promise was kept."""
        clients = [
            Small.client(name)
            for name in ("healthy-1", "healthy-2", "slow-1", "stalled-1", "dead-1")
        ]
        evictions = [
            EvictionRecord(
                client=f"{cohort}-1",
                reason="send_timeout",
                code=1013,
                at=LEFT[cohort],
                gone_at=13.0,
            )
            for cohort in ("slow", "stalled")
        ]
        presences = [PresenceRecord(client=one.name, seen_at=1.0) for one in clients]
        for presence in presences:
            if (cohort := presence.client[:-2]) in LEFT:
                presence.gone_at = LEFT[cohort] + 0.5
        return Record(
            scenario=scenario.to_json(),
            server=ServerRecord(
                url="ws://127.0.0.1:1/ws",
                tuned=True,
                offers_evictions=True,
                offers_connections=True,
                offers_pool=True,
                evictions=evictions,
                presences=presences,
                samples=[ServerSample(at=24.0, connections=2, clients=2, closing=0)],
            ),
            publisher=PublisherRecord(
                started_at=START, ended_at=END, due=DUE, sent=DUE, accepted=DUE, longest=0.01
            ),
            publishing=(START, END),
            faults_at=FAULTS,
            ended_at=24.5,
            results=GeneratorResults(
                clients=clients,
                series={"healthy": {second: Small.latencies(0.002) for second in range(3, 23)}},
                spread=Small.latencies(0.001),
                generator=GeneratorRecord(lag=Small.latencies(0.001), cpu=0.1, messages=DUE * 2),
            ),
        )

    @staticmethod
    def answer(record: Record, key: str) -> Answer:
        return next(answer for answer in judge(record).answers if answer.key == key)

    @staticmethod
    def of(record: Record, name: str) -> ClientRecord:
        return next(client for client in record.results.clients if client.name == name)

    @staticmethod
    def leave_alone(record: Record, *names: str) -> None:
        """Undo what the server did to these clients."""
        server = record.server
        server.evictions = [one for one in server.evictions if one.client not in names]
        for presence in server.presences:
            if presence.client in names:
                presence.out_of_pool_at = presence.gone_at = None

    @staticmethod
    def outside() -> Record:
        """Return the record of a run against a server that tells nothing."""
        record = Small.kept()
        record.server = ServerRecord(url="ws://there/ws")
        record.publisher = None
        for name in ("slow-1", "stalled-1"):
            Small.of(record, name).released = False
        return record


@pytest.fixture(scope="session")
def small() -> type[Small]:
    """What tests of verdicts need."""
    return Small
