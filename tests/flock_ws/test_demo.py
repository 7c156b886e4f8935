import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator

import pytest

from flock_ws.demo import MOST_CLIENTS, Demo, DemoError

NOBODY = "ws://127.0.0.1:9/ws"


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Demo]:
    one = Demo()
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


@pytest.mark.sockets
@pytest.mark.asyncio
async def test_what_can_be_added_is_told_by_the_process() -> None:
    async with running() as one:
        await one.clear()
        assert set(one.told()["kinds"]) == {"healthy", "slow", "stalled", "dead"}
        assert one.told()["living"] == dict.fromkeys(one.kinds, 0)


@pytest.mark.sockets
@pytest.mark.asyncio
async def test_what_the_process_refuses_is_an_error_with_its_reason() -> None:
    async with running() as one:
        with pytest.raises(DemoError, match=f"at most {MOST_CLIENTS} simulated clients"):
            await one.add("healthy", MOST_CLIENTS + 1, url=NOBODY)
        with pytest.raises(DemoError, match="no 'lazy' client"):
            await one.add("lazy", 1, url=NOBODY)


@pytest.mark.sockets
@pytest.mark.asyncio
async def test_a_process_that_was_killed_is_told_of_and_not_waited_for() -> None:
    async with running() as one:
        await one.clear()
        assert one._process is not None
        one._process.kill()
        with pytest.raises(DemoError, match="process of the simulated clients ended with -9"):
            await one.clear()
        assert one.told()["failure"] is not None
        assert one.living == {}


@pytest.mark.sockets
@pytest.mark.asyncio
async def test_after_the_end_there_is_no_process_and_a_clear_word() -> None:
    async with running() as one:
        process = one._process
    assert process is not None
    assert process.returncode is not None
    with pytest.raises(DemoError, match="have ended"):
        await one.add("healthy", 1, url=NOBODY)
    await one.stop()


def test_before_the_server_runs_there_is_a_clear_word() -> None:
    with pytest.raises(DemoError, match="begin with the server"):
        asyncio.run(Demo().clear())


def test_without_the_package_the_word_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DemoError, match=r"simulators\.demo, which is not in this installation"):
        Demo()
