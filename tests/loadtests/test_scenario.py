import dataclasses
import json
import math
from typing import Any

import pytest

from loadtests.cohorts import Cohort, RunLimits, Search
from loadtests.errors import ScenarioError
from loadtests.scenario import Scenario

HEALTHY = Cohort(name="healthy", user="viewer", count=4)
STALLED = Cohort(name="stalled", user="stalled", count=2)
SLOW = Cohort(name="slow", user="slow", count=2)
SMALL = Scenario(
    name="small",
    proves="something",
    cohorts=(HEALTHY, STALLED, SLOW),
    duration=20.0,
    baseline=5.0,
    windows={"late": (15.0, 20.0)},
)


def test_a_scenario_comes_back_from_its_json_form() -> None:
    scenario = SMALL.changed(rate=50.0, clients={"slow": 1})
    assert Scenario.from_json(json.loads(json.dumps(scenario.to_json()))) == scenario


def test_three_windows_are_always_there() -> None:
    assert SMALL.windows == {
        "late": (15.0, 20.0),
        "all": (0.0, 20.0),
        "baseline": (0.0, 5.0),
        "faults": (5.0, 20.0),
    }


def test_the_healthy_are_the_viewers_whatever_their_cohort_is_called() -> None:
    late = Cohort(name="late_comers", user="viewer", count=3, joins=4.0)
    scenario = SMALL.changed(cohorts=(*SMALL.cohorts, late))
    assert (scenario.clients, scenario.healthy_clients, scenario.faulty_clients) == (11, 7, 4)


def test_another_duration_stretches_the_whole() -> None:
    turning = Cohort(name="dead", user="dead", count=1, turns=10.0, joins=2.0, leaves=18.0)
    scenario = SMALL.changed(cohorts=(*SMALL.cohorts, turning)).changed(duration=40.0)
    dead = scenario.cohort("dead")
    assert (scenario.baseline, scenario.windows["late"]) == (10.0, (30.0, 40.0))
    assert (dead.turns, dead.joins, dead.leaves) == (20.0, 4.0, 36.0)


def test_who_says_nothing_turns_when_the_baseline_is_over() -> None:
    early = Cohort(name="dead", user="dead", count=1, turns=2.0)
    scenario = SMALL.changed(cohorts=(*SMALL.cohorts, early))
    assert [scenario.turns(one) for one in scenario.cohorts[1:]] == [5.0, 5.0, 2.0]
    assert scenario.first_turn == 2.0


def test_options_that_were_not_given_change_nothing() -> None:
    assert SMALL.changed(rate=None, clients={}, duration=None) == SMALL


def test_the_send_timeout_is_the_servers_where_the_scenario_says() -> None:
    assert SMALL.send_timeout == 0.5
    assert SMALL.changed(server={"send_timeout": 2.0}).send_timeout == 2.0


def test_a_search_brings_a_cohort_for_each_step() -> None:
    scenario = SMALL.changed(search=Search(clients=10, steps=2, every=5.0))
    assert [cohort.name for cohort in scenario.cohorts[-2:]] == ["step_1", "step_2"]
    assert [cohort.joins for cohort in scenario.cohorts[-2:]] == [5.0, 10.0]
    assert Scenario.from_json(scenario.to_json()) == scenario


def test_a_search_lasts_as_long_as_its_steps() -> None:
    scenario = SMALL.changed(search=Search(clients=10, steps=2, every=5.0))
    with pytest.raises(ScenarioError, match="lasts as long as its steps"):
        scenario.changed(duration=40.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cohorts": ()}, "at least one viewer"),
        ({"cohorts": (HEALTHY, HEALTHY)}, "the name healthy is given twice"),
        (
            {"cohorts": (HEALTHY, Cohort(name="d", user="dead", count=1, turns=30.0))},
            "cohorts.d.turns must be within the duration of 20 s, not 30.0",
        ),
        (
            {"cohorts": (Cohort(name="healthy", user="dead", count=1), HEALTHY)},
            "given twice",
        ),
        (
            {
                "cohorts": (
                    Cohort(name="healthy", user="dead", count=1),
                    Cohort(name="v", user="viewer", count=1),
                )
            },
            "healthy means the viewers",
        ),
        ({"clients": {"healthy": 0}}, "at least one viewer"),
        ({"clients": {"healthy": True}}, "cohorts.healthy.count must be a whole number"),
        ({"clients": {"slow": -1}}, "cohorts.slow.count must be a whole number of at least 0"),
        ({"clients": {"ded": 1}}, r"small has no cohort 'ded' \(there are: healthy, stalled, slow"),
        ({"rate": 0}, "rate must be above 0, not 0"),
        ({"rate": math.nan}, "rate must be a finite number above 0, not nan"),
        ({"duration": math.inf}, "duration must be a finite number"),
        ({"duration": 0.5}, "duration must be at least 1"),
        ({"size_bytes": 10}, "size_bytes must be a whole number of at least 300"),
        ({"ramp": "soon"}, "ramp must be a finite number"),
        ({"baseline": 30.0}, "baseline must be within the duration of 20 s"),
        ({"rate": 1.0}, "keep up with 1 events/s of 300 bytes"),
        ({"windows": {"late": (3.0,)}}, r"windows.late must be \[from, to\]"),
        ({"windows": {"late": (3.0, 90.0)}}, "within the duration of 20 s, not .3.0, 90.0"),
        ({"windows": {"not now": (3.0, 9.0)}}, "'not now' must be letters"),
        ({"server": {"send_timout": 1}}, "server.send_timout is unknown; a server takes send_t"),
        ({"server": {"history_limit": 1.5}}, "server.history_limit must be a whole number"),
        ({"server": {"pong_timeout": 0}}, "server.pong_timeout must be at least 0.001"),
        ({"thresholds": ("",)}, "thresholds must be a text"),
    ],
)
def test_an_impossible_scenario_names_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        SMALL.changed(**change)


def test_a_slow_reader_that_the_send_timeout_lets_through_is_refused() -> None:
    quick = Cohort(name="slow", user="slow", count=1, options={"bytes_per_second": 200_000.0})
    with pytest.raises(ScenarioError, match=r"cohorts\.slow: .* let through by a send timeout"):
        SMALL.changed(rate=1_000.0, cohorts=(HEALTHY, quick))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name must be a text"),
        ({"name": "two words"}, "name must be letters, digits and underscores"),
        ({"user": "lazy"}, "user must be one of viewer, slow, .*, not 'lazy'"),
        ({"count": 1.5}, "count must be a whole number of at least 0, not 1.5"),
        ({"turns": -1}, "turns must be at least 0"),
        ({"user": "viewer", "turns": 3}, "turns is for kinds that come to do something else"),
        ({"joins": 5.0, "leaves": 4.0}, "leaves must be after joins"),
        ({"options": 3}, "options must be a table"),
        ({"options": {"bytes": 3}}, "has no option 'bytes'; it takes bytes_per_second"),
        ({"options": {"bytes_per_second": "few"}}, "bytes_per_second must be a number"),
    ],
)
def test_an_impossible_cohort_names_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        dataclasses.replace(Cohort(name="slow", user="slow", count=1), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clients": 0}, "clients must be a whole number of at least 1"),
        ({"every": 2.0}, "every must leave a second after settle"),
        ({"quantile": 95}, "quantile must be below 1"),
    ],
)
def test_an_impossible_search_names_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        dataclasses.replace(Search(clients=10, steps=3), **change)


def test_an_impossible_limit_names_its_key() -> None:
    with pytest.raises(ScenarioError, match="drain must be above 0, not -1"):
        RunLimits(drain=-1)


MINIMAL = {"name": "x", "proves": "y", "cohorts": [{"name": "a", "user": "viewer", "count": 1}]}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (MINIMAL | {"helathy": 3}, "the scenario: unknown key helathy; it takes name, proves"),
        ({"name": "x"}, "the scenario: proves and cohorts missing"),
        (MINIMAL | {"limits": {"drian": 1}}, "limits: unknown key drian; it takes send_timeout"),
        (MINIMAL | {"limits": {"drain": 0}}, "limits.drain must be above 0, not 0"),
        (MINIMAL | {"search": 3}, "search must be a table, not 3"),
        (MINIMAL | {"cohorts": 3}, "cohorts must be a list of tables, not 3"),
        (MINIMAL | {"cohorts": ["healthy"]}, r"cohorts\[1\] must be a table, not 'healthy'"),
        (MINIMAL | {"cohorts": [{"name": "a"}]}, r"cohorts\[1\]: user and count missing"),
        (
            MINIMAL | {"cohorts": [{"name": "a", "user": "viewer", "count": "9"}]},
            r"cohorts\[1\].count must be a whole number of at least 0, not '9'",
        ),
        (MINIMAL | {"windows": []}, r"windows must be a table, not \[\]"),
        (MINIMAL | {"thresholds": "a < 1"}, "thresholds must be a list of texts, not 'a < 1'"),
    ],
)
def test_a_broken_form_names_its_key(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Scenario.from_json(form)
