"""What the healthy got, and how late; and whether every publication went through."""

from typing import Any

import pytest

from loadtests.answers import Verdict
from loadtests.record import Block, EvictionRecord

# The publisher


def test_a_publisher_that_was_blocked_to_the_end_fails_and_says_for_how_long(small: Any) -> None:
    record = small.kept()
    assert record.publisher is not None
    record.publisher.longest = 21.4
    record.publisher.blocks = [Block(at=9.0, seconds=21.4, returned=False)]
    assert (
        small.answer(record, small.block).reason
        == "the publisher was blocked for 21 s (asked: < 1)"
    )


def test_a_publication_that_never_returned_fails_where_no_threshold_says_so(small: Any) -> None:
    record = small.kept(small.scenario.changed(thresholds=(small.latency,)))
    assert record.publisher is not None
    record.publisher.longest = 21.4
    record.publisher.blocks = [Block(at=9.0, seconds=21.4, returned=False)]
    reason = small.answer(record, "publisher").reason
    assert reason == "the publisher was blocked for 21 s, until the run ended"


def test_a_refused_publication_fails_with_the_answer(small: Any) -> None:
    record = small.kept()
    assert record.publisher is not None
    record.publisher.refusals = {"500: boom": 3}
    assert small.answer(record, "publisher").reason == "3 events were refused with 500: boom"


# The healthy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gaps": 3}, "healthy clients missed up to 3 of 2 000 events"),
        ({"expected": 166}, "healthy clients missed up to 1 834 of 2 000 events"),
        ({"first": 4}, "healthy clients missed up to 4 of 2 000 events"),
        ({"first": None, "expected": 0}, "healthy clients missed up to 2 000 of 2 000 events"),
        ({"duplicates": 2}, "healthy clients got 2 events twice"),
        ({"disordered": 5}, "healthy clients got 5 events out of order"),
    ],
)
def test_what_a_healthy_client_did_not_get_once_and_in_order_fails(
    small: Any, changes: dict[str, Any], reason: str
) -> None:
    record = small.kept()
    record.results.clients[1] = small.client("healthy-2", **changes)
    found = small.answer(record, "healthy.complete")
    assert (found.verdict, found.reason) == (Verdict.FAIL, reason)


def test_of_a_client_that_came_late_only_what_followed_its_first_event_is_asked(small: Any) -> None:
    record = small.kept()
    record.results.clients[1] = small.client("healthy-2", connected_at=small.start + 1, first=120)
    assert small.answer(record, "healthy.complete").verdict is Verdict.PASS


def test_of_a_client_that_came_late_and_got_nothing_everything_since_is_missed(small: Any) -> None:
    record = small.kept()
    record.results.clients[1] = small.client(
        "healthy-2", connected_at=small.start + 9, first=None, expected=0, received=0
    )
    assert small.answer(record, "healthy.complete").reason == (
        "healthy clients missed up to 1 000 of 2 000 events"
    )


def test_a_message_after_the_close_fails(small: Any) -> None:
    record = small.kept()
    small.of(record, "healthy-2").after_close = 2
    assert "got 2 messages after the close" in small.answer(record, "healthy.complete").reason


def test_a_run_in_which_nothing_was_seen_is_inconclusive(small: Any) -> None:
    record = small.outside()
    for name in ("healthy-1", "healthy-2"):
        index = int(name[-1]) - 1
        record.results.clients[index] = small.client(name, first=None, expected=0, received=0)
    record.results.series = {}
    assert small.answer(record, "healthy.complete").reason == "no event was seen"
    assert small.answer(record, small.latency).verdict is Verdict.INCONCLUSIVE


def test_an_evicted_healthy_client_fails_by_name_reason_and_time(small: Any) -> None:
    record = small.kept()
    record.server.evictions.append(
        EvictionRecord(client="healthy-2", reason="send_timeout", at=9.5, gone_at=9.9)
    )
    assert small.answer(record, "healthy.spared").reason == (
        "a healthy client was dropped: healthy-2 (send_timeout, 9.5 s into the run)"
    )


def test_a_healthy_client_that_found_itself_closed_fails_also_without_the_servers_word(
    small: Any,
) -> None:
    record = small.kept()
    small.of(record, "healthy-1").closed_at = 9.5
    small.of(record, "healthy-1").closed_code = 1006
    assert "closed with 1006" in small.answer(record, "healthy.spared").reason


def test_who_is_evicted_before_it_turned_faulty_was_healthy(small: Any) -> None:
    record = small.kept()
    record.server.evictions[1].at = small.faults - 3
    assert "before it turned faulty" in small.answer(record, "healthy.spared").reason


def test_an_eviction_while_the_generator_stood_still_proves_nothing(small: Any) -> None:
    record = small.kept()
    record.server.evictions.append(
        EvictionRecord(client="healthy-2", reason="send_timeout", at=9.5, gone_at=9.9)
    )
    record.results.generator.lag.record(0.9)
    assert small.answer(record, "healthy.spared").verdict is Verdict.INCONCLUSIVE


def test_a_p99_above_the_limit_fails(small: Any) -> None:
    record = small.kept()
    record.results.series["healthy"][10] = small.latencies(0.9)
    assert small.answer(record, small.latency).reason == (
        "the p99 of the healthy latency was 900 ms (asked: < 0.25)"
    )


def test_events_that_never_came_are_later_than_any_that_did(small: Any) -> None:
    record = small.kept()
    record.results.clients[1] = small.client("healthy-2", expected=1_000)
    found = small.answer(record, small.latency)
    assert found.verdict is Verdict.FAIL
    assert found.seen.startswith("never; p50 2.0 ms, p95 never")


def test_clocks_that_differ_make_latency_inconclusive(small: Any) -> None:
    record = small.kept()
    record.results.series["healthy"] = {second: small.latencies(-0.5) for second in range(3, 23)}
    assert "the clocks" in small.answer(record, small.latency).reason


def test_a_p99_that_rises_with_the_faults_fails(small: Any) -> None:
    record = small.kept()
    for second in range(12, 15):
        record.results.series["healthy"][second] = small.latencies(0.2)
    assert small.answer(record, small.blast).reason == (
        "the p99 of the healthy latency in the window faults was 200 ms"
        " (asked: <= max(5 * healthy.latency.p99[baseline], 0.05), which is 50 ms)"
    )


def test_a_rise_from_two_to_twenty_milliseconds_is_noise(small: Any) -> None:
    record = small.kept()
    for second in range(12, 15):
        record.results.series["healthy"][second] = small.latencies(0.02)
    assert small.answer(record, small.blast).verdict is Verdict.PASS


def test_too_few_pushes_to_compare_are_inconclusive(small: Any) -> None:
    record = small.kept()
    record.results.series["healthy"] = {20: small.latencies(0.002)}
    assert (
        "only 0 pushes were timed in the window baseline"
        in small.answer(record, small.blast).reason
    )
