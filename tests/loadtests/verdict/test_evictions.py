"""Who is out of the pool, by whose doing, in time, and what is left of it."""

from typing import Any

import pytest

from loadtests.answers import Verdict
from loadtests.cohorts import Cohort
from loadtests.record import EvictionRecord, PresenceRecord, Record, ServerSample
from loadtests.verdict import judge

# Evictions


@pytest.mark.parametrize("cohort", ["slow", "stalled"])
def test_a_client_that_is_never_evicted_fails(small: Any, cohort: str) -> None:
    record = small.kept()
    small.leave_alone(record, f"{cohort}-1")
    found = small.answer(record, f"evicted.{cohort}")
    assert (found.verdict, found.reason) == (
        Verdict.FAIL,
        f"{cohort} clients were never evicted",
    )


def test_an_eviction_after_the_limit_fails(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "stalled-1")
    late = EvictionRecord(
        client="stalled-1", reason="send_timeout", at=small.faults + 7.2, gone_at=15.5
    )
    record.server.evictions.append(late)
    found = small.answer(record, "evicted.stalled")
    assert found.reason == "stalled clients were evicted too late: after 7.2 s, 6.0 s were allowed"


def test_a_lagging_client_that_the_server_drops_in_place_of_the_manager_fails(small: Any) -> None:
    record = small.kept()
    record.server.evictions = [one for one in record.server.evictions if one.client != "stalled-1"]
    found = small.answer(record, "evicted.stalled")
    assert found.verdict is Verdict.FAIL
    assert "dropped by the server, not for lagging" in found.reason


def test_an_eviction_for_another_reason_than_lag_fails(small: Any) -> None:
    record = small.kept()
    record.server.evictions[0].reason = "no_pong"
    assert "dropped by no_pong" in small.answer(record, "evicted.slow").reason


def test_a_run_too_short_to_fill_the_pipe_is_inconclusive_with_exit_code_3(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "slow-1", "stalled-1")
    record.publishing = (small.start, small.faults + 2.0)
    judgement = judge(record)
    assert judgement.exit_code == 3
    assert "events came for only 2.0 s after stalled clients stopped reading" in judgement.line
    assert "try --duration 10" in judgement.line


@pytest.mark.parametrize(("lasted", "verdict"), [(2.0, Verdict.INCONCLUSIVE), (15.0, Verdict.FAIL)])
@pytest.mark.parametrize("text", ["evicted.stalled.fraction == 1", "evicted.stalled.max < 5"])
def test_a_threshold_on_evictions_is_held_against_no_run_that_was_too_short(
    small: Any, text: str, lasted: float, verdict: Verdict
) -> None:
    record = small.kept(small.scenario.changed(thresholds=(text,)))
    small.leave_alone(record, "stalled-1")
    record.publishing = (small.start, small.faults + lasted)
    found = small.answer(record, text)
    assert found.verdict is verdict
    short = verdict is Verdict.INCONCLUSIVE
    assert ("the run was too short for that" in found.reason) is short


def test_a_run_that_somebody_ended_early_is_not_advised_to_last_longer(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "stalled-1")
    record.publishing, record.interrupted_at = (small.start, small.faults + 2.0), 10.0
    found = small.answer(record, "evicted.stalled")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.endswith("stopped reading, and 6.0 s are needed")


def test_who_was_evicted_in_a_short_run_was_evicted_all_the_same(small: Any) -> None:
    record = small.kept()
    record.publishing = (small.start, small.faults + 4.5)
    assert small.answer(record, "evicted.stalled").verdict is Verdict.PASS


def test_a_dead_client_that_stays_in_the_pool_fails(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "dead-1")
    assert small.answer(record, "evicted.dead").reason == "dead clients were never evicted"


def test_the_end_of_its_endpoint_takes_a_dead_client_out_of_the_pool(small: Any) -> None:
    assert "endpoint ended x1" in small.answer(small.kept(), "evicted.dead").seen


def test_a_manager_that_tells_no_reasons_is_judged_by_its_pool(small: Any) -> None:
    record = small.kept()
    record.server.offers_evictions = False
    record.server.evictions = []
    found = small.answer(record, "evicted.stalled")
    assert found.verdict is Verdict.PASS
    assert "the manager gives no reasons" in found.seen


def test_the_expectation_shows_the_computed_bytes_of_the_pipe(small: Any) -> None:
    assert (
        "106 496 bytes fill the pipe in 3.5 s"
        in small.answer(small.kept(), "evicted.stalled").expected
    )


def test_a_cohort_without_clients_raises_no_question(small: Any) -> None:
    record = small.kept(small.scenario.changed(clients={"slow": 0}))
    record.results.clients = [one for one in record.results.clients if one.cohort != "slow"]
    assert "evicted.slow" not in [answer.key for answer in judge(record).answers]


# From outside


def test_from_outside_a_found_end_is_an_eviction_at_an_unknown_time(small: Any) -> None:
    record = small.outside()
    small.of(record, "stalled-1").closed_at = 24.0
    found = small.answer(record, "evicted.stalled")
    assert found.verdict is Verdict.PASS
    assert "when and why cannot be seen" in found.seen


def test_from_outside_a_short_run_is_inconclusive(small: Any) -> None:
    assert small.answer(small.outside(), "evicted.stalled").verdict is Verdict.INCONCLUSIVE


def test_from_outside_who_still_stands_after_reading_again_was_never_evicted(small: Any) -> None:
    record = small.outside()
    record.publishing = (small.start, 1_000.0)
    record.ended_at = 40.0
    small.of(record, "stalled-1").looked_again = True
    assert small.answer(record, "evicted.stalled").reason == "stalled clients were never evicted"


def test_from_outside_a_slow_reader_that_has_not_read_that_far_tells_nothing(small: Any) -> None:
    record = small.outside()
    record.publishing = (small.start, 1_000.0)
    record.ended_at = 40.0
    assert small.answer(record, "evicted.slow").verdict is Verdict.NOT_OFFERED


@pytest.mark.parametrize("key", ["evicted.dead", "publisher", "zombies"])
def test_what_cannot_be_seen_from_outside_is_not_offered(small: Any, key: str) -> None:
    assert small.answer(small.outside(), key).verdict is Verdict.NOT_OFFERED


def test_when_somebody_else_publishes_the_rate_is_what_was_seen(small: Any) -> None:
    record = small.outside()
    record.server.tuned = True
    for name in ("healthy-1", "healthy-2"):
        small.of(record, name).received = 100
        small.of(record, name).received_bytes = 30_000
    found = small.answer(record, "evicted.slow")
    # Over 23.5 s that is a rate below the 1 000 bytes/s above which a slow reader falls behind.
    for name in ("healthy-1", "healthy-2"):
        small.of(record, name).received_bytes = 15_000
    assert "fill the pipe in" in found.expected
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "655 bytes/s are too few" in small.answer(record, "evicted.slow").reason


# Heartbeats


def silent(small: Any, *, manager: str = "flock_ws.manager:WebSocketManager") -> Record:
    """Return a run with a client that came to answer no ping, and was not dropped for it."""
    server = {"heartbeat_interval": 1.0, "pong_timeout": 2.0}
    cohorts = (*small.scenario.cohorts, Cohort(name="never_pongs", user="never_pongs", count=1))
    record: Record = small.kept(small.scenario.changed(cohorts=cohorts, server=server))
    record.server.manager, record.server.started_here = manager, True
    record.results.clients.append(small.client("never_pongs-1"))
    return record


def test_a_client_that_answers_no_ping_and_stays_fails(small: Any) -> None:
    found = small.answer(silent(small), "evicted.never_pongs")
    assert found.reason == "never_pongs clients were never evicted"
    assert "heartbeat interval 1 s, pong timeout 2 s" in found.expected


def test_a_foreign_manager_that_pings_nobody_cannot_tell(small: Any) -> None:
    found = small.answer(silent(small, manager="theirs:Manager"), "evicted.never_pongs")
    assert (found.verdict, found.seen) == (Verdict.NOT_OFFERED, "no ping was seen")


def test_a_foreign_manager_that_pings_is_held_to_it(small: Any) -> None:
    record = silent(small, manager="theirs:Manager")
    record.results.ping_intervals = small.latencies(1.0)
    assert small.answer(record, "evicted.never_pongs").verdict is Verdict.FAIL


def test_a_server_that_was_there_already_is_not_held_to_the_scenarios_heartbeat(small: Any) -> None:
    record = silent(small)
    record.server.started_here = False
    assert small.answer(record, "evicted.never_pongs").verdict is Verdict.NOT_OFFERED


def test_a_keepalive_that_drops_them_in_place_of_the_manager_fails(small: Any) -> None:
    record = silent(small)
    left = PresenceRecord(client="never_pongs-1", seen_at=1.0, gone_at=small.faults + 3)
    record.server.presences.append(left)
    reason = small.answer(record, "evicted.never_pongs").reason
    assert reason == "never_pongs clients were dropped by the server, not for their missing pongs"


# What is left


def test_an_evicted_client_whose_connection_stays_is_a_zombie(small: Any) -> None:
    record = small.kept()
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = None
    assert small.answer(record, "zombies").reason == (
        "1 evicted clients still had their connection at the end"
    )


def test_a_connection_that_goes_late_fails(small: Any) -> None:
    record = small.kept()
    record.server.evictions[1].gone_at = small.left["stalled"] + 5
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = small.left["stalled"] + 5
    assert "stayed for 5.0 s" in small.answer(record, "zombies").reason


def test_an_eviction_just_before_the_end_leaves_the_question_open(small: Any) -> None:
    record = small.kept()
    record.server.evictions[1].at = 23.5
    record.server.evictions[1].gone_at = None
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = None
    assert small.answer(record, "zombies").verdict is Verdict.INCONCLUSIVE


def watched(record: Record, *, tasks_at_the_end: int) -> Record:
    """Let the server tell of its tasks: four by itself, and two for each connection."""
    told = [(0.0, 0, 4), (2.0, 5, 14), (7.5, 5, 14), (20.0, 2, tasks_at_the_end + 1)]
    told += [(at, 2, tasks_at_the_end) for at in (23.5, 24.0)]
    record.server.started_here = True
    record.server.samples = [
        ServerSample(at=at, connections=connections, clients=connections, closing=0, tasks=tasks)
        for at, connections, tasks in told
    ]
    return record


def test_tasks_that_went_with_their_clients_are_none_too_many(small: Any) -> None:
    found = small.answer(watched(small.kept(), tasks_at_the_end=8), "zombies")
    assert found.verdict is Verdict.PASS
    assert found.seen.endswith("2 connections left, 2 healthy clients, 8 tasks")


def test_tasks_that_outlive_their_clients_fail(small: Any) -> None:
    found = small.answer(watched(small.kept(), tasks_at_the_end=11), "zombies")
    assert found.verdict is Verdict.FAIL
    assert found.reason == (
        "3 of the server's tasks were left over at the end,"
        " of 3 evicted clients whose connections are gone"
    )


def test_a_task_more_than_before_may_be_anybodys(small: Any) -> None:
    record = watched(small.kept(), tasks_at_the_end=10)
    assert small.answer(record, "zombies").verdict is Verdict.PASS


def test_tasks_are_left_over_only_of_somebody_who_was_evicted(small: Any) -> None:
    record = watched(small.kept(), tasks_at_the_end=40)
    small.leave_alone(record, *(one.name for one in record.results.clients))
    assert small.answer(record, "zombies").verdict is Verdict.PASS


def test_the_tasks_of_a_server_that_others_use_say_nothing(small: Any) -> None:
    record = watched(small.kept(), tasks_at_the_end=40)
    record.server.started_here = False
    assert small.answer(record, "zombies").verdict is Verdict.PASS
