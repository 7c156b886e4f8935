"""What follows from all answers together."""

from typing import Any

from loadtests.answers import Answer, Verdict
from loadtests.record import Block, EvictionRecord, Record
from loadtests.verdict import Judgement, judge


def test_a_run_in_which_all_was_kept_passes_with_exit_code_0(small: Any) -> None:
    judgement = judge(small.kept())
    assert {answer.verdict for answer in judgement.answers} == {Verdict.PASS}
    assert (judgement.exit_code, judgement.reasons) == (0, ())
    assert judgement.line == "PASS: 14 questions answered as expected"


def test_the_record_comes_back_from_its_json_form_with_the_same_verdict(small: Any) -> None:
    record = small.kept()
    again = Record.model_validate_json(record.model_dump_json())
    assert judge(again).to_json() == judge(record).to_json()


def test_a_broken_promise_beats_an_open_question(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "slow-1", "stalled-1")
    record.publishing = (small.start, small.faults + 2.0)
    record.results.clients[1] = small.client("healthy-2", duplicates=1)
    judgement = judge(record)
    assert (judgement.exit_code, judgement.reasons) == (
        1,
        ("healthy clients got 1 events twice",),
    )


def test_a_manager_that_waits_for_all_gives_its_reasons_in_order_of_weight(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "slow-1", "stalled-1")
    assert record.publisher is not None
    record.publisher.longest = 12.0
    record.publisher.blocks = [Block(at=11.0, seconds=12.0, returned=False)]
    for index in (0, 1):
        record.results.clients[index] = small.client(f"healthy-{index + 1}", expected=600)
    assert judge(record).line == (
        "FAIL: stalled and slow clients were never evicted;"
        " the publisher was blocked for 12 s (asked: < 1);"
        " healthy clients missed up to 1 400 of 2 000 events;"
        " healthy.latency.p99 was never (asked: < 0.25); and 1 more"
    )


def test_connections_that_never_go_weigh_more_than_an_eviction_that_came_late(small: Any) -> None:
    record = small.kept()
    small.leave_alone(record, "stalled-1")
    late = EvictionRecord(client="stalled-1", reason="send_timeout", at=small.faults + 7.2)
    record.server.evictions.append(late)
    record.results.clients[0] = small.client("healthy-1", duplicates=1)
    assert judge(record).reasons == (
        "1 evicted clients still had their connection at the end",
        "stalled clients were evicted too late: after 7.2 s, 6.0 s were allowed",
        "healthy clients got 1 events twice",
    )


def test_what_is_not_offered_is_said_beside_a_pass() -> None:
    offered = Answer(key="a", question="?", expected="", seen="", verdict=Verdict.PASS)
    absent = Answer(key="b", question="?", expected="", seen="", verdict=Verdict.NOT_OFFERED)
    judgement = Judgement((offered, absent))
    assert judgement.line == (
        "PASS: 1 questions answered as expected, 1 not offered by this server"
    )
