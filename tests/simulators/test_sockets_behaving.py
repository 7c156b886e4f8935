"""Socket clients that stall, read slowly and die: what a real server feels of it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from simulators.behaviours import Behaviour
from simulators.faults import Reset, StalledReader
from simulators.sockets import SocketClient

pytestmark = pytest.mark.sockets

LIMIT = 10.0
Make = Callable[..., AbstractAsyncContextManager[Any]]
Run = Callable[[Coroutine[Any, Any, None]], None]


def text_frame(text: str) -> bytes:
    payload = text.encode()
    head = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return b"\x81" + head + payload


def numbers(client: SocketClient) -> list[int]:
    return [json.loads(message)["n"] for message, _ in client.received]


def numbered(n: int) -> str:
    return json.dumps({"n": n, "content": "x" * 280})


class Flood:
    """A script that sends numbered messages; it says when the client's pressure reached it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.sent = 0
        self.blocked = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for n in range(self.count):
            writer.write(text_frame(numbered(n)))
            self.sent = n + 1
            try:
                await asyncio.wait_for(writer.drain(), 0.1)
            except TimeoutError:
                self.blocked.set()
                await writer.drain()
        await reader.read(1)


class TestReading:
    def test_a_stalled_client_blocks_the_server_and_loses_nothing_when_it_resumes(
        self, run: Run, raw_server: Make
    ) -> None:
        async def main() -> None:
            flood = Flood(1_500)
            async with (
                raw_server(flood) as url,
                SocketClient(url, Behaviour.stalled(after_messages=5)) as client,
            ):
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                held = flood.sent

                assert numbers(client) == [0, 1, 2, 3, 4]
                assert client.stalled
                assert client.stalled_at is not None
                assert held * 300 < 300_000  # the pipe is small, so the server's pressure is real

                client.resume()
                await client.wait_received(flood.count)
                assert numbers(client) == list(range(flood.count))
                assert not client.stalled

        run(main())

    def test_a_client_that_is_told_to_stall_takes_nothing_more(
        self, run: Run, raw_server: Make
    ) -> None:
        async def main() -> None:
            flood = Flood(1_500)
            stopped: list[int] = []

            def stop(client: SocketClient, _: bytes) -> None:
                if client.received_messages == 7:
                    client.stall()
                    stopped.append(client.received_messages)

            async with raw_server(flood) as url, SocketClient(url, on_message=stop) as client:
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                assert client.received_messages == 7

                client.resume()
                await client.wait_received(flood.count)
                assert numbers(client) == list(range(flood.count))

        run(main())

    def test_a_client_that_stalls_at_once_reads_nothing_behind_the_handshake(
        self, run: Run, raw_server: Make
    ) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.set_write_buffer_limits(0)
            writer.write(text_frame("hello"))
            await reader.read(1)

        async def main() -> None:
            async with (
                raw_server(script) as url,
                SocketClient(url, Behaviour.stalled(), socket_factory=factory),
            ):
                waiting = b""
                while not waiting:
                    with contextlib.suppress(BlockingIOError):
                        waiting = made[0].recv(100, socket.MSG_PEEK)
                    await asyncio.sleep(0)
                assert waiting == text_frame("hello")

        run(main())

    def test_a_client_stalls_after_bytes(self, run: Run, raw_server: Make) -> None:
        behaviour = Behaviour(name="stalled", faults=(StalledReader(after_bytes=1000),))

        async def main() -> None:
            flood = Flood(1_000)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                assert client.received_messages == 4  # the one that passes 1000 bytes is the last

        run(main())

    def test_a_client_resumes_by_itself_and_does_not_stall_again(
        self, run: Run, raw_server: Make
    ) -> None:
        behaviour = Behaviour.stalled(after_messages=3, after_seconds=0.15, resume_after=0.05)

        async def main() -> None:
            flood = Flood(2_000)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await client.wait_received(flood.count)
                assert client.connected_at is not None
                assert client.stalled_at is not None
                assert client.stalled_at - client.connected_at < 0.15
                assert numbers(client) == list(range(flood.count))

        run(main())

    def test_the_first_limit_that_is_reached_decides(self, run: Run, raw_server: Make) -> None:
        behaviour = Behaviour(
            name="both", faults=(StalledReader(after_messages=2), Reset(after_messages=4))
        )

        async def main() -> None:
            async with raw_server(Flood(10)) as url, SocketClient(url, behaviour) as client:
                while not client.stalled:  # noqa: ASYNC110 - a stall has no event
                    await asyncio.sleep(0.001)
                client.resume()
                assert (await client.wait_closed()).code == 1006
                assert numbers(client) == [0, 1, 2, 3]

        run(main())

    def test_a_stalled_client_answers_no_ping(self, run: Run, server: Make) -> None:
        answered: list[bool] = []

        async def handler(connection: ServerConnection) -> None:
            pong = await connection.ping()
            try:
                await asyncio.wait_for(asyncio.shield(pong), 0.1)
                answered.append(True)
            except TimeoutError:
                answered.append(False)
                await connection.send("you may go on")
                with contextlib.suppress(ConnectionClosed):
                    await pong
                    answered.append(True)
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url, Behaviour.stalled()) as client:
                while not answered:  # noqa: ASYNC110 - the server's side has no event for it
                    await asyncio.sleep(0.001)
                client.resume()
                await client.wait_received(1)
                while len(answered) < 2:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.001)

        run(main())
        assert answered == [False, True]

    def test_a_slow_client_is_never_faster_than_its_rate(self, run: Run, raw_server: Make) -> None:
        async def keep(rate: int) -> None:
            flood = Flood(1_500)
            behaviour = Behaviour.slow(bytes_per_second=rate)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await client.wait_received(rate // 2 // 300)
                assert client.connected_at is not None
                took = client.received[-1].time - client.connected_at
                assert client.received_bytes / took < 1.15 * rate
                assert flood.sent < flood.count  # the rest waits on the server's side
                client.die()

        async def main() -> None:
            await asyncio.gather(keep(20_000), keep(200_000))

        run(main())

    def test_a_client_becomes_slow_after_a_while(self, run: Run, raw_server: Make) -> None:
        behaviour = Behaviour.slow(bytes_per_second=100, after_seconds=0.05)

        async def main() -> None:
            flood = Flood(100_000)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                assert client.received_bytes > 1_000
                client.die()

        run(main())

    def test_a_stalled_client_can_tell_that_it_was_dropped(
        self, run: Run, raw_server: Make
    ) -> None:
        async def main() -> None:
            drop = asyncio.Event()

            async def script(*_: Any) -> None:
                await drop.wait()

            async with (
                raw_server(script) as url,
                SocketClient(url, Behaviour.stalled()) as client,
            ):
                before = client.hung_up
                if before is None:
                    pytest.skip("this system does not show the state of a TCP connection")
                drop.set()
                while not client.hung_up:  # noqa: ASYNC110 - the kernel has no event for it
                    await asyncio.sleep(0.001)
                assert before is False
                assert client.closed is None

        run(main())

    @pytest.mark.parametrize(
        ("behaviour", "size", "expected"),
        [
            (Behaviour.stalled(), None, 8_192),
            (Behaviour.slow(), None, 8_192),
            (Behaviour(), 20_000, 40_000),
        ],
    )
    def test_the_receive_buffer_is_small_where_it_matters(
        self, run: Run, behaviour: Behaviour, size: int | None, expected: int, server: Make
    ) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with (
                server() as url,
                SocketClient(url, behaviour, receive_buffer_bytes=size, socket_factory=factory),
            ):
                # Linux reports twice what was asked for, others just that.
                buffer = made[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                assert buffer in (expected, expected // 2)

        run(main())


class TestDying:
    def test_a_reset_reaches_the_server_as_a_reset(self, run: Run, raw_server: Make) -> None:
        errors: list[str] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for n in range(5):
                writer.write(text_frame(numbered(n)))
            try:
                await reader.read()
            except ConnectionError as error:
                errors.append(type(error).__name__)

        async def main() -> None:
            async with raw_server(script) as url:
                client = SocketClient(url, Behaviour.dead(after_messages=3))
                await client.connect()
                closed = await client.wait_closed()
                while not errors:  # noqa: ASYNC110 - the server's side has no event for it
                    await asyncio.sleep(0.001)

                assert numbers(client) == [0, 1, 2]
                assert closed.code == 1006
                assert client.died_at == closed.time

        run(main())
        assert errors == ["ConnectionResetError"]

    def test_a_client_that_dies_at_once_takes_nothing(self, run: Run, server: Make) -> None:
        async def main() -> None:
            async with server() as url, SocketClient(url, Behaviour.dead()) as client:
                assert not client.connected
                assert client.died_at is not None
                assert client.received_messages == 0

        run(main())
