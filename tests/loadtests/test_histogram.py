import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.histogram import Histogram

durations = st.lists(st.floats(min_value=0, max_value=3_600), min_size=1, max_size=200)
fractions = st.floats(min_value=0.001, max_value=1)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(durations, fractions)
def test_a_quantile_is_within_one_percent_of_the_sorted_list(
    values: list[float], fraction: float
) -> None:
    true = sorted(values)[max(1, math.ceil(fraction * len(values))) - 1]
    seen = of(values).quantile(fraction)
    assert true - 1e-6 <= seen + 1e-12
    assert seen <= true * (1 + 1 / 128) + 1e-6


@given(durations, durations)
def test_merging_is_as_if_all_had_been_recorded_in_one(
    some: list[float], others: list[float]
) -> None:
    merged = of(some)
    merged.merge(of(others))
    assert merged == of(some + others)


@given(durations)
def test_the_json_form_gives_an_equal_histogram_back(values: list[float]) -> None:
    histogram = of(values)
    assert Histogram.from_json(histogram.to_json()) == histogram


@given(durations)
def test_minimum_and_maximum_are_exact(values: list[float]) -> None:
    histogram = of(values)
    assert (histogram.minimum, histogram.maximum) == (min(values), max(values))


def test_merging_an_empty_one_changes_nothing() -> None:
    histogram = of([0.5])
    histogram.merge(Histogram())
    assert histogram == of([0.5])


def test_an_empty_histogram_has_quantile_zero() -> None:
    assert Histogram().quantile(0.99) == 0


def test_a_limit_between_100_ms_and_a_second_is_not_blurred_to_10_ms() -> None:
    assert of([0.504]).quantile(0.5) < 0.508


def test_what_is_missing_is_later_than_everything() -> None:
    histogram = of([0.001] * 98)
    assert histogram.quantile(0.98, missing=2) == pytest.approx(0.001)
    assert histogram.quantile(0.99, missing=2) == math.inf


def test_a_negative_duration_counts_as_zero_and_is_remembered() -> None:
    histogram = of([-0.25])
    assert (histogram.maximum, histogram.negatives) == (0, 1)


def test_milliseconds_keep_every_count() -> None:
    assert of([0.0012, 0.0014, 0.2]).milliseconds() == {1: 2, 200: 1}


def test_between_edges_every_duration_is_counted_once() -> None:
    histogram = Histogram()
    for seconds in (0.0005, 0.002, 0.0021, 0.5, 7.0):
        histogram.record(seconds)
    assert histogram.between([0.001, 0.01, 1.0]) == [1, 2, 1, 1]
    assert sum(histogram.between([])) == 5


@given(st.lists(st.lists(st.floats(min_value=-1, max_value=3_600), max_size=20), max_size=5))
def test_many_at_once_are_counted_as_one_by_one(batches: list[list[float]]) -> None:
    at_once = Histogram()
    for batch in batches:
        at_once.record_all(batch)
    assert at_once == of([value for batch in batches for value in batch])
