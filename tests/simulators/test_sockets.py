"""Socket clients against real servers, on asyncio and uvloop: what they say, and how they end."""

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, OptionError, SimulatorError
from simulators.sockets import SocketClient
from simulators.tcp.connection import reset_on_close

pytestmark = pytest.mark.sockets

LIMIT = 10.0
Make = Callable[..., AbstractAsyncContextManager[Any]]
Run = Callable[[Coroutine[Any, Any, None]], None]


class TestTalking:
    def test_it_says_text_and_json_and_takes_what_comes_back(self, run: Run, server: Make) -> None:
        async def main() -> None:
            async with server() as url, SocketClient(url) as client:
                for message in ("grüß dich", {"a": 1}, "x" * 70_000, "y" * 300):
                    client.say(message)
                await client.wait_received(4)

            taken = [message for message, _ in client.received]
            assert taken == ["grüß dich", '{"a":1}', "x" * 70_000, "y" * 300]
            assert client.received_bytes == len("grüß dich".encode()) + 7 + 70_000 + 300

        run(main())

    def test_it_says_bytes_as_a_binary_message(self, run: Run, server: Make) -> None:
        async def main() -> None:
            async with server() as url, SocketClient(url) as client:
                client.say(b"\x00\xff")
                await client.wait_received(1)
                assert [message for message, _ in client.received] == [b"\x00\xff"]

        run(main())

    def test_binary_and_fragmented_messages_come_whole(self, run: Run, server: Make) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send(b"\x00\xff")
            await connection.send(["in ", "three ", "parts"])
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                await client.wait_received(2)

            assert [message for message, _ in client.received] == [b"\x00\xff", "in three parts"]

        run(main())

    @pytest.mark.parametrize(
        "ping", ['{"type": "ping", "timestamp": 1.5}', '{"timestamp":1.5,"type":"ping"}']
    )
    def test_protocol_pings_and_application_pings_are_answered(
        self, run: Run, server: Make, ping: str
    ) -> None:
        answers: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            await (await connection.ping())
            await connection.send(ping)
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

    def test_messages_that_only_look_like_pings_are_left_alone(
        self, run: Run, server: Make
    ) -> None:
        odd: list[str | bytes] = ['{"type": "ping"', '{"type": ' + "[" * 5000, '["ping"]']
        odd += ['{"type": "pong"}', '{"type": []}', b'{"type": "ping"}']

        said: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            for message in odd:
                await connection.send(message)
            said.append(await connection.recv())

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                await client.wait_received(len(odd))
                client.say("nothing before this")
                await client.wait_closed()

        run(main())
        assert said == ["nothing before this"]

    def test_the_bulk_path_gets_every_payload_and_keeps_nothing(
        self, run: Run, server: Make
    ) -> None:
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

    def test_headers_query_and_subprotocol_reach_the_server(self, run: Run, server: Make) -> None:
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

    def test_a_socket_factory_makes_the_socket(self, run: Run, server: Make) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with server() as url, SocketClient(url, socket_factory=factory):
                assert made[0].getpeername()[0] == "127.0.0.1"

        run(main())


class TestEnding:
    def test_the_servers_close_is_answered_and_recorded(self, run: Run, server: Make) -> None:
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

    def test_its_own_close_is_answered_by_the_server(self, run: Run, server: Make) -> None:
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

    @pytest.mark.parametrize("how", ["fin", "reset"])
    def test_a_connection_that_breaks_without_a_close_frame_is_1006(
        self, run: Run, raw_server: Make, how: str
    ) -> None:
        async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if how == "reset":
                reset_on_close(writer.get_extra_info("socket"))

        async def main() -> None:
            async with raw_server(script) as url, SocketClient(url) as client:
                assert (await client.wait_closed())[:2] == (1006, "")

        run(main())

    @pytest.mark.parametrize(
        ("sent", "code"),
        [(b"\x81\x82abcdhi", 1002), (b"\xc1\x02hi", 1002), (b"\x81\x01\xff", 1007)],
    )
    def test_a_broken_protocol_is_recorded(
        self, run: Run, sent: bytes, code: int, raw_server: Make
    ) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(sent)
            await reader.read(1)

        async def main() -> None:
            async with raw_server(script) as url, SocketClient(url) as client:
                closed = await client.wait_closed()

            assert closed.code == code
            assert client.protocol_error is not None
            assert client.protocol_error.code == code

        run(main())

    def test_a_close_that_came_before_a_write_failed_is_not_lost(
        self, run: Run, upgrading: Callable[[bytes], bytes]
    ) -> None:
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

    @pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour.stalled(), Behaviour.dead()])
    def test_leaving_frees_the_socket_whatever_it_did(
        self, run: Run, behaviour: Behaviour, server: Make
    ) -> None:
        made: list[socket.socket] = []

        def factory(family: int, kind: int, protocol: int) -> socket.socket:
            made.append(socket.socket(family, kind, protocol))
            return made[-1]

        async def main() -> None:
            async with (
                server() as url,
                SocketClient(url, behaviour, socket_factory=factory),
            ):
                pass
            assert [sock.fileno() for sock in made] == [-1]

        run(main())

    def test_leaving_does_not_wait_for_a_server_that_never_answers(
        self, run: Run, raw_server: Make
    ) -> None:
        async def script(*_: Any) -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            async with raw_server(script) as url:
                client = SocketClient(url)
                await client.connect()
                async with asyncio.timeout(LIMIT):
                    await client.leave(timeout=0.05)
                assert not client.connected

        run(main())

    @pytest.mark.parametrize(("code", "reason"), [(1006, ""), (99_999, ""), (1000, "x" * 124)])
    def test_it_cannot_close_with_what_no_frame_can_hold(self, code: int, reason: str) -> None:
        with pytest.raises(OptionError, match="close"):
            SocketClient("ws://127.0.0.1/").close(code, reason)


class TestWaiting:
    def test_waiting_in_vain_says_what_was_seen_and_expected(self, run: Run, server: Make) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send("one")
            await connection.wait_closed()

        async def main() -> None:
            async with server(handler) as url, SocketClient(url, name="page 7") as client:
                await client.wait_received(1)
                with pytest.raises(
                    NotSeen, match=r"page 7 took 1 messages, exp.*within 0.01 s"
                ) as caught:
                    await client.wait_received(2, timeout=0.01)
                assert isinstance(caught.value, TimeoutError)
                with pytest.raises(NotSeen, match=r"page 7 was not closed within 0.01 s, 1 mess"):
                    await client.wait_closed(timeout=0.01)

        run(main())

    def test_waiting_ends_when_the_connection_does(self, run: Run, server: Make) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.close(1012)

        async def main() -> None:
            async with server(handler) as url, SocketClient(url) as client:
                with pytest.raises(NotSeen, match=r"before the connection ended: .*code=1012"):
                    await client.wait_received(1, timeout=LIMIT)

        run(main())

    def test_who_never_connected_is_told_to(self) -> None:
        async def main() -> None:
            client = SocketClient("ws://127.0.0.1/")
            with pytest.raises(NotSeen, match="has not connected: use it as 'async with'"):
                await client.wait_received(1, timeout=0)
            with pytest.raises(NotSeen, match="has not connected"):
                await client.wait_closed(timeout=0)
            with pytest.raises(SimulatorError, match="it is not connected"):
                client.say("x")
            with pytest.raises(OptionError, match="a number of messages, not 'x'"):
                await client.wait_received("x")  # type: ignore[arg-type]  # the point of the test

        asyncio.run(main())

    def test_an_error_of_the_tests_own_callback_is_the_reason_of_the_end(
        self, run: Run, server: Make
    ) -> None:
        def on_message(_: SocketClient, payload: bytes) -> None:
            raise ZeroDivisionError(payload)

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            async with server() as url, SocketClient(url, on_message=on_message) as client:
                client.say("x")
                closed = await client.wait_closed()
            assert closed.code == 1006
            assert closed.reason == "broken off by ZeroDivisionError(b'x') in this client"

        run(main())
