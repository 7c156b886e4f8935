import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest

from simulators import (
    OptionError,
    Tape,
    bursts,
    numbered_events,
    paced,
    poisson,
    ramp,
    replay,
    sim_test,
    steady,
    with_payloads,
)
from simulators.events import agent_runs


def test_steady_ones_are_evenly_apart() -> None:
    assert list(itertools.islice(steady(rate=4), 5)) == [0, 0.25, 0.5, 0.75, 1.0]


def test_random_ones_keep_the_rate_and_follow_from_the_seed() -> None:
    times = list(itertools.islice(poisson(rate=100, seed=1), 20_000))
    assert times == list(itertools.islice(poisson(rate=100, seed=1), 20_000))
    assert times == sorted(times)
    assert times[-1] == pytest.approx(200, rel=0.05)


def test_bursts_come_together_and_keep_the_rate() -> None:
    times = list(itertools.islice(bursts(rate=100, size=20), 200))
    assert Counter(times) == {number / 5: 20 for number in range(10)}


def test_a_ramp_has_the_rates_it_was_asked_for_and_ends() -> None:
    times = list(ramp(start=10, end=30, duration=10))
    first = sum(at < 1 for at in times)
    last = sum(at >= 9 for at in times)
    assert (len(times), first, last) == (200, 11, 29)
    assert times == sorted(times)


def test_a_ramp_may_go_down_or_stay() -> None:
    assert len(list(ramp(start=20, end=0, duration=2))) == 20
    assert list(ramp(start=4, end=4, duration=1)) == [0, 0.25, 0.5, 0.75]


def test_a_replay_follows_the_recorded_times_at_its_speed() -> None:
    events = Tape.of(seed=1, count=50).events
    span = (events[-1].timestamp - events[0].timestamp).total_seconds()
    assert list(replay(events))[0::49] == [0, span]
    assert list(replay(events, speed=2))[-1] == span / 2


@sim_test
async def test_paced_items_come_at_their_times_and_late_ones_at_once() -> None:
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, float]] = []
    async for item in paced(itertools.count(), [0, 1, 1, 2, 10]):
        seen.append((item, loop.time()))
        if item == 1:
            await asyncio.sleep(5)
    assert seen == [(0, 0), (1, 1), (2, 6), (3, 6), (4, 10)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: steady(rate=-1),
        lambda: poisson(rate=0),
        lambda: bursts(rate=float("nan"), size=2),
        lambda: bursts(rate=1, size=0),
        lambda: steady(rate="1"),  # type: ignore[arg-type]  # the point of the test
        lambda: bursts(rate=1, size=2.5),  # type: ignore[arg-type]  # the same
        lambda: ramp(start=-1, end=1, duration=1),
        lambda: ramp(start=1, end=1, duration=0),
        lambda: replay((), speed=0),
        lambda: with_payloads((), size_bytes=-1),
        lambda: numbered_events(size_bytes="300"),  # type: ignore[arg-type]  # the same
        lambda: numbered_events(start=-1),
    ],
)
def test_a_number_that_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(OptionError, match=r"must be"):
        make()


def test_payloads_grow_on_demand_and_other_events_pass() -> None:
    events = list(itertools.islice(agent_runs(seed=1), 200))
    grown = list(with_payloads(events, size_bytes=100_000))
    sizes = [len(event.model_dump_json()) for event in grown]
    published = [type(event).__name__ == "MessagePublishedEvent" for event in events]
    assert [size > 100_000 for size in sizes] == published
    assert any(published)
    numbered = list(itertools.islice(numbered_events(), 3))
    assert list(with_payloads(numbered, size_bytes=10)) == numbered
