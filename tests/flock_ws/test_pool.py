import copy

from hypothesis import given
from hypothesis import strategies as st

from flock_ws.pool import ClientPool


def watched(*elements: int) -> tuple[ClientPool, list[tuple[str, int]]]:
    changes: list[tuple[str, int]] = []
    pool = ClientPool(
        lambda element: changes.append(("joined", element)),
        lambda element: changes.append(("left", element)),
    )
    for element in elements:
        pool.add(element)
    changes.clear()
    return pool, changes


def test_adding_twice_joins_once() -> None:
    pool, changes = watched()
    pool.add(1)
    pool.add(1)
    assert changes == [("joined", 1)]


def test_a_pool_equals_a_plain_set_and_is_one() -> None:
    pool, _ = watched(1, 2)
    assert pool == {1, 2}
    assert isinstance(pool, set)


def test_a_copy_is_a_plain_set_that_tells_nobody() -> None:
    pool, changes = watched(1, 2)
    other = copy.copy(pool)
    other.discard(1)
    assert (type(other), changes) == (set, [])


SMALL = st.frozensets(st.integers(0, 5))


@given(
    SMALL,
    st.lists(
        st.tuples(
            st.sampled_from(
                (
                    "become",
                    "update",
                    "difference_update",
                    "intersection_update",
                    "symmetric_difference_update",
                    "__ior__",
                    "__isub__",
                    "__iand__",
                    "__ixor__",
                )
            ),
            SMALL,
        ),
        max_size=8,
    ),
)
def test_every_way_to_change_the_set_is_told(
    start: frozenset[int], steps: list[tuple[str, frozenset[int]]]
) -> None:
    pool, changes = watched(*start)
    told = set(start)
    model = set(start)
    for operation, operand in steps:
        getattr(pool, operation)(operand)
        if operation == "become":
            model = set(operand)
        else:
            getattr(model, operation)(operand)
        for what, element in changes:
            assert (element in told) == (what == "left")
            (told.add if what == "joined" else told.discard)(element)
        changes.clear()
        assert pool == model == told
