"""Clients that read badly on a real socket, as the other side sees it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.faults import (
    PulsingReader,
    TinyWindow,
)
from simulators.sockets import SocketClient

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]


class TestReading:
    def test_a_pulsing_reader_stops_and_goes_on_and_loses_nothing(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = PulsingReader(on=0.02, off=0.02)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                for _ in range(2):
                    await wait(lambda: client.stalled)
                    server.send(0x81, b"while stalled")
                    await wait(lambda: not client.stalled)
                await client.wait_received(2)

        asyncio.run(main())

    def test_a_tiny_window_is_asked_for_before_the_connection(self, peer: Make) -> None:
        async def main() -> None:
            fault = TinyWindow(receive_buffer_bytes=5_000)
            async with peer() as (_, url), SocketClient(url, Behaviour.of(fault)) as client:
                assert client.socket is not None
                size = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                assert size in (5_000, 10_000)

        asyncio.run(main())
