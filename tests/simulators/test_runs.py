"""The ways into virtual time, in every company of plugins."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.clock import SimLoop
from simulators.errors import OptionError, SimulatorError
from simulators.runs import sim_runner, sim_test, simulate


def test_simulate_returns_what_main_returns() -> None:
    async def main() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    assert simulate(main, start=5) == 3_605


def test_an_exception_carries_the_seed() -> None:
    async def main() -> None:
        await asyncio.sleep(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        simulate(main, seed=42)
    assert "at 2 s, seed 42, fifo" in caught.value.__notes__[0]


def test_tasks_that_are_left_are_cancelled_in_order_of_creation() -> None:
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            ended.append(number)

    async def main() -> None:
        tasks = [asyncio.create_task(wait(number), name="same") for number in range(50)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in tasks)

    simulate(main)
    assert ended == list(range(50))


def test_an_error_while_ending_goes_to_the_exception_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(1)
        assert not task.done()

    simulate(main)
    assert "while the simulation ended" in caplog.text


def test_asynchronous_generators_are_closed() -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    generator = numbers()

    async def main() -> int:
        return await anext(generator)

    assert simulate(main) == 1
    assert closed == [True]


def test_simulate_inside_a_running_loop_says_so() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match="one is running in this thread"):
            simulate(lambda: asyncio.sleep(0))

    asyncio.run(main())


def test_the_coroutine_in_place_of_its_function_is_refused_and_closed() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    coroutine = main()
    with pytest.raises(OptionError, match=r"simulate\(\) calls main itself"):
        simulate(coroutine)  # type: ignore[arg-type]  # the point of the test
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(OptionError, match="takes an async function, not 3"):
        simulate(3)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(OptionError, match=r"options by name, as @sim_test\(seed=7\), not 7"):
        sim_test(7)  # type: ignore[call-overload]  # the point of the test


def test_a_test_that_is_not_asynchronous_is_told_so_by_name() -> None:
    @sim_test  # type: ignore[arg-type]  # the point of the test
    def test_plain() -> None:
        pass

    with pytest.raises(OptionError, match=r"test_plain must be an async function .* returned None"):
        test_plain()


def test_sim_runner_keeps_one_clock_over_several_runs() -> None:
    with sim_runner(seed=3) as runner:
        runner.run(asyncio.sleep(10))
        runner.run(asyncio.sleep(5))
        loop = runner.get_loop()
        assert isinstance(loop, SimLoop)
        assert (loop.time(), loop.seed) == (15, 3)


@pytest.fixture
def number() -> int:
    return 7


class TestSimTest:
    @sim_test(seed=9)
    async def test_it_passes_self_and_fixtures(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        assert (number, loop.seed) == (7, 9)

    @pytest.mark.parametrize("value", [1, 2])
    @sim_test
    async def test_it_takes_parameters(self, value: int) -> None:
        await asyncio.sleep(value)
        assert asyncio.get_running_loop().time() == value


_SUITE = """
import asyncio
import pytest
from simulators.runs import sim_test

@pytest.fixture
def number():
    return 7

@sim_test
async def test_plain(number):
    await asyncio.sleep(86_400)
    assert number == 7

@sim_test
@pytest.mark.asyncio
@pytest.mark.anyio
async def test_marked():
    await asyncio.sleep(86_400)

@sim_test(seed=42)
async def test_fails():
    await asyncio.sleep(2)
    assert False
"""


_SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=strict", *_SCOPE],
        ["-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", *_SCOPE],
        ["-p", "anyio.pytest_plugin"],
    ],
    ids=["neither", "asyncio-strict", "asyncio-auto", "anyio"],
)
def test_sim_test_works_beside_every_plugin(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "test_it.py").write_text(_SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    asyncio: x\n    anyio: x\n")
    run = subprocess.run(  # noqa: S603  # our own interpreter and constant options
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert "at 2 s, seed 42" in run.stdout
