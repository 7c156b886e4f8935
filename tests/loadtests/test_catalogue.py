from pathlib import Path

import pytest

from loadtests.catalogue import BUILT_IN, built_in, find, read, text
from loadtests.errors import ScenarioError
from loadtests.kinds import KINDS
from loadtests.pipe import Pipe

OWN = """
name = "own"
proves = "mine"
thresholds = ["healthy.latency.p99 < 0.1"]

[[cohorts]]
name = "healthy"
user = "viewer"
count = 3
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_scenario_is_called_as_its_file_and_says_what_it_proves(name: str) -> None:
    scenario = built_in(name)
    assert scenario.name == name
    assert len(scenario.proves) > 20
    assert scenario.thresholds


@pytest.mark.parametrize("name", BUILT_IN)
def test_whoever_must_be_evicted_has_the_time_to_be(name: str) -> None:
    scenario = built_in(name)
    for cohort in scenario.cohorts:
        if cohort.kind.expects_eviction:
            left = scenario.duration - scenario.turns(cohort)
            assert left > Pipe(scenario).eviction_limit(cohort), cohort.name


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_scenario_lasts_a_minute_and_a_half_at_most(name: str) -> None:
    assert built_in(name).duration <= (90 if name in {"capacity", "soak"} else 60)


def test_the_storm_holds_every_kind_that_misbehaves() -> None:
    users = {cohort.user for cohort in built_in("storm").cohorts}
    assert {name for name, kind in KINDS.items() if kind.faulty} <= users


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    assert find(str(path)).cohort("healthy").count == 3


def test_the_text_of_a_scenario_is_shown_with_its_comments() -> None:
    assert "# Kinds of users:" in text("storm")


def test_a_shown_file_is_a_scenario_again(tmp_path: Path) -> None:
    path = tmp_path / "copy.toml"
    path.write_text(text("eviction"))
    assert read(path) == built_in("eviction")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = ", "own.toml: not TOML: Invalid value"),
        (OWN.replace("viewer", "watcher"), "own.toml: cohorts.1..user must be one of viewer"),
        (OWN.replace("count = 3", "count = -3"), "own.toml: cohorts.1..count must be .* not -3"),
        (OWN.replace("p99", "p98"), "own.toml: there is no metric 'healthy.latency.p98'; near it"),
        (OWN.replace("0.1", "soon"), "own.toml: there is no metric 'soon'"),
        (OWN + "[windows]\nall = [1, 2]\n", "own.toml: windows.all is there by itself"),
        ("rate = 5\n", "own.toml: the scenario: name and proves and cohorts missing"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_was_expected(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(ScenarioError, match=message):
        read(path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.toml: cannot be read: No such file"):
        find("nowhere.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"own\.toml: not UTF-8 text"):
        read(path)


def test_an_unknown_name_is_told_which_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'strom' \(there are: storm, isolation"):
        find("strom")
