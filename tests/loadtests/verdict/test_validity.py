"""Whether a run can tell at all: its machine, its server, its generator."""

from typing import Any

import pytest

from loadtests.answers import Verdict
from loadtests.cohorts import Cohort
from loadtests.histogram import Histogram
from loadtests.record import ClientRecord, EvictionRecord, HistoryReading, Record, ServerSample
from loadtests.verdict import judge

SLOW_LOOP = Histogram()
SLOW_LOOP.record_all([0.3] * 200)


# A machine that is busy with something else


def busy(record: Record) -> Record:
    """Let the server have waited for a core for 40 % of the time."""
    samples = [
        ServerSample(at=at / 4, connections=2, clients=2, closing=0, waited=at / 10)
        for at in range(97)
    ]
    record.server.samples = samples
    return record


def test_what_came_late_on_a_busy_machine_is_nobodys_fault(small: Any) -> None:
    record = busy(small.kept())
    record.results.series["healthy"][10] = small.latencies(0.9)
    found = small.answer(record, small.latency)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "but the machine had no core free for the server (40% of the time)" in found.reason


def test_what_was_in_time_on_a_busy_machine_was_in_time(small: Any) -> None:
    assert judge(busy(small.kept())).verdict is Verdict.PASS


def test_a_late_eviction_on_a_busy_machine_leaves_the_question_open(small: Any) -> None:
    record = busy(small.kept())
    small.leave_alone(record, "stalled-1")
    late = EvictionRecord(
        client="stalled-1", reason="send_timeout", at=small.faults + 7.2, gone_at=15.5
    )
    record.server.evictions.append(late)
    assert small.answer(record, "evicted.stalled").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("changes", [{"gaps": 3}, {"duplicates": 1}, {"disordered": 2}])
def test_what_was_lost_on_a_busy_machine_was_lost_all_the_same(
    small: Any, changes: dict[str, Any]
) -> None:
    record = busy(small.kept())
    record.results.clients[1] = small.client("healthy-2", **changes)
    assert small.answer(record, "healthy.complete").verdict is Verdict.FAIL


def test_a_client_that_is_never_evicted_stays_so_on_a_busy_machine(small: Any) -> None:
    record = busy(small.kept())
    small.leave_alone(record, "stalled-1")
    assert small.answer(record, "evicted.stalled").verdict is Verdict.FAIL


# The run itself


def test_a_server_that_died_is_the_first_reason_and_takes_its_consequences_with_it(
    small: Any,
) -> None:
    record = small.kept()
    record.server.died_at, record.server.death = 12.0, "its process ended with signal 9"
    record.publishing = (small.start, 12.0)
    assert record.publisher is not None
    record.publisher.refusals = {"ConnectionRefusedError": 4}
    small.leave_alone(record, "slow-1", "stalled-1")
    for one in record.results.clients[:2]:
        one.expected, one.closed_at = 900, 12.0
    judgement = judge(record)
    assert judgement.exit_code == 1
    assert judgement.reasons == (
        "the server died 12 s into the run: its process ended with signal 9",
    )


def test_a_client_that_never_connected_makes_the_run_inconclusive(small: Any) -> None:
    record = small.kept()
    record.results.clients[1] = ClientRecord(name="healthy-2", cohort="healthy", error="refused")
    assert small.answer(record, "run.load").reason == "1 of 5 clients never connected: refused"


def test_an_interrupted_run_is_inconclusive_and_says_when(small: Any) -> None:
    record = small.kept()
    record.interrupted_at = 15.0
    assert judge(record).exit_code == 3
    assert "interrupted 15 s into it" in judge(record).line


def test_what_was_due_when_a_run_was_cut_short_is_not_missed(small: Any) -> None:
    record = small.kept()
    record.interrupted_at = 15.0
    assert record.publisher is not None
    record.publisher.due = small.due + 1
    assert small.answer(record, "healthy.complete").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lag": SLOW_LOOP}, "the load generator was the bottleneck: its loop lagged 300 ms"),
        ({"cpu": 0.97}, "the load generator was the bottleneck: it used 97% of a core"),
        ({"error": "it was killed"}, "the load generator failed: it was killed"),
    ],
)
def test_a_generator_in_trouble_withdraws_what_it_measured(
    small: Any, changes: dict[str, Any], reason: str
) -> None:
    record = small.kept()
    record.results.generator = record.results.generator.model_copy(update=changes)
    record.results.series["healthy"][10] = small.latencies(0.9)
    judgement = judge(record)
    assert small.answer(record, small.latency).verdict is Verdict.INCONCLUSIVE
    assert judgement.exit_code == 3
    assert reason in judgement.line


def test_a_late_publisher_of_our_own_withdraws_latency_too(small: Any) -> None:
    record = small.kept()
    assert record.publisher is not None
    record.publisher.late = 0.4
    assert (
        "the publisher's own timer was 400 ms late" in small.answer(record, "run.generator").reason
    )


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ("heartbeat.pings >= 100", Verdict.INCONCLUSIVE),
        ("heartbeat.pings >= 40", Verdict.FAIL),
        ("history.readings >= 60", Verdict.INCONCLUSIVE),
        ("history.readings >= 30", Verdict.FAIL),
        ("history.size_end == 2_500", Verdict.INCONCLUSIVE),
        ("history.size_end == 1_500", Verdict.FAIL),
        ("history.size_end == 900", Verdict.FAIL),
    ],
)
def test_what_no_run_of_that_length_can_count_is_held_against_nobody(
    small: Any, asked: str, verdict: Verdict
) -> None:
    reader = Cohort(name="reader", user="history_reader", count=1, options={"interval": 0.5})
    cohorts, server = (*small.scenario.cohorts, reader), {"heartbeat_interval": 1.0}
    scenario = small.scenario.changed(cohorts=cohorts, server=server, thresholds=(asked,))
    record = small.kept(scenario)
    # 24.5 s with three who read pings, 21.5 s of them with one who reads the history.
    record.results.ping_intervals.record_all([1.0] * 30)
    record.results.history = [
        HistoryReading(client="reader-1", at=3.0 + number, status=200, total=1_000)
        for number in range(20)
    ]
    found = small.answer(record, asked)
    assert found.verdict is verdict
    short = verdict is Verdict.INCONCLUSIVE
    assert found.reason.endswith(", but the run was too short for that") is short
