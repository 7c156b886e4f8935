"""Runs made by hand: one that kept everything, and one that broke, with names to be escaped."""

from typing import Any

import pytest

from loadtests.answers import Answer, Verdict
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
from loadtests.report.documents import Run
from loadtests.scenario import Scenario
from loadtests.verdict import Judgement

BEGINS, TURNS, ENDS, RATE = 2.0, 5.0, 12.0, 10.0
HOSTILE = "</script><script>alert(1)</script><b a='\"'>&amp;\x1b[31m"

SCENARIO = Scenario(
    name="storm",
    proves="the healthy notice nothing",
    cohorts=(
        Cohort(name="healthy", user="viewer", count=3),
        Cohort(name="stalled", user="stalled", count=2),
        Cohort(name="dead", user="dead", count=1),
    ),
    rate=RATE,
    size_bytes=300,
    duration=ENDS - BEGINS,
    baseline=TURNS - BEGINS,
    windows={"late": (8.0, 10.0)},
    thresholds=("healthy.latency.p99 < 0.25",),
)


def histogram(*durations: float) -> Histogram:
    found = Histogram()
    for duration in durations:
        found.record(duration)
    return found


def client(name: str, cohort: str, received: int, **more: Any) -> ClientRecord:
    fields = {
        "connected_at": 1.0,
        "received": received,
        "received_bytes": 300 * received,
        "first": 0,
        "expected": received,
    }
    return ClientRecord(name=name, cohort=cohort, **{**fields, **more})


def series(per_second: int, *, until: float = ENDS, late: float = 0.003) -> dict[int, Histogram]:
    return {
        second: histogram(*[late + n * 0.0001 for n in range(per_second)])
        for second in range(int(BEGINS), int(until))
    }


def samples() -> list[ServerSample]:
    return [
        ServerSample(
            at=at / 2,
            connections=6 if at < 14 else 4,
            clients=6 if at < 10 else 3,
            memory_bytes=50_000_000 + at * 1_000,
            cpu_seconds=0.1 * at,
            tasks=9,
            loop_lag=0.002,
        )
        for at in range(2, 26)
    ]


def record(**changes: Any) -> Record:
    clients = [client(f"healthy-{n}.t", "healthy", 100) for n in (1, 2, 3)]
    clients += [client(f"stalled-{n}.t", "stalled", 30, faulty_at=TURNS) for n in (1, 2)]
    clients.append(
        client(
            "dead-1.t",
            "dead",
            30,
            faulty_at=TURNS,
            closed_at=TURNS,
            closed_code=1006,
            closed_reason="reset by this client",
            released=True,
        )
    )
    server = ServerRecord(
        url="ws://127.0.0.1:1/ws",
        manager="flock_ws.manager:WebSocketManager",
        started_here=True,
        tuned=True,
        offers_evictions=True,
        offers_connections=True,
        offers_pool=True,
        evictions=[
            EvictionRecord(
                client=f"stalled-{n}.t", reason="send_timeout", code=1013, at=7.0 + n, gone_at=9.5
            )
            for n in (1, 2)
        ],
        presences=[PresenceRecord(client="dead-1.t", seen_at=1.0, gone_at=5.25)],
        samples=samples(),
    )
    fields: dict[str, Any] = {
        "scenario": SCENARIO.to_json(),
        "command": "flock-ws load --scenario storm",
        "began": "2030-01-02T03:04:05+00:00",
        "environment": {"python": "3.11.9", "system": "Linux", "cpus": 2, "versions": {"a": "1"}},
        "server": server,
        "publisher": PublisherRecord(
            started_at=BEGINS, ended_at=ENDS, due=100, sent=100, accepted=100, requests=100
        ),
        "publishing": (BEGINS, ENDS),
        "faults_at": TURNS,
        "ended_at": 13.0,
        "results": GeneratorResults(
            clients=clients,
            series={"healthy": series(30), "stalled": series(20, until=TURNS)},
            spread=histogram(0.001, 0.002),
            generator=GeneratorRecord(
                lag=histogram(0.0005, 0.004), cpu=0.13, messages=390, loop="uvloop.Loop"
            ),
        ),
    }
    return Record(**{**fields, **changes})


def answer(key: str, verdict: Verdict, *, reason: str = "", seen: str = "3 of 3") -> Answer:
    return Answer(
        key=key,
        question=f"Was {key} kept?",
        expected="all",
        seen=seen,
        verdict=verdict,
        reason=reason,
    )


@pytest.fixture
def kept() -> Run:
    """A run in which every promise was kept."""
    answers = (answer("healthy.spared", Verdict.PASS), answer("zombies", Verdict.NOT_OFFERED))
    return Run(record(), Judgement(answers))


@pytest.fixture
def broken() -> Run:
    """A run in which the manager stood still: nobody dropped, half of the events never came."""
    one = record()
    one.server.manager = HOSTILE
    one.command = f"flock-ws load --manager '{HOSTILE}'"
    one.server.evictions, one.server.presences = [], []
    for client_ in one.results.clients:
        if client_.cohort == "healthy":
            client_.received = client_.expected = 50
    one.results.series["healthy"] = series(30, until=7.0, late=0.4)
    one.server.died_at, one.server.death = 11.0, HOSTILE
    answers = (
        answer("evicted.stalled", Verdict.FAIL, reason=f"never evicted {HOSTILE}", seen="0 of 2"),
        answer("run.load", Verdict.INCONCLUSIVE, reason="too short"),
        answer("healthy.spared", Verdict.PASS),
        answer("zombies", Verdict.NOT_OFFERED),
    )
    return Run(one, Judgement(answers))
