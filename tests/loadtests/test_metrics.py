"""What each metric reads off records made by hand."""

import math
from typing import Any

import pytest

from loadtests import lookup, metrics
from loadtests.asked import Unknown
from loadtests.bounds import check
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.errors import ThresholdError
from loadtests.histogram import Histogram
from loadtests.record import (
    ClientRecord,
    EvictionRecord,
    GeneratorRecord,
    GeneratorResults,
    HistoryReading,
    PresenceRecord,
    PublisherRecord,
    Record,
    ReturnRecord,
    ServerRecord,
    ServerSample,
)
from loadtests.scenario import Scenario
from loadtests.thresholds import Reference

START, TURN, END = 3.0, 8.0, 23.0
SCENARIO = Scenario(
    name="small",
    proves="what is read",
    cohorts=(
        Cohort(name="healthy", user="viewer", count=1),
        Cohort(name="late", user="viewer", count=1, joins=1.0),
        Cohort(name="stalled", user="stalled", count=2),
        Cohort(name="crowd", user="flapping", count=1),
        Cohort(name="readers", user="history_reader", count=1),
        Cohort(name="nobody", user="pulsing", count=0),
    ),
    duration=20.0,
    baseline=5.0,
    windows={"last": (15.0, 20.0)},
    server={"heartbeat_interval": 1.0, "pong_timeout": 2.0, "history_limit": 50},
)


def durations(*seconds: float, times: int = 50) -> Histogram:
    histogram = Histogram()
    for one in seconds:
        for _ in range(times):
            histogram.record(one)
    return histogram


def client(name: str, cohort: str, **changes: Any) -> ClientRecord:
    fields: dict[str, Any] = {"connected_at": 1.0, "connect_time": 0.02, "first": 0}
    fields |= {"expected": 2_000, "received": 2_000}
    return ClientRecord(name=name, cohort=cohort, **(fields | changes))


def recorded() -> Record:
    return Record(
        scenario=SCENARIO.to_json(),
        server=ServerRecord(
            url="ws://127.0.0.1:1/ws",
            manager="flock_ws.manager:WebSocketManager",
            offers_evictions=True,
            offers_connections=True,
            offers_pool=True,
            evictions=[EvictionRecord(client="s1", reason="send_timeout", code=1013, at=11.0)],
            presences=[PresenceRecord(client="s1", seen_at=1.0, gone_at=11.5)],
            samples=[
                ServerSample(at=at, memory_bytes=1_000 + 10 * at, tasks=5, cpu_seconds=at / 4)
                for at in range(24)
            ],
        ),
        publisher=PublisherRecord(
            started_at=START, ended_at=END, due=2_000, sent=2_000, accepted=1_990, longest=0.4,
            refusals={"500: no": 10},
        ),
        publishing=(START, END),
        faults_at=TURN,
        ended_at=24.0,
        results=GeneratorResults(
            clients=[
                client("h1", "healthy"),
                client("l1", "late", connected_at=4.0, first=120, received=1_880, duplicates=2),
                client("s1", "stalled", faulty_at=TURN, closed_at=23.5, closed_code=1013),
                client("s2", "stalled", faulty_at=TURN, released=True),
                client(
                    "c1",
                    "crowd",
                    faulty_at=TURN,
                    returns=[
                        ReturnRecord(dropped_at=8.0, back_at=9.5, served_at=9.6),
                        ReturnRecord(dropped_at=12.0, back_at=13.0, served_at=14.0),
                        ReturnRecord(dropped_at=22.9),
                    ],
                ),
                client("r1", "readers"),
            ],
            series={
                "healthy": {3: durations(0.001), 10: durations(0.01), 20: durations(0.1)},
                "late": {20: durations(0.3, times=150)},
            },
            spread=durations(0.002),
            generator=GeneratorRecord(lag=durations(0.003), cpu=0.25, messages=123),
            ping_intervals=durations(1.0),
            ping_jitter=durations(0.01),
            history=[
                HistoryReading(
                    client="r1", at=at, status=200, events=40, total=50, seconds=0.02,
                    newest=round((at - START) * 100) - 5, known=round((at - START) * 100) - 6,
                )
                for at in range(5, 23)
            ],
        ),
    )  # fmt: skip


def read(text: str, record: Record | None = None) -> float:
    name, _, window = text.partition("[")
    case = Case.of(record or recorded())
    return lookup.read(Reference(name, window.rstrip("]") or None), case)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("healthy.latency.p50[baseline]", 0.001),
        ("healthy.latency.p99[faults]", 0.3),
        ("healthy.latency.p50[last]", 0.3),
        ("healthy.latency.max", 0.3),
        ("late.latency.mean", 0.3),
        ("healthy.spread.p99", 0.002),
        ("healthy.received", 3_880),
        ("late.duplicated", 2),
        ("healthy.lost", 0),
        ("healthy.clients", 2),
        ("healthy.rate[last]", 40.0),
        ("evicted.stalled.fraction", 0.5),
        ("evicted.stalled.count", 1),
        ("evicted.stalled.p50", 3.0),
        ("evicted.stalled.max", math.inf),
        ("evicted.stalled.gone_max", 0.5),
        ("evicted.crowd.count", 0),
        ("publisher.block_max", 0.4),
        ("publisher.sent", 2_000),
        ("publisher.accepted", 1_990),
        ("publisher.refused", 10),
        ("heartbeat.pings", 50),
        ("heartbeat.interval_p50", 1.0),
        ("heartbeat.jitter_p99", 0.01),
        ("history.readings", 18),
        ("history.failed", 0),
        ("history.size_max", 50),
        ("history.size_end", 50),
        ("history.stale", 0),
        ("history.torn", 0),
        ("history.behind_max", 0.05),
        ("history.p99", 0.02),
        ("reconnect.crowd.back_fraction", 1.0),
        ("reconnect.crowd.back_max", 1.5),
        ("reconnect.crowd.served_max", 2.0),
        ("server.memory_max", 1_230),
        ("server.memory_slope", 10.0),
        ("server.memory_growth[faults]", 80),
        ("server.tasks_end", 5),
        ("server.tasks_slope", 0.0),
        ("server.cpu", 0.25),
        ("generator.lag_p99", 0.003),
        ("generator.cpu", 0.25),
        ("generator.messages", 123),
        ("connect.p99", 0.02),
        ("connect.failed", 0),
        ("closes.code_1013", 1),
        ("closes.unexpected", 1),
    ],
)
def test_a_metric_is_read_off_the_record(name: str, value: float) -> None:
    assert read(name) == pytest.approx(value, rel=0.01, abs=1e-6)


def test_what_never_came_is_later_than_everything() -> None:
    record = recorded()
    record.results.clients[0] = client("h1", "healthy", expected=1_000)
    assert read("healthy.latency.p99", record) == math.inf
    assert read("healthy.latency.p99[baseline]", record) == pytest.approx(0.001, rel=0.01)


def test_a_history_without_what_its_reader_had_received_is_stale() -> None:
    record = recorded()
    record.results.history[3].newest = 10
    assert read("history.stale", record) == 1


@pytest.mark.parametrize(
    ("name", "reason", "verdict"),
    [
        ("crowd.latency.p99", "only 0 pushes were timed", "INCONCLUSIVE"),
        ("healthy.latency.p99[quiet]", "only 0 pushes were timed in the window", "INCONCLUSIVE"),
        ("evicted.nobody.fraction", "this run has no such clients", "NOT OFFERED"),
        ("evicted.readers.max", "nobody came to misbehave", "INCONCLUSIVE"),
        ("reconnect.stalled.back_max", "nobody dropped its connection", "INCONCLUSIVE"),
        ("capacity.clients", "the scenario searches no capacity", "NOT OFFERED"),
        ("server.lag_bytes_max", "the server does not tell", "NOT OFFERED"),
    ],
)
def test_what_a_run_does_not_tell_is_unknown_and_never_zero(
    name: str, reason: str, verdict: str
) -> None:
    record = recorded()
    record.scenario["windows"]["quiet"] = (12.5, 14.5)
    with pytest.raises(Unknown, match=reason) as caught:
        read(name, record)
    assert caught.value.verdict == verdict


@pytest.mark.parametrize(
    "name", ["evicted.stalled.fraction", "evicted.stalled.max", "evicted.stalled.gone_max"]
)
def test_a_server_that_tells_nothing_offers_no_evictions(name: str) -> None:
    record = recorded()
    record.server = ServerRecord(url="ws://there/ws")
    with pytest.raises(Unknown) as caught:
        read(name, record)
    assert caught.value.verdict == "NOT OFFERED"


def test_a_run_that_only_listened_knows_no_publisher() -> None:
    record = recorded()
    record.publisher = None
    with pytest.raises(Unknown, match="only listened"):
        read("publisher.sent", record)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("healthy.latency.p98 < 1", "no metric 'healthy.latency.p98'; near it: healthy.latency.p9"),
        ("wobbly.latency.p99 < 1", r"small has no cohort 'wobbly' \(there are: healthy, late"),
        ("healthy.latency.p99[soon] < 1", r"no window 'soon' \(there are: last, all, baseline"),
        ("publisher.sent[last] > 1", "is of the whole run: it has no windows"),
        ("closes.code_13 == 0", "no metric 'closes.code_13'"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(text: str, message: str) -> None:
    with pytest.raises(ThresholdError, match=message):
        check(SCENARIO.changed(thresholds=(text,)))


def test_names_are_unique_and_each_says_what_it_is() -> None:
    names = [metric.name for metric in metrics.METRICS]
    assert len(names) == len(set(names))
    assert all(metric.summary for metric in metrics.METRICS)


def test_all_that_a_run_tells_is_told_with_its_unit() -> None:
    told = {name: (value, unit) for name, value, unit in lookup.told(Case.of(recorded()))}
    assert told["publisher.block_max"] == (0.4, "s")
    assert told["evicted.stalled.fraction"] == (0.5, "share")
    assert "capacity.clients" not in told
