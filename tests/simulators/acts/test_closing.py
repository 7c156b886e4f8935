"""Clients that close badly on a real socket, as the other side sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.faults import (
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    IgnoresClose,
    SendsAfterClose,
    SimultaneousClose,
)
from simulators.sockets import SocketClient
from tests.simulators.scene import flood

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]
CLOSE_1001 = b"\x03\xe9"
CLOSE_1012 = b"\x03\xf4"


class TestClosing:
    def test_one_that_ignores_a_close_keeps_its_connection_for_as_long_as_it_says(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = IgnoresClose(hold=0.05)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                assert client.connected_at is not None
                server.send(0x88, CLOSE_1012)
                closed = await client.wait_closed()
                assert closed.code == 1012
                assert closed.time - client.connected_at > 0.045
                await wait(lambda: server.end)
                assert server.frames == []

        asyncio.run(main())

    def test_one_that_sends_after_a_close_answers_it_last(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = SendsAfterClose(messages=2, rate=1_000)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)):
                await wait(lambda: server.writer)
                server.send(0x88, CLOSE_1012)
                await wait(lambda: server.end)
                assert [first for first, _ in server.frames] == [0x81, 0x81, 0x88]

        asyncio.run(main())

    def test_one_that_closes_at_the_same_time_does_not_echo_the_code(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with (
                peer() as (server, url),
                SocketClient(url, Behaviour.of(SimultaneousClose())),
            ):
                await wait(lambda: server.writer)
                server.send(0x88, CLOSE_1012)
                await wait(lambda: server.end)
                assert server.said(0x88) == [CLOSE_1001]

        asyncio.run(main())

    def test_one_that_leaves_in_the_middle_of_a_message_has_not_taken_it(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            taken: list[int] = []
            async with peer() as (server, url):
                client = SocketClient(url, Behaviour.of(ClosesMidBroadcast(nth=2)))
                async with client:
                    server.send(0x81, b"one")
                    await client.wait_received(1)
                    # The head alone: the message never comes.
                    server.writer.write(b"\x81\x05")
                    await wait(lambda: server.said(0x88))
                    taken.append(client.received_messages)
                    client.die()
            assert (taken, server.said(0x88)) == ([1], [CLOSE_1001])

        asyncio.run(main())

    def test_one_that_closes_while_blocked_is_heard_though_the_send_waits_on(
        self, serve: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = ClosesWhileBlocked(hold=0.2)
            async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
                await wait(lambda: served.websockets)
                sending = asyncio.ensure_future(flood(served.websockets[0]))
                await wait(lambda: served.blocked)
                await wait(lambda: served.disconnects)
                # uvicorn tells its application at once, and lets the send wait all the same.
                assert not sending.done()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                assert served.disconnects == [1001]
                assert client.stalled

        asyncio.run(main())
