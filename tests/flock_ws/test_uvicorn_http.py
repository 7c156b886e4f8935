"""Requests over real TCP that take too long, and those that do not."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from flock_ws.inbound import Refusals, refusals
from flock_ws.server import listening_socket
from flock_ws.uvicorn_http import FlockHttpProtocol
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol

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


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request with its body, and ``/large`` with 4 MiB; say hello over a WebSocket."""
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
        await send({"type": "http.response.start", "status": 200, "headers": []})
        answer = LARGE if scope["path"] == "/large" else body
        await send({"type": "http.response.body", "body": answer})


@contextlib.asynccontextmanager
async def serving(*, patient: float) -> AsyncIterator[tuple[int, Refusals]]:
    count = refusals()
    config = uvicorn.Config(
        application,
        http=FlockHttpProtocol.limited(handshake_timeout=patient, refusals=count),
        ws=FlockWebSocketProtocol,
        lifespan="off",
        log_level="critical",
        ws_ping_interval=None,
    )
    server = uvicorn.Server(config)
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server._serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  # uvicorn tells no other way
            await asyncio.sleep(0)
        try:
            yield listener.getsockname()[1], count
        finally:
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            server.should_exit = True
            await running


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


def test_an_answer_that_is_not_taken_in_time_is_given_up(patience: float) -> None:
    async def main() -> None:
        async with serving(patient=HASTY) as (port, count):
            with contextlib.closing(socket.socket()) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                deaf.connect(("127.0.0.1", port))
                deaf.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
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
