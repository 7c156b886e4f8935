from typing import Any

import pytest

from loadtests.errors import ScenarioError
from loadtests.kinds import KINDS

KINDS_OF_THE_ISSUE = {
    "viewer",
    "slow",
    "pulsing",
    "stalled",
    "half_open",
    "dead",
    "flapping",
    "never_pongs",
    "flooder",
    "history_reader",
    "publisher",
}


def test_there_are_eleven_kinds() -> None:
    assert KINDS.keys() == KINDS_OF_THE_ISSUE


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_kind_is_complete_without_options(kind: Any) -> None:
    assert kind.complete({}) == dict(kind.defaults)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_kind_that_comes_to_read_or_answer_badly_says_so_in_its_behaviour(kind: Any) -> None:
    by_another = {"viewer", "flapping", "history_reader", "publisher"}
    faults = kind.behaviour(kind.complete({}), 0.0).faults
    assert bool(faults) == (kind.name not in by_another)


@pytest.mark.parametrize("name", ["slow", "pulsing", "stalled", "half_open", "dead", "never_pongs"])
def test_what_a_kind_does_begins_when_it_turns(name: str) -> None:
    kind = KINDS[name]
    (fault,) = kind.behaviour(kind.complete({}), 7.5).faults
    assert getattr(fault, "after_seconds") == 7.5  # noqa: B009 - not every fault has it


def test_options_take_the_place_of_defaults() -> None:
    assert KINDS["pulsing"].complete({"off": 2}) == {"on": 0.5, "off": 2}


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("viewer", {"rate": 1}, "kind viewer has no option 'rate'; it takes none"),
        ("slow", {"rate": 1}, "no option 'rate'; it takes bytes_per_second"),
        ("slow", {"bytes_per_second": "x"}, "bytes_per_second must be a number above 0, not 'x'"),
        ("slow", {"bytes_per_second": 0}, "must be a number above 0, not 0"),
        ("slow", {"bytes_per_second": float("nan")}, "must be a number above 0, not nan"),
        ("slow", {"bytes_per_second": True}, "must be a number above 0, not True"),
        ("flapping", {"down": -1}, "down must be a number of at least 0, not -1"),
        ("flapping", {"ends": "bang"}, "ends must be 'reset' or 'close', not 'bang'"),
        ("half_open", {"deaf": 1}, "deaf must be true or false, not 1"),
        ("flooder", {"message_bytes": 0.5}, "must be a whole number of at least 1, not 0.5"),
        ("publisher", {"size_bytes": 10}, "must be a whole number of at least 300, not 10"),
        ("history_reader", {"path": 3}, "path must be some text, not 3"),
    ],
)
def test_an_impossible_option_is_named_with_what_is_taken(
    kind: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        KINDS[kind].complete(options)
    assert complaint in str(caught.value)
