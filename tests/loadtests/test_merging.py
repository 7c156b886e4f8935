"""Parts of a run put together: exact, and complete."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import merging
from loadtests.histogram import Histogram
from loadtests.merging import differences, merge_progress, merge_results, totals
from loadtests.record import ClientRecord, GeneratorRecord, GeneratorResults

DURATIONS = st.lists(st.floats(min_value=0, max_value=100), max_size=20)


def histogram(durations: list[float]) -> Histogram:
    made = Histogram()
    for duration in durations:
        made.record(duration)
    return made


def results(name: str, durations: list[float], **generator: Any) -> GeneratorResults:
    return GeneratorResults(
        clients=[ClientRecord(name=name, cohort="healthy")],
        series={"healthy": {0: histogram(durations)}, name: {1: histogram(durations)}},
        spread=histogram(durations),
        generator=GeneratorRecord(**generator),
        statistics=[{"name": name}],
    )


@given(st.lists(DURATIONS, min_size=2, max_size=4))
def test_a_merged_histogram_is_as_if_all_had_been_recorded_in_it(parts: list[list[float]]) -> None:
    merged = merge_results([results(f"w{n}", part) for n, part in enumerate(parts)])
    assert merged.series["healthy"][0] == histogram([one for part in parts for one in part])
    assert merged.series["w1"] == {1: histogram(parts[1])}


def test_clients_of_all_are_there() -> None:
    merged = merge_results([results("a", []), results("b", [])])
    assert [client.name for client in merged.clients] == ["a", "b"]


def test_every_field_of_the_results_is_merged_or_left_out_on_purpose() -> None:
    merged = merge_results([results("a", [0.1]), results("b", [0.2])])
    assert GeneratorResults.model_validate_json(merged.model_dump_json()).series == merged.series
    assert merged.spread.count == 0
    assert merged.statistics == []


def test_a_kind_of_field_that_cannot_be_merged_is_an_error() -> None:
    with pytest.raises(TypeError, match="nobody says how to merge"):
        merging._sum([1, 2])


def test_the_busiest_process_stands_for_all_and_every_failure_is_told() -> None:
    a = results("a", [], cpu=0.5, messages=10, loop="x.Loop", error="a broke", waited=0.2)
    b = results("b", [], cpu=0.9, messages=5, loop="x.Loop", error="b broke", waited=0.1)
    told = merge_results([a, b]).generator
    assert (told.cpu, told.messages, told.loop, told.waited) == (0.9, 15, "x.Loop", 0.2)
    assert told.error == "a broke; b broke"


def test_nothing_that_a_generator_tells_of_itself_is_forgotten() -> None:
    lag = histogram([0.1])
    told = {"cpu": 0.5, "messages": 1, "loop": "x", "error": "e", "waited": 0.1, "lag": lag}
    whole = results("a", [], **told, lags={1: lag}, processes=1)
    assert whole.generator.model_fields_set == GeneratorRecord.model_fields.keys()
    merged = merge_results([whole, results("b", [])]).generator
    untouched = GeneratorRecord()
    for name in GeneratorRecord.model_fields:
        assert getattr(merged, name) != getattr(untouched, name), name


def test_one_alone_stays_as_it_is_and_none_is_nothing() -> None:
    alone = results("a", [0.5])
    assert merge_results([alone]) is alone
    assert merge_results([]).clients == []


def test_progress_adds_counts_and_keeps_the_longest_duration() -> None:
    merged = merge_progress(
        [
            {"connected": 3, "p99": 0.2, "started_at": 5.0, "states": {"stalled": 1}},
            {"connected": 4, "p99": 0.1, "started_at": 5.5, "states": {"stalled": 2, "dead": 1}},
        ]
    )
    assert merged == {
        "connected": 7,
        "p99": 0.2,
        "started_at": 5.5,
        "states": {"stalled": 3, "dead": 1},
    }


def test_what_is_expected_is_up_to_the_healthy_client_that_is_furthest_behind() -> None:
    parts = [{"healthy": 2, "expected": 9}, {"healthy": 0, "expected": 0}]
    assert merge_progress([*parts, {"healthy": 1, "expected": 7}])["expected"] == 7
    assert merge_progress([{"healthy": 0, "expected": 0}])["expected"] == 0


def test_totals_are_the_pushes_of_each_cohort_that_had_any() -> None:
    one = results("slow", [0.1, 0.2])
    one.series["dead"] = {}
    assert totals(one) == {"healthy": 2, "slow": 2}


def test_a_tail_that_was_lost_shows_in_the_totals() -> None:
    merged = results("slow", [0.1, 0.2])
    whole = {"push healthy": 2, "push slow": 2, "connect slow": 1}
    assert differences(merged, whole) == []
    assert differences(merged, whole | {"push healthy": 1}) == [
        "locust's master counted 1 pushes to healthy clients, and their workers 2"
    ]
    assert differences(merged, {"push healthy": 2, "push slow": 2, "push dead": 3}) == [
        "locust's master counted 3 pushes to dead clients, and their workers 0"
    ]
