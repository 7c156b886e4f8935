"""What clients answer to pings on a real socket, and what they send unasked."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.faults import (
    Fault,
    Flood,
    LatePong,
    NeverPongs,
    PingFlood,
    SilentApplication,
    UnsolicitedPongs,
    WrongPong,
)
from simulators.sockets import SocketClient

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]

PING = b'{"type": "ping"}'


def loop_turn() -> Callable[[], bool]:
    """Give a condition that holds after 30 ms: time for many more messages."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    return lambda: loop.time() - since > 0.03


class TestLiveness:
    @pytest.mark.parametrize(
        ("fault", "protocol", "application"),
        [
            (None, [b"hello"], 1),
            (NeverPongs(), [], 0),
            (NeverPongs(after_seconds=60), [b"hello"], 1),
            (SilentApplication(), [b"hello"], 0),
            (WrongPong(), [b"hell?"], 1),
            (LatePong(delay=0.02), [b"hello"], 1),
        ],
        ids=["healthy", "never", "not yet", "silent", "wrong", "late"],
    )
    def test_pings_are_answered_or_not(
        self, peer: Make, wait: Wait, fault: Fault | None, protocol: list[bytes], application: int
    ) -> None:
        async def main() -> None:
            behaviour = Behaviour.of(fault) if fault else None
            async with peer() as (server, url), SocketClient(url, behaviour) as client:
                server.send(0x89, b"hello")
                server.send(0x81, PING)
                await client.wait_received(1)
                await wait(lambda: len(server.texts) == application)
                client.say("the end")
                await wait(lambda: b"the end" in server.texts)
                assert server.said(0x8A) == protocol
                assert len(server.texts) == application + 1

        asyncio.run(main())

    def test_a_client_falls_silent_when_its_time_has_come(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = NeverPongs(after_seconds=0.01)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                await wait(lambda: not client._timers)
                server.send(0x89, b"hello")
                server.send(0x81, PING)
                await client.wait_received(1)
                client.say("the end")
                await wait(lambda: b"the end" in server.texts)
                assert server.said(0x8A) == []
                assert server.texts == [b"the end"]

        asyncio.run(main())

    def test_a_late_pong_takes_its_time(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with (
                peer() as (server, url),
                SocketClient(url, Behaviour.of(LatePong(delay=0.1))),
            ):
                await wait(lambda: server.writer)
                asked = loop.time()
                server.send(0x89, b"hello")
                await wait(lambda: server.said(0x8A))
                assert 0.095 < loop.time() - asked < 5

        asyncio.run(main())

    def test_a_wrong_pong_of_the_application_has_a_timestamp_of_minus_one(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, Behaviour.of(WrongPong())):
                await wait(lambda: server.writer)
                server.send(0x81, PING)
                await wait(lambda: server.texts)
                assert json.loads(server.texts[0]) == {"type": "pong", "timestamp": -1}

        asyncio.run(main())

    @pytest.mark.parametrize(
        ("fault", "first"),
        [
            (UnsolicitedPongs(rate=2_000), 0x8A),
            (PingFlood(rate=2_000), 0x89),
            (Flood(rate=2_000, message_bytes=50), 0x81),
        ],
        ids=["pongs", "pings", "messages"],
    )
    def test_a_flood_goes_on_and_is_never_faster_than_its_rate(
        self, peer: Make, wait: Wait, fault: Fault, first: int
    ) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)):
                began = loop.time()
                await wait(lambda: len(server.said(first)) >= 300)
                seen, took = len(server.said(first)), loop.time() - began
                assert seen <= 2_000 * took + 30

        asyncio.run(main())

    def test_a_flood_waits_for_a_server_that_does_not_read(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = Flood(rate=1_000_000, message_bytes=2_000)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                await wait(lambda: server.writer)
                server.writer.transport.pause_reading()
                assert client.gate is not None
                transport = client.gate.transport
                assert transport is not None
                await wait(lambda: transport.get_write_buffer_size() > 256 * 1024)
                full = transport.get_write_buffer_size()
                turn = loop_turn()
                await wait(turn)
                assert transport.get_write_buffer_size() == full
                client.die()

        asyncio.run(main())
