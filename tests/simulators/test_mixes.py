"""Mixes of behaviours by number and by fraction."""

from collections import Counter

import pytest

from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.mixes import Parts, mixed


def count_of(parts: Parts, *, count: int | None = None) -> Counter[str]:
    return Counter(behaviour.name for behaviour in mixed(parts, count=count))


def test_fractions_are_rounded_to_their_sum() -> None:
    thirds = {"healthy": 1 / 3, "slow": 1 / 3, "stalled": 1 / 3}
    for count in range(1, 50):
        assert sum(count_of(thirds, count=count).values()) == count


def test_an_int_is_a_number_and_a_float_a_fraction() -> None:
    assert count_of({"stalled": 1, "slow": 0.5, "dead": 0.1}, count=10) == {
        "stalled": 1,
        "slow": 5,
        "dead": 1,
        "healthy": 3,
    }


def test_numbers_alone_need_no_count() -> None:
    assert count_of({"slow": 2, "dead": 3}) == {"slow": 2, "dead": 3}


def test_a_part_may_be_a_behaviour_or_the_kind_of_a_fault() -> None:
    tired = Behaviour.stalled(after_messages=3)
    parts: Parts = {tired: 1, "never_pongs": 1}
    behaviours = mixed(parts)
    assert behaviours[0] is tired
    assert behaviours[1].faults[0].kind == "never_pongs"


@pytest.mark.parametrize(
    ("parts", "count", "message"),
    [
        ({"slow": 0.6, "dead": 0.6}, 10, "more than the whole of 10"),
        ({"slow": 11}, 10, "more than the whole"),
        ({"slow": 0.5}, None, "need count="),
        ({"slow": 1.5}, 10, "fraction from 0.0 to 1.0"),
        ({"slow": -1}, 10, "fraction from 0.0"),
        ({"slow": float("nan")}, 10, "fraction from 0.0"),
        ({"sleepy": 1}, None, "'sleepy' is none of healthy, slow, stalled, dead"),
        ({"slow_reader": 1}, None, "bytes_per_second is missing.* a Behaviour may be the key"),
        (["slow"], None, "a mapping is expected"),
    ],
)
def test_a_mix_that_means_nothing_is_refused(parts: Parts, count: int | None, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        mixed(parts, count=count)
