import json
import math
from typing import Any

import pytest

from loadtests.errors import ScenarioError
from loadtests.scenario import FOREIGN_BUFFER_BYTES, SCENARIOS, Scenario, Thresholds

STORM = SCENARIOS["storm"]


def test_the_storm_evicts_within_six_seconds_of_the_stall() -> None:
    assert STORM.pipe_bytes() == 106_496
    assert STORM.fill_time("stalled") == pytest.approx(3.5, abs=0.01)
    assert STORM.eviction_limit("stalled") == pytest.approx(6.0, abs=0.01)


def test_a_slow_reader_takes_its_share_out_of_the_pipe_meanwhile() -> None:
    assert STORM.fill_time("slow") > STORM.fill_time("stalled")


def test_a_reset_needs_no_pipe_to_fill() -> None:
    assert STORM.eviction_limit("dead") == STORM.thresholds.eviction_margin


def test_a_server_of_which_nothing_is_known_may_hide_megabytes() -> None:
    assert STORM.fill_time("stalled", server_buffer_bytes=FOREIGN_BUFFER_BYTES) > 120


def test_who_is_sent_less_than_it_reads_never_fills_its_pipe() -> None:
    assert STORM.fill_time("slow", bytes_per_second=900.0) == math.inf


def test_there_is_time_for_an_eviction_in_the_default_run_and_in_the_short_one_of_ci() -> None:
    for scenario in (STORM, STORM.changed(duration=25.0)):
        assert scenario.duration - scenario.baseline > scenario.eviction_limit("slow")


def test_a_scenario_comes_back_from_its_json_form() -> None:
    scenario = STORM.changed(rate=50.0, slow=2)
    assert Scenario.from_json(json.loads(json.dumps(scenario.to_json()))) == scenario


def test_options_that_were_not_given_change_nothing() -> None:
    assert STORM.changed(rate=None, healthy=None) == STORM


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"healthy": 0}, "healthy must be at least 1"),
        ({"healthy": True}, "healthy must be a whole number"),
        ({"slow": -1}, "slow must be a whole number of at least 0, not -1"),
        ({"stalled": 1.5}, "stalled must be a whole number"),
        ({"rate": 0}, "rate must be above 0, not 0"),
        ({"rate": math.nan}, "rate must be a finite number above 0, not nan"),
        ({"duration": math.inf}, "duration must be a finite number"),
        ({"duration": 0.5}, "duration must be at least 1"),
        ({"size_bytes": 10}, "size_bytes must be at least 300"),
        ({"ramp": "soon"}, "ramp must be a finite number"),
        ({"baseline_share": 1.0}, "baseline_share must be below 1"),
        ({"rate": 1.0}, "keep up with 1 events/s of 300 bytes"),
        ({"rate": 1_000.0, "slow_bytes_per_second": 200_000.0}, "let through by a send timeout"),
    ],
)
def test_an_impossible_scenario_names_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        STORM.changed(**change)


def test_an_impossible_threshold_names_its_key() -> None:
    with pytest.raises(ScenarioError, match="latency_p99 must be above 0, not -1"):
        Thresholds(latency_p99=-1)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"name": "x", "proves": "y", "helathy": 3}, "scenario: unknown key helathy"),
        ({"name": "x"}, "scenario: proves missing"),
        ({"name": "x", "proves": "y", "thresholds": {"p99": 1}}, "thresholds: unknown key p99"),
    ],
)
def test_a_broken_json_form_names_its_key(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Scenario.from_json(form)
