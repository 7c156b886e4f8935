import asyncio
import threading

import pytest
from starlette.types import Receive, Scope, Send

from simulators.contract import serving
from simulators.contract.serving import ServerThread

pytestmark = pytest.mark.sockets


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nobody."""


def test_a_server_that_closes_its_loop_is_struck_no_more(
    monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    # As on a machine so busy that the thread gets no core for its last lines.
    closing, cores, struck = threading.Event(), threading.Event(), list[int]()

    def wait_for_a_core(_: asyncio.AbstractEventLoop) -> None:
        closing.set()
        cores.wait(patience)

    async def end() -> None:
        raise SystemExit

    server = ServerThread(nothing)
    server.start()
    monkeypatch.setattr(serving, "_forget_tasks", wait_for_a_core)
    monkeypatch.setattr(serving, "strike", struck.append)
    for limit in ("_START", "_STOP", "_STRIKE_EVERY"):
        monkeypatch.setattr(serving, limit, 0.01)
    loop = server.submit(running_loop).result(timeout=patience)
    loop.call_soon_threadsafe(loop.create_task, end())
    assert closing.wait(patience)
    server.stop()
    assert server.left_running
    assert struck == []
    monkeypatch.undo()
    cores.set()
    server.stop()
    assert not server.left_running


def test_a_server_is_not_struck_for_the_time_in_which_it_had_no_core(
    monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    cores, asked, struck = threading.Event(), list[int | None](), list[int]()

    def a_little_more_each_time(thread: int | None) -> float:
        asked.append(thread)
        if len(asked) == 5:
            cores.set()
        return len(asked) * 0.01

    server = ServerThread(nothing)
    server.start()
    loop = server.submit(running_loop).result(timeout=patience)
    its_thread = server.submit(native_id).result(timeout=patience)
    loop.call_soon_threadsafe(cores.wait, patience)
    monkeypatch.setattr(serving, "starved", a_little_more_each_time)
    monkeypatch.setattr(serving, "strike", struck.append)
    monkeypatch.setattr(serving, "_STOP", 0.01)
    server.stop()
    assert struck == []
    assert set(asked) == {its_thread}
    assert not server.left_running


async def native_id() -> int:
    return threading.get_native_id()


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
