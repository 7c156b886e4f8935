"""Where a task waits, as errors show it."""

import asyncio
from collections.abc import AsyncIterator

import anyio

from simulators.named import StalledClient
from simulators.runs import sim_test
from simulators.whereabouts import waiting


@sim_test
async def test_a_task_waits_at_the_innermost_line_of_the_callers_own_code() -> None:
    async def inner() -> None:
        await asyncio.sleep(1)

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer(), name="waiter")
    await asyncio.sleep(0)
    (found,) = waiting([task])
    assert found.task == "waiter"
    assert "test_whereabouts.py" in found.where
    assert "inner" in found.where
    assert "sleep)" in found.where
    assert str(found).startswith("waiter waits at ")
    await task


@sim_test
async def test_a_task_that_waits_deep_in_a_fake_is_shown_at_the_line_that_sent() -> None:
    stalled = StalledClient()

    async def manager() -> None:
        await stalled.send_text("x")

    task = asyncio.create_task(manager())
    await asyncio.sleep(0)
    (found,) = waiting([task])
    assert "test_whereabouts.py" in found.where
    assert "manager" in found.where
    assert found.where.endswith("in WebSocket.send_text)")
    task.cancel()
    await asyncio.wait([task])


@sim_test
async def test_a_task_that_runs_libraries_only_is_shown_at_their_innermost_line() -> None:
    task = asyncio.create_task(anyio.sleep(1))
    await asyncio.sleep(0)
    (found,) = waiting([task])
    assert "in AsyncIOBackend.sleep (" in found.where
    await task


@sim_test
async def test_a_task_that_never_ran_waits_for_its_first_step() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    task = asyncio.create_task(work())
    (found,) = waiting([task])
    assert "work" in found.where
    await task


@sim_test
async def test_a_task_inside_an_asynchronous_generator_is_found_at_least_outside_it() -> None:
    async def numbers() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def count() -> None:
        async for _ in numbers():
            pass

    task = asyncio.create_task(count())
    await asyncio.sleep(0)
    (found,) = waiting([task])
    assert "count" in found.where or "numbers" in found.where
    task.cancel()
    await asyncio.wait([task])
