"""The outlet over real TCP: what arrives, in which order, and that nothing is copied."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from random import Random

import pytest

from flock_ws.outlet import Outlet

pytestmark = pytest.mark.sockets


class Line(asyncio.Protocol):
    """A server's connection that writes through an outlet."""

    def __init__(self) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.gone = asyncio.get_running_loop().create_future()
        self.outlet: Outlet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.outlet = Outlet(transport, asyncio.get_running_loop())
        self.ready.set_result(None)

    def pause_writing(self) -> None:
        self.outlet.pause_writing()

    def resume_writing(self) -> None:
        self.outlet.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.outlet.lost()
        self.gone.set_result(exc)


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Outlet, Line, socket.socket]]:
    """Give a server's outlet and the peer's socket, with small kernel buffers."""
    loop = asyncio.get_running_loop()
    line = Line()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    # Loopback's segments of 64 KiB wait for a delayed acknowledgement when they do not fit.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_024)
    listener.bind(("127.0.0.1", 0))
    server = await loop.create_server(lambda: line, sock=listener)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        peer.setblocking(False)  # noqa: FBT003 # its only parameter
        await loop.sock_connect(peer, listener.getsockname())
        await line.ready
        try:
            yield line.outlet, line, peer
        finally:
            if not line.gone.done():
                line.outlet.abort()
            await line.gone
            server.close()


async def read(peer: socket.socket, count: int, patience: float) -> bytes:
    data = b""
    async with asyncio.timeout(patience):
        while len(data) < count:
            chunk = await asyncio.get_running_loop().sock_recv(peer, 65_536)
            if not chunk:
                break
            data += chunk
    return data


def fill(outlet: Outlet) -> bytes:
    """Offer until it is full; return what it has taken."""
    number = 0
    taken = []
    while outlet.offer(frames := f"{number:<65536}".encode()):
        taken.append(frames)
        number += 1
    return b"".join(taken)


def test_what_is_offered_arrives_in_order_with_what_the_server_writes_between(
    patience: float,
) -> None:
    async def main(seed: int) -> None:
        random = Random(seed)
        async with connected() as (outlet, _, peer):
            expected, received = b"", b""
            for number in range(100):
                data = f"<{number}>".encode() * random.choice([1, 10, 300, 9_000])
                if random.random() < 0.3:
                    outlet.write(data)
                    expected += data
                elif outlet.offer(data):
                    expected += data
                else:
                    received += await read(peer, 1, patience)
            received += await read(peer, len(expected) - len(received), patience)
            assert received == expected

    for seed in range(5):
        asyncio.run(main(seed))


def test_a_full_connection_keeps_a_reference_and_copies_a_small_piece() -> None:
    async def main() -> None:
        async with connected() as (outlet, _, _):
            fill(outlet)
            assert outlet.paused
            assert outlet._rests is not None
            (rest,) = outlet._rests
            assert isinstance(rest.obj, bytes)
            assert len(rest.obj) == 65_536
            assert outlet._transport.get_write_buffer_size() <= 2_048
            assert outlet.get_write_buffer_size() > len(rest)

    asyncio.run(main())


def test_nothing_is_taken_while_earlier_bytes_wait(patience: float) -> None:
    async def main() -> None:
        async with connected() as (outlet, _, peer):
            taken = fill(outlet)
            assert not outlet.offer(b"later")
            assert await read(peer, len(taken), patience) == taken
            async with asyncio.timeout(patience):
                while outlet.paused:  # noqa: ASYNC110 # the transport tells its protocol alone
                    await asyncio.sleep(0)
            assert outlet.offer(b"later")
            assert await read(peer, 5, patience) == b"later"

    asyncio.run(main())


def test_closing_sends_what_waits_and_takes_nothing_more(patience: float) -> None:
    async def main() -> None:
        async with connected() as (outlet, _, peer):
            taken = fill(outlet)
            outlet.write(b"goodbye")
            outlet.close()
            with pytest.raises(BrokenPipeError):
                outlet.offer(b"later")
            assert await read(peer, len(taken) + 100, patience) == taken + b"goodbye"

    asyncio.run(main())


def test_an_abort_frees_what_waits_at_once(patience: float) -> None:
    async def main() -> None:
        async with connected() as (outlet, line, _):
            fill(outlet)
            outlet.abort()
            assert outlet._rests is None
            async with asyncio.timeout(patience):
                await asyncio.shield(line.gone)

    asyncio.run(main())


def test_a_peer_that_has_reset_ends_the_connection_by_the_transports_own_way(
    patience: float,
) -> None:
    async def main() -> None:
        async with connected() as (outlet, line, peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            while not outlet.shut:
                with contextlib.suppress(BrokenPipeError):
                    outlet.offer(b"anybody there?")
                await asyncio.sleep(0)
            async with asyncio.timeout(patience):
                await asyncio.shield(line.gone)

    asyncio.run(main())


def test_a_large_write_to_a_peer_that_has_reset_is_given_up_at_once(
    patience: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with connected() as (outlet, line, peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            outlet.offer(b"x" * 1_000_000)
            async with asyncio.timeout(patience):
                await asyncio.shield(line.gone)

    asyncio.run(main())
    assert caplog.records == []


def test_what_was_written_before_there_was_an_outlet_is_not_overtaken(patience: float) -> None:
    async def main() -> None:
        async with connected() as (first, line, peer):
            transport = first._transport
            transport.set_write_buffer_limits(high=1 << 20)
            filling = b""
            while not transport.get_write_buffer_size():
                transport.write(b"x" * 65_536)
                filling += b"x" * 65_536
            line.outlet = Outlet(transport, asyncio.get_running_loop())
            assert not line.outlet.offer(b"later")
            assert await read(peer, len(filling), patience) == filling

    asyncio.run(main())
