from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from loadtests.sequences import SequenceCheck


def after(numbers: Iterable[int]) -> SequenceCheck:
    check = SequenceCheck()
    for number in numbers:
        check.take(number)
    return check


def test_an_unbroken_stream_has_no_findings() -> None:
    check = after(range(7, 20))
    assert (check.first, check.expected, check.received) == (7, 20, 13)
    assert (check.gaps, check.duplicates, check.disordered) == (0, 0, 0)


def test_a_jump_leaves_a_gap() -> None:
    assert after([0, 1, 5]).gaps == 3


def test_what_comes_late_fills_its_gap_and_is_out_of_order() -> None:
    check = after([0, 2, 1, 3])
    assert (check.gaps, check.duplicates, check.disordered) == (0, 0, 1)


def test_what_comes_again_is_a_duplicate() -> None:
    check = after([0, 1, 1, 0])
    assert (check.duplicates, check.disordered, check.received) == (2, 0, 2)


def test_what_comes_before_the_first_is_out_of_order() -> None:
    check = after([2, 0])
    assert (check.first, check.disordered, check.gaps) == (0, 1, 1)


def test_an_enormous_jump_is_counted_without_being_remembered() -> None:
    assert after([0, 10**12]).gaps == 10**12 - 1


@given(st.lists(st.integers(0, 30), max_size=80))
def test_every_number_is_accounted_for_whatever_the_order(numbers: list[int]) -> None:
    check = after(numbers)
    assert check.received == len(set(numbers))
    assert check.duplicates == len(numbers) - len(set(numbers))
    if numbers:
        assert check.gaps == max(numbers) - min(numbers) + 1 - len(set(numbers))


@given(st.permutations(range(12)))
def test_a_shuffle_loses_nothing(numbers: list[int]) -> None:
    check = after(numbers)
    assert (check.gaps, check.received, check.duplicates) == (0, 12, 0)
    # Ordered means: each number is the highest so far.
    highest = [max(numbers[: index + 1]) for index in range(len(numbers))]
    late = sum(number != high for number, high in zip(numbers, highest, strict=True))
    assert check.disordered == late
