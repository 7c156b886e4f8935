"""Virtual time: what runs when, and that one seed gives one run."""

import asyncio
import subprocess
import sys

import pytest

from simulators.clock import SimLoop
from simulators.errors import (
    OptionError,
    SimulatorError,
)
from simulators.runs import sim_test, simulate


def _sim_loop() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


@sim_test
async def test_the_clock_moves_exactly_to_the_next_timer() -> None:
    times = []
    for delay in (0.1, 0.2, 0.3):
        await asyncio.sleep(delay)
        times.append(_sim_loop().time())
    assert times == [0.1, 0.1 + 0.2, 0.1 + 0.2 + 0.3]


@sim_test
async def test_the_clock_stands_still_while_anything_is_ready() -> None:
    fired = asyncio.Event()
    _sim_loop().call_later(1e-9, fired.set)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not fired.is_set()


@sim_test
async def test_what_is_scheduled_in_a_turn_runs_in_the_next() -> None:
    order: list[str] = []
    loop = _sim_loop()

    def first() -> None:
        order.append("a")
        loop.call_soon(order.append, "c")

    loop.call_soon(first)
    loop.call_soon(order.append, "b")
    await asyncio.sleep(0)
    assert order == ["a", "b"]
    await asyncio.sleep(0)
    assert order == ["a", "b", "c"]


@sim_test
async def test_timers_with_equal_deadlines_fire_in_the_order_in_which_they_were_set() -> None:
    order: list[int] = []
    for number in range(100):
        _sim_loop().call_at(5.0, order.append, number)
    await asyncio.sleep(6)
    assert order == list(range(100))


def _order_of_timers(seed: int) -> list[int]:
    order: list[int] = []

    async def main() -> None:
        for number in range(10):
            _sim_loop().call_at(5.0, order.append, number)
        await asyncio.sleep(6)

    simulate(main, seed=seed, interleaving="random")
    return order


def test_random_interleaving_permutes_equal_deadlines_by_the_seed() -> None:
    orders = [tuple(_order_of_timers(seed)) for seed in range(5)]
    assert len(set(orders)) == 5
    assert orders == [tuple(_order_of_timers(seed)) for seed in range(5)]


def _order_of_tasks(seed: int) -> tuple[int, ...]:
    order: list[int] = []

    async def step(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(step(number))

    simulate(main, seed=seed, interleaving="random")
    return tuple(order)


def test_random_interleaving_reaches_every_order_of_three_tasks() -> None:
    assert len({_order_of_tasks(seed) for seed in range(100)}) == 6


@sim_test(interleaving="random")
async def test_random_interleaving_leaves_plain_callbacks_in_their_places() -> None:
    order: list[int] = []
    for number in range(50):
        _sim_loop().call_soon(order.append, number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == list(range(50))


@sim_test(interleaving="random", seed=3)
async def test_random_interleaving_permutes_runs_of_steps_between_callbacks_only() -> None:
    order: list[str] = []

    async def step(name: str) -> None:
        order.append(name)

    tasks = [asyncio.create_task(step(f"a{number}")) for number in range(8)]
    _sim_loop().call_soon(order.append, "middle")
    tasks += [asyncio.create_task(step(f"b{number}")) for number in range(8)]
    await asyncio.gather(*tasks)
    assert order[8] == "middle"
    assert {name[0] for name in order[:8]} == {"a"}
    assert order[:8] != sorted(order[:8])


def test_random_streams_are_independent_of_each_other() -> None:
    loops = SimLoop(seed=1), SimLoop(seed=1)
    loops[0].random("faults").random()
    assert loops[0].random("data").random() == loops[1].random("data").random()
    assert loops[0].random("data").random() != loops[0].random("schedule").random()
    for loop in loops:
        loop.close()


def test_random_streams_do_not_depend_on_hash_randomisation() -> None:
    script = (
        "from simulators.clock import SimLoop\n"
        "loop = SimLoop(seed=7)\nprint(loop.random('data').random())\nloop.close()"
    )
    seen = {
        subprocess.run(  # noqa: S603  # our own interpreter and a constant script
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": number, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    }
    assert len(seen) == 1


def test_cancelled_timers_do_not_pile_up(loop: SimLoop) -> None:
    for _ in range(100_000):
        loop.call_later(60, print).cancel()
    assert len(loop._timers) < 5_000


def test_a_cancelled_timer_does_not_move_the_clock(loop: SimLoop) -> None:
    loop.call_later(60, print).cancel()
    loop.call_later(1, loop.stop)
    loop.run_forever()
    assert loop.time() == 1


def test_advance_runs_each_timer_at_its_time_and_ends_exactly(loop: SimLoop) -> None:
    times: list[float] = []

    async def beat() -> None:
        while True:
            await asyncio.sleep(2)
            times.append(loop.time())

    task = loop.create_task(beat())
    loop.advance(5)
    assert (times, loop.time()) == ([2, 4], 5)
    loop.advance(1)
    assert (times, loop.time()) == ([2, 4, 6], 6)
    task.cancel()
    loop.run_until_idle()
    assert task.cancelled()


def test_run_until_idle_runs_what_is_due_and_leaves_the_clock(loop: SimLoop) -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("now")
        await asyncio.sleep(1)
        done.append("later")

    task = loop.create_task(work())
    loop.run_until_idle()
    assert (done, loop.time()) == (["now"], 0)
    loop.run_until_complete(task)


@sim_test
async def test_advance_inside_a_coroutine_says_what_to_do_instead() -> None:
    with pytest.raises(SimulatorError, match=r"await asyncio\.sleep"):
        _sim_loop().advance(1)


@sim_test
async def test_wait_idle_returns_when_everybody_waits_and_the_clock_stands() -> None:
    steps: list[int] = []

    async def work() -> None:
        for number in range(10):
            await asyncio.sleep(0)
            steps.append(number)
        await asyncio.sleep(1)
        steps.append(10)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        await _sim_loop().wait_idle()
        assert steps == list(range(10))
        assert _sim_loop().time() == 0


def _busy_trace(seed: int) -> tuple[list[tuple[float, str]], int]:
    trace: list[tuple[float, str]] = []

    async def work(name: str, queue: "asyncio.Queue[str]") -> None:
        loop = _sim_loop()
        for _ in range(20):
            await asyncio.sleep(loop.random("data").choice([0, 0.1, 0.5]))
            await queue.put(name)
            trace.append((loop.time(), f"{name} put"))

    async def main() -> int:
        queue: asyncio.Queue[str] = asyncio.Queue(3)
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(work(f"w{number}", queue))
            for _ in range(100):
                got = await queue.get()
                trace.append((_sim_loop().time(), f"got {got}"))
        return _sim_loop().steps

    return trace, simulate(main, seed=seed, interleaving="random")


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert _busy_trace(5) == _busy_trace(5)
    assert _busy_trace(5) != _busy_trace(6)


@sim_test
async def test_timeouts_work_in_virtual_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.sleep(31)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(31), 30)
    assert await asyncio.wait_for(asyncio.sleep(29, "done"), 30) == "done"
    assert _sim_loop().time() == 89


def test_debug_mode_works() -> None:
    loop = SimLoop()
    loop.set_debug(enabled=True)
    assert loop.run_until_complete(asyncio.sleep(5, "done")) == "done"
    loop.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_work() -> None:
    async def at_once() -> str:
        return "done"

    async def main() -> str:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # typed from 3.12 on only
        task = asyncio.create_task(at_once())
        assert task.done()
        return await task

    assert simulate(main) == "done"


def test_anyio_works_on_it() -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> float:
        with anyio.move_on_after(5):
            await anyio.sleep(60)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 3)
        return float(anyio.current_time())

    options = {"loop_factory": SimLoop}
    assert anyio.run(main, backend="asyncio", backend_options=options) == 8


def test_a_day_of_heartbeats_of_twenty_clients_takes_few_steps() -> None:
    beats: list[float] = []

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(120)
            async with asyncio.timeout(0.5):
                await asyncio.sleep(0)
            beats.append(_sim_loop().time())

    async def main() -> int:
        tasks = [asyncio.create_task(heartbeat()) for _ in range(20)]
        await asyncio.sleep(86_400.5)
        assert not any(task.done() for task in tasks)
        return _sim_loop().steps

    assert simulate(main) < 60_000
    assert len(beats) == 20 * 720


@sim_test
async def test_blocking_moves_the_clock_and_runs_nothing() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    loop.block(3)
    assert loop.time() == 3.0
    with pytest.raises(OptionError, match="takes a finite number of seconds from 0, not -1"):
        loop.block(-1)
