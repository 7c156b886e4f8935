from hypothesis import given
from hypothesis import strategies as st

from flock_ws.inbound import REFUSALS, Budget, refusals


def test_a_seconds_worth_may_be_spent_at_once_and_no_more() -> None:
    budget = Budget(10.0, now=5.0)
    assert [budget.spend(1, now=5.0) for _ in range(11)] == [True] * 10 + [False]


def test_what_was_spent_comes_back_with_time() -> None:
    budget = Budget(10.0, now=0.0)
    budget.spend(10, now=0.0)
    assert [budget.spend(1, now=0.05), budget.spend(1, now=0.15)] == [False, True]


def test_less_than_one_a_second_still_lets_one_through() -> None:
    budget = Budget(0.1, now=0.0)
    times = (0.0, 5.0, 10.1)
    assert [budget.spend(1, now=now) for now in times] == [True, False, True]


@given(
    rate=st.floats(0.1, 1_000),
    calls=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 100)), max_size=50),
)
def test_over_any_time_no_more_goes_through_than_the_rate_and_one_burst(
    rate: float, calls: list[tuple[float, int]]
) -> None:
    budget, now, spent = Budget(rate, now=0.0), 0.0, 0
    for wait, count in calls:
        now += wait
        spent += count if budget.spend(count, now=now) else 0
        assert spent <= rate * now + max(1.0, rate) + 1e-6


def test_a_fresh_count_names_every_reason() -> None:
    assert refusals() == dict.fromkeys(REFUSALS, 0)
