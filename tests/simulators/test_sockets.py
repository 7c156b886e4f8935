"""Socket clients against real servers on 127.0.0.1, on asyncio and, where it is there, uvloop."""

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, SimulatorError
from simulators.faults import Reset, StalledReader
from simulators.sockets import ConnectFailed, SocketClient
from simulators.tcp.connection import reset_on_close

pytestmark = pytest.mark.sockets

LIMIT = 10.0
Handler = Callable[[ServerConnection], Awaitable[None]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end on each kind of loop, with a limit."""
    factory = None
    if request.param == "uvloop":
        if importlib.util.find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        import uvloop  # noqa: PLC0415 - it may be missing

        factory = uvloop.new_event_loop

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main, 3 * LIMIT))

    return run


@contextlib.asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """Serve with the websockets library and give the URL."""
    async with serve(handler, "127.0.0.1", 0, compression=None, **options) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"


@contextlib.asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[str]:
    """Serve bytes by a script, through small kernel buffers, and give the URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    tasks: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, RuntimeError, asyncio.CancelledError):
            # uvloop raises a RuntimeError for a write to a transport that a reset has closed.
            writer.transport.abort()

    running = await asyncio.start_server(serve_one, sock=listening)
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        running.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Answer the handshake and return the request."""
    request = await reader.readuntil(b"\r\n\r\n")
    writer.write(upgrading(request))
    return request


def upgrading(request: bytes) -> bytes:
    """Return the answer to a handshake."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key + guid, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def text_frame(text: str) -> bytes:
    payload = text.encode()
    head = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return b"\x81" + head + payload


def numbers(client: SocketClient) -> list[int]:
    return [json.loads(message)["n"] for message, _ in client.received]


def numbered(n: int) -> str:
    return json.dumps({"n": n, "content": "x" * 280})


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def wait_for_end(connection: ServerConnection) -> None:
    await connection.wait_closed()


class TestTalking:
    def test_it_says_text_and_json_and_takes_what_comes_back(self, run: Run) -> None:
        async def main() -> None:
            async with server(echo) as url, SocketClient(url) as client:
                for message in ("grüß dich", {"a": 1}, "x" * 70_000, "y" * 300):
                    client.say(message)
                await client.wait_received(4)

            taken = [message for message, _ in client.received]
            assert taken == ["grüß dich", '{"a":1}', "x" * 70_000, "y" * 300]
            assert client.received_bytes == len("grüß dich".encode()) + 7 + 70_000 + 300

        run(main())

    def test_binary_and_fragmented_messages_come_whole(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send(b"\x00\xff")
            await connection.send(["in ", "three ", "parts"])
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                await client.wait_received(2)

            assert [message for message, _ in client.received] == [b"\x00\xff", "in three parts"]

        run(main())

    def test_protocol_pings_and_application_pings_are_answered(self, run: Run) -> None:
        answers: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            await (await connection.ping())
            await connection.send('{"type": "ping", "timestamp": 1.5}')
            answers.append(json.loads(await connection.recv()))
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                await client.wait_received(1)
                while not answers:  # noqa: ASYNC110 - the server's side has no event for it
                    await asyncio.sleep(0.001)

        run(main())
        assert answers[0]["type"] == "pong"
        assert isinstance(answers[0]["timestamp"], int)

    def test_messages_that_only_look_like_pings_are_left_alone(self, run: Run) -> None:
        odd = ['{"type": "ping"', '{"type": ' + "[" * 5000, '{"type": "pong"}', '{"type": []}']

        async def handler(connection: ServerConnection) -> None:
            for message in odd:
                await connection.send(message)
            with contextlib.suppress(ConnectionClosed):
                raise AssertionError(await connection.recv())

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                await client.wait_received(len(odd))
                assert client.connected

        run(main())

    def test_the_bulk_path_gets_every_payload_and_keeps_nothing(self, run: Run) -> None:
        payloads: list[bytes] = []

        async def handler(connection: ServerConnection) -> None:
            for n in range(500):
                await connection.send(str(n))
            await connection.wait_closed()

        async def main() -> None:
            async with (
                server(handler) as url,
                SocketClient(url, on_message=lambda _, x: payloads.append(x), keep=False) as client,
            ):
                await client.wait_received(500)
            assert client.received == []
            assert client.received_messages == 500

        run(main())
        assert payloads == [str(n).encode() for n in range(500)]

    def test_headers_query_and_subprotocol_reach_the_server(self, run: Run) -> None:
        seen: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            request = connection.request
            assert request is not None
            seen.append((request.path, request.headers["X-Name"], connection.subprotocol))

        async def main() -> None:
            async with server(handler, subprotocols=["flock"]) as url:
                client = SocketClient(
                    f"{url}/ws?client=Zoë 1".replace(" ", "%20"),
                    headers={"X-Name": "one"},
                    subprotocol="flock",
                )
                async with client:
                    await client.wait_closed()

        run(main())
        assert seen == [("/ws?client=Zo%C3%AB%201", "one", "flock")]

    def test_a_socket_factory_makes_the_socket(self, run: Run) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with server(echo) as url, SocketClient(url, socket_factory=factory):
                assert made[0].getpeername()[0] == "127.0.0.1"

        run(main())


class TestEnding:
    def test_the_servers_close_is_answered_and_recorded(self, run: Run) -> None:
        codes: list[int | None] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.close(1013, "too slow")
            codes.append(
                connection.protocol.close_rcvd.code if connection.protocol.close_rcvd else None
            )

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                closed = await client.wait_closed()

                assert (closed.code, closed.reason) == (1013, "too slow")
                assert not client.connected

        run(main())
        assert codes == [1013]

    def test_its_own_close_is_answered_by_the_server(self, run: Run) -> None:
        ends: list[int | None] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.wait_closed()
            ends.append(connection.close_code)

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                client.close(4000, "done")
                assert (await client.wait_closed()).code == 4000
                with pytest.raises(SimulatorError, match="cannot say anything"):
                    client.say("late")

        run(main())
        assert ends == [4000]

    def test_a_connection_that_breaks_without_a_close_frame_is_1006(self, run: Run) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await upgrade(reader, writer)

        async def main() -> None:
            async with raw_server(script) as url, SocketClient(url) as client:
                assert (await client.wait_closed()).code == 1006

        run(main())

    @pytest.mark.parametrize(
        ("sent", "code"),
        [(b"\x81\x82abcdhi", 1002), (b"\xc1\x02hi", 1002), (b"\x81\x01\xff", 1007)],
    )
    def test_a_broken_protocol_is_recorded(self, run: Run, sent: bytes, code: int) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await upgrade(reader, writer)
            writer.write(sent)
            await reader.read(1)

        async def main() -> None:
            async with raw_server(script) as url, SocketClient(url) as client:
                closed = await client.wait_closed()

            assert closed.code == code
            assert client.protocol_error is not None
            assert client.protocol_error.code == code

        run(main())

    def test_a_close_that_came_before_a_write_failed_is_not_lost(self, run: Run) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            with socket.create_server(("127.0.0.1", 0)) as listening:
                listening.settimeout(0)
                client = SocketClient(f"ws://127.0.0.1:{listening.getsockname()[1]}")
                connecting = asyncio.create_task(client.connect())
                accepted, _ = await loop.sock_accept(listening)
                with accepted:
                    accepted.settimeout(0)
                    accepted.send(upgrading(await loop.sock_recv(accepted, 65_536)))
                    await connecting
                    accepted.send(b"\x88\x09\x03\xf1too big")
                    reset_on_close(accepted)
                client.say("one more fragment, which meets the reset")
                closed = await client.wait_closed(timeout=LIMIT)
                await client.leave()
            assert (closed.code, closed.reason) == (1009, "too big")

        run(main())

    def test_a_reset_reaches_the_server_as_a_reset(self, run: Run) -> None:
        errors: list[str] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await upgrade(reader, writer)
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

    def test_a_client_that_dies_at_once_takes_nothing(self, run: Run) -> None:
        async def main() -> None:
            async with server(wait_for_end) as url, SocketClient(url, Behaviour.dead()) as client:
                assert not client.connected
                assert client.died_at is not None
                assert client.received_messages == 0

        run(main())

    @pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour.stalled(), Behaviour.dead()])
    def test_leaving_frees_the_socket_whatever_it_did(self, run: Run, behaviour: Behaviour) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with (
                server(wait_for_end) as url,
                SocketClient(url, behaviour, socket_factory=factory),
            ):
                pass
            assert [sock.fileno() for sock in made] == [-1]

        run(main())

    def test_leaving_does_not_wait_for_a_server_that_never_answers(self, run: Run) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await upgrade(reader, writer)
            await asyncio.Event().wait()

        async def main() -> None:
            async with raw_server(script) as url:
                client = SocketClient(url)
                await client.connect()
                async with asyncio.timeout(LIMIT):
                    await client.leave(timeout=0.05)
                assert not client.connected

        run(main())


class Flood:
    """A script that sends numbered messages; it says when the client's pressure reached it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.sent = 0
        self.blocked = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
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
        self, run: Run
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

    def test_a_client_that_is_told_to_stall_takes_nothing_more(self, run: Run) -> None:
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
        self, run: Run
    ) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.set_write_buffer_limits(0)
            await upgrade(reader, writer)
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

    def test_a_client_stalls_after_bytes(self, run: Run) -> None:
        behaviour = Behaviour(name="stalled", faults=(StalledReader(after_bytes=1000),))

        async def main() -> None:
            flood = Flood(1_000)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                assert client.received_messages == 4  # the one that passes 1000 bytes is the last

        run(main())

    def test_a_client_resumes_by_itself_and_does_not_stall_again(self, run: Run) -> None:
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

    def test_the_first_limit_that_is_reached_decides(self, run: Run) -> None:
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

    def test_a_stalled_client_answers_no_ping(self, run: Run) -> None:
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

    @pytest.mark.parametrize("rate", [20_000, 200_000])
    def test_a_slow_client_keeps_its_rate(self, run: Run, rate: int) -> None:
        async def main() -> None:
            flood = Flood(1_500)
            behaviour = Behaviour.slow(bytes_per_second=rate)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await client.wait_received(rate // 2 // 300)
                assert client.connected_at is not None
                took = client.received[-1].time - client.connected_at
                assert 0.6 * rate < client.received_bytes / took < 1.15 * rate
                assert flood.sent < flood.count  # the rest waits on the server's side
                client.die()

        run(main())

    def test_a_client_becomes_slow_after_a_while(self, run: Run) -> None:
        behaviour = Behaviour.slow(bytes_per_second=100, after_seconds=0.05)

        async def main() -> None:
            flood = Flood(100_000)
            async with raw_server(flood) as url, SocketClient(url, behaviour) as client:
                await asyncio.wait_for(flood.blocked.wait(), LIMIT)
                assert client.received_bytes > 1_000
                client.die()

        run(main())

    def test_a_stalled_client_can_tell_that_it_was_dropped(self, run: Run) -> None:
        async def main() -> None:
            drop = asyncio.Event()

            async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await upgrade(reader, writer)
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
        self, run: Run, behaviour: Behaviour, size: int | None, expected: int
    ) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with (
                server(wait_for_end) as url,
                SocketClient(url, behaviour, receive_buffer_bytes=size, socket_factory=factory),
            ):
                # Linux reports twice what was asked for, others just that.
                buffer = made[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                assert buffer in (expected, expected // 2)

        run(main())


class TestSecurely:
    CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Give the server's context and that of a client which trusts it."""
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(self.CERTIFICATE)
        return serving, ssl.create_default_context(cafile=str(self.CERTIFICATE))

    def test_a_stalled_client_holds_the_server_and_loses_nothing(self, run: Run) -> None:
        serving, trusting = self.contexts()
        count = 120  # 12 MB: more than the kernel and the TLS layer can hold between them
        sent: list[int] = []

        async def handler(connection: ServerConnection) -> None:
            for n in range(count):
                await connection.send(json.dumps({"n": n, "content": "x" * 100_000}))
                sent.append(n)
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler, ssl=serving) as url:
                client = SocketClient(
                    url.replace("ws:", "wss:"), Behaviour.stalled(after_messages=2), ssl=trusting
                )
                async with client:
                    while not client.stalled:  # noqa: ASYNC110 - a stall has no event
                        await asyncio.sleep(0.001)
                    held = len(sent)
                    taken = client.received_messages
                    client.resume()
                    await client.wait_received(count)

            assert taken == 2
            assert held < count
            assert numbers(client) == list(range(count))

        run(main())

    def test_a_certificate_that_is_not_trusted_is_named(self, run: Run) -> None:
        serving, _ = self.contexts()

        async def main() -> None:
            async with server(echo, ssl=serving) as url:
                with pytest.raises(ConnectFailed, match=r"certificate is not trusted.*give ssl="):
                    await SocketClient(url.replace("ws:", "wss:")).connect()

        run(main())

    def test_a_context_for_an_open_url_is_refused(self) -> None:
        with pytest.raises(ConnectFailed, match="use wss://"):
            SocketClient("ws://127.0.0.1/", ssl=ssl.create_default_context())


class TestWaiting:
    def test_waiting_in_vain_says_what_was_seen_and_expected(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send("one")
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url, name="page 7") as client:
                await client.wait_received(1)
                with pytest.raises(NotSeen, match=r"page 7 took 1 messages.*expected 2") as caught:
                    await client.wait_received(2, timeout=0.01)
                assert isinstance(caught.value, TimeoutError)
                with pytest.raises(NotSeen, match=r"page 7 was not closed within 0.01 s, 1 mess"):
                    await client.wait_closed(timeout=0.01)

        run(main())

    def test_waiting_ends_when_the_connection_does(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.close(1012)

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                with pytest.raises(NotSeen, match="code=1012"):
                    await client.wait_received(1, timeout=LIMIT)

        run(main())


class TestConnecting:
    def fails(self, run: Run, url: str, match: str, **options: Any) -> ConnectFailed:
        """Connect in vain and return the error."""
        errors: list[ConnectFailed] = []

        async def main() -> None:
            with pytest.raises(ConnectFailed, match=match) as caught:
                await SocketClient(url).connect(**options)
            errors.append(caught.value)

        run(main())
        return errors[0]

    def test_nobody_listens(self, run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]

        error = self.fails(run, f"ws://127.0.0.1:{port}/ws", f"nothing listens at 127.0.0.1:{port}")

        assert error.status is None
        assert error.url == f"ws://127.0.0.1:{port}/ws"

    @pytest.mark.parametrize("url", ["http://x/", "ws:///x", "ws://x:y/", "x", "ws://x/a b"])
    def test_no_websocket_url(self, url: str) -> None:
        with pytest.raises(ConnectFailed, match=r"cannot connect to .*: "):
            SocketClient(url)

    @pytest.mark.parametrize(
        ("status", "hint"), [(404, "404 Not Found: is the path right"), (403, "endpoint refused")]
    )
    def test_the_server_denies_the_upgrade(self, run: Run, status: int, hint: str) -> None:
        def deny(connection: ServerConnection, request: Request) -> Response:
            del request
            return connection.respond(status, "no")

        async def main() -> None:
            async with server(echo, process_request=deny) as url:
                with pytest.raises(ConnectFailed, match=hint) as caught:
                    await SocketClient(url).connect()
                assert caught.value.status == status

        run(main())

    @pytest.mark.parametrize(
        ("answer", "match"),
        [
            (b"220 mail.example ESMTP\r\n\r\n", "does not speak HTTP: it answered b'220 mail"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "200 OK: expected 101 Switching Protocols"),
            (b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: x\r\n\r\n", "wrong Sec-WebSocket-Accept"),
            (b"HTTP/1.1 101 x\r\n" + b"x" * 70_000, "no end of its head in 65536 bytes"),
            (b"", "closed the connection before it answered"),
        ],
    )
    def test_the_server_is_no_websocket_server(self, run: Run, answer: bytes, match: str) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)

        async def main() -> None:
            async with raw_server(script) as url:
                with pytest.raises(ConnectFailed, match=match):
                    await SocketClient(url).connect()

        run(main())

    def test_the_server_never_answers(self, run: Run) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            del writer
            await reader.read()

        async def main() -> None:
            async with raw_server(script) as url:
                match = r"no answer to the upgrade within 0.05 s"
                with pytest.raises(ConnectFailed, match=match):
                    await SocketClient(url).connect(timeout=0.05)

        run(main())

    def test_the_server_speaks_no_tls(self, run: Run) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            await reader.read()

        async def main() -> None:
            async with raw_server(script) as url:
                with pytest.raises(ConnectFailed, match="TLS failed"):
                    await SocketClient(url.replace("ws:", "wss:")).connect()

        run(main())

    def test_it_connects_once(self, run: Run) -> None:
        async def main() -> None:
            async with server(echo) as url, SocketClient(url) as client:
                with pytest.raises(SimulatorError, match="connects once"):
                    await client.connect()

        run(main())
