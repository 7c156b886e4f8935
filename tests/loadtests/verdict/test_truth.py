"""The server's own record against what the clients saw."""

from typing import Any

from loadtests.answers import Verdict
from loadtests.record import EvictionRecord, Record
from loadtests.verdict import judge


def test_a_close_for_a_policy_without_an_eviction_on_record_is_a_contradiction(small: Any) -> None:
    record = small.kept()
    small.of(record, "healthy-1").closed_at = 9.5
    small.of(record, "healthy-1").closed_code = 1013
    assert small.answer(record, "truth").reason == (
        "the server's record and the clients contradict each other:"
        " healthy-1: closed with 1013, and no eviction is on record"
    )


def test_another_code_than_the_one_on_record_is_a_contradiction(small: Any) -> None:
    record = small.kept()
    small.of(record, "stalled-1").released = False
    small.of(record, "stalled-1").closed_at = 24.0
    small.of(record, "stalled-1").closed_code = 1008
    assert "evicted with 1013, and it saw 1008" in small.answer(record, "truth").reason


def test_an_evicted_reader_whose_connection_never_ended_is_a_contradiction(small: Any) -> None:
    record = small.kept()
    record.server.evictions.append(EvictionRecord(client="healthy-2", reason="no_pong", at=9.5))
    found = small.answer(record, "truth")
    assert found.verdict is Verdict.FAIL
    assert "evicted for no_pong, and its connection never ended" in found.seen


def test_a_client_that_does_not_read_cannot_contradict(small: Any) -> None:
    record = small.kept()
    small.of(record, "stalled-1").released = False
    assert small.answer(record, "truth").verdict is Verdict.PASS


def told(record: Record, *, published: int, delivered: int) -> Record:
    record.server.started_here = True
    record.server.samples[-1].published = published
    record.server.samples[-1].delivered = delivered
    return record


def test_counters_that_fit_what_came_agree(small: Any) -> None:
    record = told(small.kept(), published=small.due, delivered=2 * small.due + 1_500)
    assert small.answer(record, "truth").verdict is Verdict.PASS


def test_fewer_events_on_record_than_were_accepted_are_a_contradiction(small: Any) -> None:
    record = told(small.kept(), published=small.due - 1, delivered=2 * small.due + 1_500)
    assert "it counts 1 999 events and accepted 2 000" in small.answer(record, "truth").reason


def test_fewer_deliveries_on_record_than_were_received_are_a_contradiction(small: Any) -> None:
    record = told(small.kept(), published=small.due, delivered=small.due)
    assert "it counts 2 000 deliveries, 5 500 were received" in small.answer(record, "truth").reason


def test_counters_of_a_run_that_was_cut_short_are_not_compared(small: Any) -> None:
    record = told(small.kept(), published=small.due - 1, delivered=small.due)
    record.interrupted_at = 15.0
    assert small.answer(record, "truth").verdict is Verdict.PASS


def test_without_a_record_of_the_servers_there_is_nothing_to_compare(small: Any) -> None:
    assert "truth" not in [answer.key for answer in judge(small.outside()).answers]
