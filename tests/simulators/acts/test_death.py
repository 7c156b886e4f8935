"""Clients that die on a real socket, as the other side sees it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.faults import (
    CloseWithUnread,
    DiesDuringBroadcast,
    DoubleDisconnect,
    Fault,
    FinWithoutClose,
    HalfClose,
    HalfOpen,
    Reset,
)
from simulators.sockets import SocketClient
from simulators.tcp.connection import hearken
from tests.simulators.scene import flood

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]
CLOSE_1001 = b"\x03\xe9"
CLOSE_1012 = b"\x03\xf4"


DEATHS = [
    (FinWithoutClose(after_messages=2), "fin", 2),
    (Reset(after_messages=2), "reset", 2),
    (Reset(after_messages=2, when="mid_frame"), "reset", 2),
    (DiesDuringBroadcast(nth=3), "reset", 2),
    (CloseWithUnread(after_messages=2), "reset", 2),
    (DoubleDisconnect(after_messages=2), "reset", 2),
    (FinWithoutClose(after_seconds=0.02), "fin", 0),
    (Reset(after_seconds=0.02), "reset", 0),
]


class TestDeath:
    @pytest.mark.parametrize(
        ("fault", "end", "taken"), DEATHS, ids=[fault.describe() for fault, _, _ in DEATHS]
    )
    def test_the_server_sees_its_end(
        self, peer: Make, wait: Wait, fault: Fault, end: str, taken: int
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                if taken:
                    for n in range(4):
                        server.send(0x81, b"%d" % n)
                await wait(lambda: server.end)
                assert server.end == end
                assert client.received_messages == taken
                assert client.died_at is not None

        asyncio.run(main())

    def test_one_that_dies_in_mid_frame_has_read_half_of_it_and_no_more(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = Reset(after_messages=1, when="mid_frame")
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                server.send(0x81, b"whole")
                server.send(0x81, b"x" * 1_000)
                await wait(lambda: server.end)
                assert client.gate is not None
                assert client.gate.reader.buffered_bytes == 502  # of 1004 with the head

        asyncio.run(main())

    def test_one_that_dies_during_a_send_lets_the_server_block_first(
        self, serve: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = Reset(when="during_send")
            async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
                await wait(lambda: served.websockets)
                sending = asyncio.ensure_future(flood(served.websockets[0]))
                await wait(lambda: served.blocked)
                alive = client.died_at is None
                await wait(lambda: served.disconnects)
                await asyncio.gather(sending, return_exceptions=True)
                assert alive
                assert client.died_at is not None

        asyncio.run(main())

    def test_a_half_closed_client_still_reads(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            async with (
                peer() as (server, url),
                SocketClient(url, Behaviour.of(HalfClose())) as client,
            ):
                await wait(lambda: server.end == "fin")
                server.send(0x81, b"still here")
                await client.wait_received(1)

        asyncio.run(main())

    def test_a_double_disconnect_sends_its_close_frame_before_the_reset(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, Behaviour.of(DoubleDisconnect())):
                await wait(lambda: server.end == "reset")
                assert server.said(0x88) == [CLOSE_1001]

        asyncio.run(main())

    def test_a_half_open_client_answers_nothing_and_keeps_its_connection(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = HalfOpen(after_messages=1)
            async with peer() as (server, url):
                async with SocketClient(url, Behaviour.of(fault)) as client:
                    server.send(0x81, b"one")
                    server.send(0x89, b"ping")
                    server.send(0x88, CLOSE_1012)
                    await wait(lambda: client.stalled)
                    assert client.hung_up in (False, None)
                assert (server.frames, client.received_messages) == ([], 1)

        asyncio.run(main())

    def test_one_that_has_vanished_does_not_even_acknowledge(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url) as client:
                await wait(lambda: server.writer)
                try:
                    client.vanish()
                except OSError as reason:
                    pytest.skip(f"no peer that does not acknowledge: {reason}")
                sock = server.writer.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
                server.send(0x81, b"into the void")
                await wait(lambda: server.end == "timeout")
                assert client.received_messages == 0

        asyncio.run(main())

    def test_one_that_hearkens_gets_what_was_sent_while_it_was_deaf(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url) as client:
                await wait(lambda: server.writer)
                try:
                    client.vanish()
                except OSError as reason:
                    pytest.skip(f"no peer that does not acknowledge: {reason}")
                server.send(0x81, b"into the void")
                assert client.socket is not None
                hearken(client.socket)
                client.resume()
                # It is the peer's next attempt that arrives.
                await client.wait_received(1)

        asyncio.run(main())
