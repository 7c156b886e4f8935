from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from flock_ws import Limits
from flock_ws.events import StreamingOutputEvent
from flock_ws.history import StreamingHistory


def said(agent: str, number: int) -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name=agent,
        run_id="r",
        output_type="llm_token",
        content="",
        sequence=number,
    )


def numbers(history: StreamingHistory, agent: str) -> list[int]:
    return [event.sequence for event in history.get(agent, ())]


def test_the_cap_keeps_exactly_the_newest_events() -> None:
    history = StreamingHistory(Limits(history_limit=3))
    for number in range(5):
        history.remember(said("a", number), 1)
    assert numbers(history, "a") == [2, 3, 4]


def test_asking_for_an_unknown_agent_by_index_makes_its_deque_with_the_cap() -> None:
    history = StreamingHistory(Limits(history_limit=7))
    assert history["new"].maxlen == 7


def test_a_deque_that_the_caller_put_in_is_used_with_its_own_cap() -> None:
    history = StreamingHistory(Limits())
    history["a"] = deque(maxlen=2)
    for number in range(4):
        history.remember(said("a", number), 1)
    assert numbers(history, "a") == [2, 3]


def test_with_an_agent_limit_the_one_silent_longest_is_forgotten() -> None:
    history = StreamingHistory(Limits(history_agents=2))
    for agent in ("a", "b", "a", "c"):
        history.remember(said(agent, 0), 1)
    assert list(history) == ["a", "c"]


def test_with_a_byte_limit_the_oldest_events_of_all_agents_go_first() -> None:
    history = StreamingHistory(Limits(history_bytes=30))
    for number, agent in enumerate(("a", "b", "a", "b")):
        history.remember(said(agent, number), 10)
    assert (numbers(history, "a"), numbers(history, "b"), history.bytes) == ([2], [1, 3], 30)


def test_an_event_larger_than_the_byte_limit_is_not_kept() -> None:
    history = StreamingHistory(Limits(history_bytes=5))
    history.remember(said("a", 0), 6)
    assert (len(history), history.bytes) == (0, 0)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 20)), max_size=80),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 100),
)
def test_with_all_limits_at_once_none_is_ever_exceeded(
    steps: list[tuple[str, int]], per_agent: int, agents: int, most_bytes: int
) -> None:
    history = StreamingHistory(
        Limits(history_limit=per_agent, history_agents=agents, history_bytes=most_bytes)
    )
    sizes: dict[int, int] = {}
    for number, (agent, size) in enumerate(steps):
        sizes[number] = size
        history.remember(said(agent, number), size)
        kept = [event.sequence for events in history.values() for event in events]
        assert all(len(events) <= per_agent for events in history.values())
        assert len(history) <= agents
        assert history.bytes == sum(sizes[number] for number in kept) <= most_bytes
        assert size > most_bytes or number in kept
