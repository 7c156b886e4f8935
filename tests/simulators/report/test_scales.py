import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.contract.results import Evidence, Lane
from simulators.report.scales import TimeScale

TIMES = st.lists(st.floats(0, 1e6), max_size=30)


def test_a_short_run_is_linear(stall: Evidence) -> None:
    scale = TimeScale.of(stall)
    assert scale.cuts == ()
    assert scale.at(0.3) == pytest.approx(0.25)


def test_a_timeout_after_a_long_wait_keeps_room(heartbeat: Evidence) -> None:
    scale = TimeScale.of(heartbeat)
    assert scale.at(120.5) - scale.at(120.0) > 0.2


def test_only_stretches_in_which_nothing_happened_are_cut(heartbeat: Evidence) -> None:
    scale = TimeScale.of(heartbeat)
    assert scale.cuts == ((0.2, 120.0), (120.5, 240.0), (240.0, 360.5))


def test_two_moments_a_hair_apart_cut_nothing() -> None:
    scale = TimeScale.of(Evidence(ticks=(0.1, 0.10001, 0.2), ends_at=0.3))
    assert scale.cuts == ()


def test_a_run_without_length_has_an_axis() -> None:
    scale = TimeScale.of(Evidence())
    assert (scale.start, scale.end) == (0.0, 1.0)


def test_a_span_that_never_ends_is_drawn_to_the_end() -> None:
    lane = Lane("bob", "", ((0.0, math.inf, "stalled"),))
    scale = TimeScale.of(Evidence(lanes=(lane,), ticks=(1.0,), ends_at=2.0))
    assert (scale.end, scale.at(math.inf)) == (2.0, 1.0)


@pytest.mark.parametrize("length", [5e-324, 1e-300, 1e-12])
def test_a_run_that_is_over_at_once_has_an_axis_of_a_second(length: float) -> None:
    scale = TimeScale.of(Evidence(ticks=(length / 2,), ends_at=length))
    assert scale.labels(distance=0.5) == [0.0, 0.5, 1.0]


@given(TIMES)
def test_a_later_time_never_stands_before_an_earlier_one(times: list[float]) -> None:
    scale = TimeScale.of(Evidence(ticks=tuple(times), ends_at=max(times, default=1.0)))
    places = [scale.at(time) for time in sorted(times)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)


@given(TIMES, st.floats(0.05, 0.5))
def test_labels_keep_their_distance(times: list[float], distance: float) -> None:
    scale = TimeScale.of(Evidence(ticks=tuple(times), ends_at=max(times, default=1.0)))
    places = [scale.at(time) for time in scale.labels(distance=distance)]
    gaps = [right - left for left, right in itertools.pairwise(places)]
    assert min(gaps) >= distance - 1e-9


def test_labels_are_round_numbers(stall: Evidence) -> None:
    labels = TimeScale.of(stall).labels(distance=0.1)
    assert labels == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
