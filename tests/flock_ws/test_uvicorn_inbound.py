"""What a peer sends, over real TCP: joined, counted, answered, and when it is too much, closed."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flock_ws.inbound import Refusals, refusals
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from simulators.sockets import SocketClient
from simulators.tcp.frames import BINARY, CONTINUATION, PING, TEXT, encode_frame
from tests.flock_ws.uvicorns import running

pytestmark = pytest.mark.sockets

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Served:
    """An application that listens, and what it heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.count: Refusals = refusals()
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            self.heard.put_nowait(message)
            if message["type"] == "websocket.disconnect":
                return

    async def next(self, patience: float) -> dict[str, Any]:
        async with asyncio.timeout(patience):
            return await self.heard.get()


@contextlib.asynccontextmanager
async def serving(*, rate: float | None = None) -> AsyncIterator[Served]:
    served = Served()
    protocol = FlockWebSocketProtocol.limited(max_inbound_rate=rate, refusals=served.count)
    async with running(served, ws=protocol, ws_max_size=65_536) as server:
        served.port = server.port
        yield served


@pytest.mark.parametrize(
    ("opcode", "message"),
    [(TEXT, {"text": "abcdef"}), (BINARY, {"bytes": b"abcdef"})],
    ids=["text", "binary"],
)
def test_fragments_arrive_as_one_message(
    opcode: int, message: dict[str, Any], patience: float
) -> None:
    async def main() -> None:
        async with serving() as served, SocketClient(served.url) as client:
            for _ in range(2):  # the second begins anew
                client.write(encode_frame(opcode, b"ab", final=False))
                client.write(encode_frame(CONTINUATION, b"", final=False))
                client.write(encode_frame(CONTINUATION, b"cd", final=False))
                client.write(encode_frame(CONTINUATION, b"ef"))
                heard = await served.next(patience)
                assert heard == {"type": "websocket.receive", **message}

    asyncio.run(main())


def test_who_sends_too_often_reads_why_and_the_application_hears_of_it(patience: float) -> None:
    async def main() -> None:
        async with serving(rate=10.0) as served, SocketClient(served.url) as client:
            # A second's worth of messages, and of the frames beside them, is 110.
            client.write(encode_frame(TEXT, b"x") * 200)
            closed = await client.wait_closed(timeout=patience)
            assert (closed.code, closed.reason) == (1008, "too many messages")
            while (message := await served.next(patience))["type"] == "websocket.receive":
                pass
            assert (message["code"], served.count["inbound_rate"]) == (1008, 1)

    asyncio.run(main())


def test_who_keeps_to_the_rate_is_let_be(patience: float) -> None:
    async def main() -> None:
        async with serving(rate=10.0) as served, SocketClient(served.url) as client:
            client.write(encode_frame(TEXT, b"x") * 100)
            for _ in range(100):
                assert (await served.next(patience))["type"] == "websocket.receive"
            assert (client.connected, served.count["inbound_rate"]) == (True, 0)

    asyncio.run(main())


def test_without_a_rate_nothing_is_counted(patience: float) -> None:
    async def main() -> None:
        async with serving() as served, SocketClient(served.url) as client:
            client.write(encode_frame(TEXT, b"x") * 3_000)
            for _ in range(3_000):
                assert (await served.next(patience))["type"] == "websocket.receive"

    asyncio.run(main())


def test_who_sends_too_large_a_message_is_counted_once(patience: float) -> None:
    async def main() -> None:
        async with serving() as served, SocketClient(served.url) as client:
            client.write(encode_frame(TEXT, b"x" * 65_537))
            closed = await client.wait_closed(timeout=patience)
            assert (closed.code, served.count["inbound_bytes"]) == (1009, 1)

    asyncio.run(main())


async def ping_without_reading(deaf: socket.socket, port: int, payloads: list[bytes]) -> None:
    """Come in and send pings, whose answers fill every buffer."""
    loop = asyncio.get_running_loop()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)  # noqa: FBT003 - the standard library's signature
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    await loop.sock_sendall(deaf, UPGRADE)
    assert await loop.sock_recv(deaf, 12) == b"HTTP/1.1 101"
    for payload in payloads:
        await loop.sock_sendall(deaf, encode_frame(PING, payload))


async def hear(deaf: socket.socket, last: bytes) -> bytes:
    """Read at last, until something certain was said."""
    heard = b""
    while last not in heard:
        piece = await asyncio.get_running_loop().sock_recv(deaf, 65_536)
        assert piece
        heard += piece
    return heard


PINGS = [f"{number:0125d}".encode() for number in range(4_000)]
PONG = b"\x8a\x7d"


def test_who_does_not_read_is_owed_the_last_pongs_only(patience: float) -> None:
    async def main() -> bytes:
        async with serving() as served:
            with contextlib.closing(socket.socket()) as deaf:
                async with asyncio.timeout(patience):
                    await ping_without_reading(deaf, served.port, PINGS)
                    said = encode_frame(TEXT, b"that was all")
                    await asyncio.get_running_loop().sock_sendall(deaf, said)
                    assert (await served.heard.get())["type"] == "websocket.receive"
                    return await hear(deaf, PINGS[-1])

    # Each takes 127 bytes; what the kernel's buffers hold of the first ones is answered too.
    assert asyncio.run(main()).count(PONG) < len(PINGS) / 2


def test_no_pong_that_was_owed_follows_the_close(patience: float) -> None:
    async def main() -> bytes:
        async with serving() as served:
            with contextlib.closing(socket.socket()) as deaf:
                async with asyncio.timeout(patience):
                    await ping_without_reading(deaf, served.port, PINGS)
                    reserved = b"\xf1\x80\0\0\0\0"
                    await asyncio.get_running_loop().sock_sendall(deaf, reserved)
                    assert (await served.heard.get())["code"] == 1002
                    heard = await hear(deaf, b"\x03\xeareserved bits must be 0")
                    with contextlib.suppress(OSError):
                        while piece := await asyncio.get_running_loop().sock_recv(deaf, 65_536):
                            heard += piece
                    return heard

    heard = asyncio.run(main())
    assert PONG not in heard[heard.index(b"\x03\xea") :]
