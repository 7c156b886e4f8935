"""A client in a process of its own: stopped, woken, killed; and a server short of descriptors."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.child import ChildClient
from simulators.descriptors import few_descriptors
from simulators.errors import NotSeen, OptionError
from simulators.faults import FdExhaustion, PausedProcess
from simulators.sockets import ConnectFailed, SocketClient

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP and no prlimit"),
]

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]


def test_a_stopped_process_holds_the_server_up_and_a_woken_one_takes_it_all(
    serve: Make, wait: Wait
) -> None:
    async def main() -> None:
        async with serve() as served, ChildClient(served.url) as child:
            await wait(lambda: served.websockets)
            websocket = served.websockets[0]
            child.pause()
            sends = asyncio.ensure_future(many(websocket, 200))
            await wait(lambda: served.blocked)
            assert not sends.done()
            assert child.received_messages == 0
            child.wake()
            await child.wait_received(200)
            await sends

    asyncio.run(main())


async def many(websocket: Any, count: int) -> None:
    for _ in range(count):
        await websocket.send_text("x" * 60_000)


def test_a_paused_process_pauses_and_wakes_by_itself(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        behaviour = Behaviour(name="paused", faults=(PausedProcess(seconds=0.2),))
        async with serve() as served, ChildClient(served.url, behaviour) as child:
            await wait(lambda: served.websockets and child.paused)
            await served.websockets[0].send_text("hello")
            with pytest.raises(NotSeen, match="its process is stopped"):
                await child.wait_received(1, timeout=0.05)
            await child.wait_received(1)
            assert not child.paused

    asyncio.run(main())


def test_a_killed_process_is_gone_without_a_close_frame(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        async with serve() as served, ChildClient(served.url) as child:
            await wait(lambda: served.websockets)
            child.kill()
            await wait(lambda: served.disconnects)
            assert served.disconnects == [1005]

    asyncio.run(main())


def test_its_behaviour_and_its_end_come_through(peer: Make) -> None:
    async def main() -> None:
        async with peer() as (server, url):
            async with ChildClient(url, Behaviour.dead(after_messages=1), name="page") as child:
                server.send(0x81, b"one")
                closed = await child.wait_closed()
            assert (closed.code, closed.reason) == (1006, "reset by this client")

    asyncio.run(main())


def test_that_it_cannot_connect_is_told() -> None:
    async def main() -> None:
        with pytest.raises(ConnectFailed, match="nothing listens"):
            async with ChildClient("ws://127.0.0.1:1/"):
                pass

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_server_without_descriptors_serves_who_it_has_and_newcomers_afterwards(
    server_process: Callable[..., AbstractContextManager[tuple[int, str]]],
) -> None:
    async def main() -> None:
        with server_process("--loop", "asyncio") as (process_id, url):
            async with SocketClient(url) as old:
                with few_descriptors(process_id, FdExhaustion(spare=1)):
                    async with SocketClient(url):
                        with pytest.raises(ConnectFailed, match="no answer to the upgrade"):
                            await SocketClient(url).connect(timeout=1.5)
                    assert old.connected
                async with SocketClient(url) as new:
                    assert new.connected

    asyncio.run(main())


def test_this_process_itself_is_spared() -> None:
    with pytest.raises(OptionError, match="another process"), few_descriptors(os.getpid()):
        pass
