"""Requests over real TCP that take too long, and those that do not."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flock_ws.inbound import Refusals, refusals
from flock_ws.uvicorn_http import FlockHttpProtocol
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from tests.flock_ws.uvicorns import running

pytestmark = pytest.mark.sockets

HASTY = 0.2
BRISK = 1.0
"""For what must arrive in time, on a machine that is busy."""
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LARGE = b"x" * 4 * 1024 * 1024
SOME = b"x" * 48 * 1024
"""More than the kernel takes at once, and less than what uvicorn waits for."""


def ask(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request with its body or by its path; say hello over a WebSocket."""
    message = await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "hello"})
        return
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.request":
        answer = {"/large": LARGE, "/some": SOME}.get(scope["path"], body)
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


@contextlib.asynccontextmanager
async def serving(*, patient: float) -> AsyncIterator[tuple[int, Refusals]]:
    count = refusals()
    http = FlockHttpProtocol.limited(handshake_timeout=patient, refusals=count)
    async with running(application, http=http, ws=FlockWebSocketProtocol) as server:
        yield server.port, count


async def ended(reader: asyncio.StreamReader, patience: float) -> bytes:
    """Wait until the server ends the connection; return what it said before."""
    async with asyncio.timeout(patience):
        with contextlib.suppress(OSError):
            return await reader.read()
    return b""


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", HEAD, HEAD + b"{}"],
    ids=["nothing", "half a line", "half a head", "no body", "half a body"],
)
def test_a_request_that_does_not_arrive_in_time_is_dropped_unanswered(
    said: bytes, patience: float
) -> None:
    async def main() -> None:
        async with serving(patient=HASTY) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            assert await ended(reader, patience) == b""
            assert count["handshake_timeout"] == 1
            writer.transport.abort()

    asyncio.run(main())


def test_a_request_that_goes_on_dripping_is_dropped_all_the_same(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=HASTY) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def drip() -> None:
                writer.write(b"GET / HTTP/1.1\r\n")
                while True:
                    writer.write(b"X: y\r\n")
                    await asyncio.sleep(HASTY / 10)

            dripping = asyncio.create_task(drip())
            await ended(reader, patience)
            dripping.cancel()
            assert count["handshake_timeout"] == 1
            writer.transport.abort()

    asyncio.run(main())


def test_the_second_request_of_a_connection_has_its_own_time(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=BRISK) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(patience):
                for _ in range(2):
                    writer.write(HEAD + b"body")
                    await reader.readuntil(b"body")
            assert count["handshake_timeout"] == 0
            writer.write(HEAD)
            await ended(reader, patience)
            assert count["handshake_timeout"] == 1
            writer.transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "answered between"])
def test_the_head_of_a_second_request_is_bounded_too(together: bool, patience: float) -> None:  # noqa: FBT001 - a case
    async def main() -> None:
        async with serving(patient=HASTY) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"body" + (b"GET / HT" if together else b""))
            async with asyncio.timeout(patience):
                await reader.readuntil(b"body")
            assert count["handshake_timeout"] == 0
            if not together:
                writer.write(b"GET / HT")
            assert await ended(reader, patience) == b""
            assert count["handshake_timeout"] == 1
            writer.transport.abort()

    asyncio.run(main())


def test_a_connection_that_became_a_websocket_has_arrived(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=BRISK) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            silent, other = await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPGRADE)
            async with asyncio.timeout(patience):
                await reader.readuntil(b"\r\n\r\n")
                await ended(silent, patience)  # the time of the younger connection is over
                writer.write(b"\x81\x80\0\0\0\0")
                assert await reader.readexactly(7) == b"\x81\x05hello"
            assert count["handshake_timeout"] == 1
            writer.transport.abort()
            other.transport.abort()

    asyncio.run(main())


def test_a_websocket_asked_for_behind_an_answer_that_is_on_its_way_stays(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=BRISK) as (port, count):
            narrow = socket.socket()
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            narrow.connect(("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=narrow)
            silent, other = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ask("/some") + UPGRADE)
            async with asyncio.timeout(patience):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(len(SOME)) == SOME
                assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
                await ended(silent, patience)  # the time of the younger connection is over
                writer.write(b"\x81\x80\0\0\0\0")
                assert await reader.readexactly(7) == b"\x81\x05hello"
            assert count["answer_timeout"] == 0
            writer.transport.abort()
            other.transport.abort()

    asyncio.run(main())


def test_a_websocket_asked_for_behind_an_answer_that_fills_the_buffer_is_refused(
    patience: float,
) -> None:
    async def main() -> None:
        async with serving(patient=10.0) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ask("/large") + UPGRADE)
            answers = await ended(reader, patience)
            assert answers.find(b"HTTP/1.1 400 ") > len(LARGE)
            writer.transport.abort()

    asyncio.run(main())


def test_an_answer_that_is_not_taken_in_time_is_given_up(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=HASTY) as (port, count):
            with contextlib.closing(socket.socket()) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                deaf.connect(("127.0.0.1", port))
                deaf.sendall(ask("/large"))
                async with asyncio.timeout(patience):
                    while not count["answer_timeout"]:  # noqa: ASYNC110  # nobody announces it
                        await asyncio.sleep(0)

    asyncio.run(main())


def test_an_answer_that_is_taken_may_be_large(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=10.0) as (port, count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert len(await ended(reader, patience)) > len(LARGE)
            assert count["answer_timeout"] == 0
            writer.transport.abort()

    asyncio.run(main())
