"""Sockets whose reading is under control: addresses, what is unread, and how a socket ends."""

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.faults import Fault, IgnoresClose, NeverPongs, PulsingReader, Reset, SlowReader
from simulators.runs import simulate
from simulators.sockets import SocketClient
from simulators.tcp.connection import (
    Gate,
    deafen,
    loopback_addresses,
    reset_on_close,
    unread_bytes,
)

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]
Pair = tuple[socket.socket, socket.socket]

CERTIFICATE = Path(__file__).parents[2] / "localhost.pem"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give both ends of a TCP connection; the second does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    with client, server:
        client.settimeout(0)
        server.settimeout(5)
        yield server, client


class TestAddresses:
    def test_there_are_so_many_and_all_are_this_machine(self) -> None:
        addresses = loopback_addresses(253)
        assert (len(set(addresses)), addresses[0], addresses[-1]) == (
            253,
            "127.0.0.2",
            "127.0.0.254",
        )

    @pytest.mark.parametrize("count", [0, 254])
    def test_more_are_not_to_be_had(self, count: int) -> None:
        with pytest.raises(OptionError, match=f"not {count}"):
            loopback_addresses(count)

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS has only 127.0.0.1 by default")
    def test_a_server_sees_clients_from_each(self, serve: Make, wait: Wait) -> None:
        async def main() -> None:
            addresses = loopback_addresses(3)
            async with serve() as served:
                clients = [SocketClient(served.url, local_address=x) for x in addresses]
                for client in clients:
                    await client.connect()
                await wait(lambda: len(served.websockets) == 3)
                assert {ws.client.host for ws in served.websockets} == set(addresses)
                await asyncio.gather(*(client.leave() for client in clients))

        asyncio.run(main())


def test_what_is_unread_is_counted_and_not_read(pair: Pair) -> None:
    server, client = pair
    assert unread_bytes(client) == 0
    server.sendall(b"x" * 1_000)
    while unread_bytes(client) < 1_000:
        pass
    assert client.recv(2_000) == b"x" * 1_000


class Full(asyncio.Transport):
    """A transport that always has something to read."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.count = 0
        self.reading = True

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        while self.reading:
            nbytes = len(self.gate.get_buffer(-1))
            self.count += nbytes
            self.gate.buffer_updated(nbytes)


@pytest.mark.parametrize("rate", [20_000, 200_000])
def test_a_narrowed_gate_reads_at_its_pace_neither_less_nor_more(rate: int) -> None:
    async def main() -> int:
        gate = Gate(lambda: None, lambda _: None)
        full = Full(gate)
        gate.connection_made(full)
        gate.narrow(SlowReader(bytes_per_second=rate, chunk_bytes=500))
        full.resume_reading()
        await asyncio.sleep(10)
        return full.count

    assert simulate(main) == pytest.approx(10 * rate, rel=0.01)


def test_a_reset_is_what_the_next_close_is(pair: Pair) -> None:
    server, client = pair
    reset_on_close(client)
    client.close()
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_a_deaf_socket_takes_nothing_and_acknowledges_nothing(pair: Pair) -> None:
    server, client = pair
    try:
        deafen(client)
    except OSError as reason:
        pytest.skip(f"no deaf sockets here: {reason}")
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 200)
    server.sendall(b"hello?")
    with pytest.raises(TimeoutError, match="Connection timed out"):
        server.recv(1)
    assert unread_bytes(client) == 0


class TestSecurely:
    @pytest.mark.parametrize(
        "fault",
        [
            Reset(after_messages=1),
            Reset(after_messages=1, when="mid_frame"),
            PulsingReader(on=0.01, off=0.01),
            NeverPongs(),
            IgnoresClose(hold=0.01),
        ],
        ids=lambda fault: fault.describe(),
    )
    def test_the_faults_work_over_tls(self, serve: Make, wait: Wait, fault: Fault) -> None:
        trusting = ssl.create_default_context(cafile=str(CERTIFICATE))

        async def main() -> None:
            async with serve(ssl_certfile=str(CERTIFICATE)) as served:
                behaviour = Behaviour.of(fault)
                async with SocketClient(served.url, behaviour, ssl=trusting) as client:
                    await wait(lambda: served.websockets)
                    for _ in range(2):
                        await served.websockets[0].send_text("x" * 1_000)
                    await client.wait_received(1)
                    if isinstance(fault, IgnoresClose):
                        closing = asyncio.ensure_future(served.websockets[0].close(1012))
                        assert (await client.wait_closed()).code == 1012
                        await closing
                    elif isinstance(fault, Reset):
                        await wait(lambda: served.disconnects)
                        assert client.received_messages == 1

        asyncio.run(main())


def test_one_process_holds_hundreds_of_clients(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        async with serve() as served:
            clients = [SocketClient(served.url, keep=False) for _ in range(300)]
            await asyncio.gather(*(client.connect() for client in clients))
            await wait(lambda: len(served.websockets) == 300)
            await asyncio.gather(*(ws.send_text("hello") for ws in served.websockets))
            await asyncio.gather(*(client.wait_received(1) for client in clients))
            for client in clients:
                client.die()
            await wait(lambda: len(served.disconnects) == 300)

    asyncio.run(main())
