"""Virtual time: order, limits, refusals, and that one seed gives one run."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from simulators.clock import SimLoop
from simulators.errors import (
    OptionError,
    SimDeadlock,
    SimHorizonReached,
    SimRefused,
    SimStepLimit,
    SimulatorError,
)
from simulators.runs import sim_test, simulate


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    loop = SimLoop()
    yield loop
    loop.close()


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


def test_a_deadlock_lists_who_waits_where_in_order_of_creation() -> None:
    async def first() -> None:
        await asyncio.Event().wait()

    async def second() -> None:
        await asyncio.Queue[int]().get()

    async def main() -> None:
        await asyncio.gather(
            asyncio.create_task(first(), name="z"), asyncio.create_task(second(), name="a")
        )

    with pytest.raises(SimDeadlock) as caught:
        simulate(main)
    assert [task for task, _ in caught.value.waiting] == ["Task-1", "z", "a"]
    assert "test_clock.py:" in str(caught.value)
    assert "second" in caught.value.waiting[2].where
    assert "Queue.get" in caught.value.waiting[2].where


def test_a_timer_that_never_fires_is_a_deadlock() -> None:
    with pytest.raises(SimDeadlock):
        simulate(lambda: asyncio.sleep(float("inf")))


def test_the_horizon_ends_a_run_that_never_ends() -> None:
    beats: list[float] = []

    async def main() -> None:
        while True:
            await asyncio.sleep(10)
            beats.append(_sim_loop().time())

    with pytest.raises(SimHorizonReached, match="beyond the horizon of 60 s") as caught:
        simulate(main, start=100, horizon=60)
    assert beats[-1] == 160
    assert caught.value.time == 160


def test_the_step_limit_names_what_ran_most() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110  # the point of the test
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(spin(), name="hamster")

    with pytest.raises(SimStepLimit, match="hamster") as caught:
        simulate(main, max_steps=500)
    assert "limit of max_steps" in str(caught.value)
    assert caught.value.most[0][1] > 400


def test_a_clock_that_never_moves_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.clock._STANDSTILL_STEPS", 5_000)

    async def main() -> None:
        await asyncio.sleep(3)
        while True:  # noqa: ASYNC110  # the point of the test
            await asyncio.sleep(0)

    with pytest.raises(SimStepLimit, match="the clock stands still at 3 s"):
        simulate(main)


def test_after_a_limit_was_hit_the_tasks_left_end_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            ended.append(number)

    async def main() -> None:
        await asyncio.gather(*(wait(number) for number in range(20)))

    with pytest.raises(SimDeadlock):
        simulate(main)
    assert ended == list(range(20))
    assert not caplog.records


def test_a_task_that_refuses_to_end_does_not_hide_the_error() -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(1)
        assert not task.done()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        simulate(main)
    assert any("SimDeadlock" in note for note in caught.value.__notes__)


def test_cancelled_timers_do_not_pile_up(loop: SimLoop) -> None:
    for _ in range(100_000):
        loop.call_later(60, print).cancel()
    assert len(loop._timers) < 5_000


def test_a_cancelled_timer_does_not_move_the_clock(loop: SimLoop) -> None:
    loop.call_later(60, print).cancel()
    loop.call_later(1, loop.stop)
    loop.run_forever()
    assert loop.time() == 1


def test_a_deadline_that_is_no_number_is_refused(loop: SimLoop) -> None:
    with pytest.raises(ValueError, match="NaN"):
        loop.call_later(float("nan"), print)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("run_in_executor", lambda loop: loop.run_in_executor(None, print)),
        ("create_connection", lambda loop: loop.create_connection(None, "localhost", 80)),
        ("create_server", lambda loop: loop.create_server(None, "localhost", 80)),
        ("add_reader", lambda loop: loop.add_reader(0, print)),
        ("sock_recv", lambda loop: loop.sock_recv(socket.socket, 1)),
        ("subprocess_exec", lambda loop: loop.subprocess_exec(None, "true")),
        ("getaddrinfo", lambda loop: loop.getaddrinfo("localhost", 80)),
        ("add_signal_handler", lambda loop: loop.add_signal_handler(2, print)),
    ],
)
def test_the_real_world_is_refused_by_name(
    loop: SimLoop, name: str, call: Callable[[SimLoop], object]
) -> None:
    with pytest.raises(SimRefused, match=f"{name} would wait for a real"):
        call(loop)


def test_every_method_of_asyncio_that_needs_the_world_is_refused(loop: SimLoop) -> None:
    ours = {name for name, value in vars(SimLoop).items() if callable(value)}
    abstract = {
        name
        for name, value in vars(asyncio.AbstractEventLoop).items()
        if callable(value)
        and name.startswith(("sock_", "create_", "connect_", "subprocess_", "add_"))
    }
    assert abstract - ours == {"create_future"}
    assert not loop.remove_reader(0)


def test_other_threads_are_refused(loop: SimLoop) -> None:
    refused: list[BaseException] = []

    def work() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except SimRefused as error:
            refused.append(error)

    async def main() -> None:
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()

    loop.run_until_complete(main())
    assert "from worker" in str(refused[0])


@sim_test
async def test_the_loops_own_thread_may_call_soon_threadsafe() -> None:
    called = asyncio.Event()
    _sim_loop().call_soon_threadsafe(called.set)
    await called.wait()


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interleaving": "chaos"}, "interleaving must be"),
        ({"horizon": -1}, "horizon must be"),
        ({"horizon": float("nan")}, "horizon must be"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"start": float("inf")}, "start must be"),
    ],
)
def test_nonsensical_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SimLoop(**options)  # type: ignore[arg-type]  # the point of the test


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
