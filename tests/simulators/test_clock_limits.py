"""Virtual time at its limits: deadlocks, horizons, runaways, and what it refuses."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from simulators.clock import SimLoop
from simulators.errors import (
    OptionError,
    SimDeadlock,
    SimHorizonReached,
    SimRefused,
    SimStepLimit,
)
from simulators.runs import sim_test, simulate


def _sim_loop() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


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
    assert "test_clock_limits.py:" in str(caught.value)
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
    with pytest.raises(SimDeadlock, match="can wake a SimLoop; worker tried to"):
        loop.run_until_complete(loop.create_future())


@sim_test
async def test_the_loops_own_thread_may_call_soon_threadsafe() -> None:
    called = asyncio.Event()
    _sim_loop().call_soon_threadsafe(called.set)
    await called.wait()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interleaving": "chaos"}, "interleaving must be"),
        ({"horizon": -1}, "horizon must be"),
        ({"horizon": float("nan")}, "horizon must be"),
        ({"horizon": "1h"}, "horizon must be"),
        ({"max_steps": "many"}, "max_steps must be"),
        ({"start": None}, "start must be"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"start": float("inf")}, "start must be"),
    ],
)
def test_nonsensical_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SimLoop(**options)


@pytest.mark.parametrize("seconds", ["60", None, -1, float("inf")])
def test_the_clock_moves_by_a_finite_number_of_seconds_only(loop: SimLoop, seconds: Any) -> None:
    with pytest.raises(OptionError, match="advance takes a finite number"):
        loop.advance(seconds)
    with pytest.raises(OptionError, match="block takes a finite number"):
        loop.block(seconds)
