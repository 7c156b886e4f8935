"""Socket clients that connect, by TLS too, and what they say when they cannot."""

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from loadtests.ports import ReservedPort
from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.sockets import ConnectFailed, SocketClient

pytestmark = pytest.mark.sockets
Make = Callable[..., AbstractAsyncContextManager[Any]]
Run = Callable[[Coroutine[Any, Any, None]], None]


class TestSecurely:
    CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"

    def contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Give the server's context and that of a client which trusts it."""
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(self.CERTIFICATE)
        return serving, ssl.create_default_context(cafile=str(self.CERTIFICATE))

    def test_a_stalled_client_holds_the_server_and_loses_nothing(
        self, run: Run, server: Make
    ) -> None:
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
            assert [json.loads(text)["n"] for text, _ in client.received] == list(range(count))

        run(main())

    def test_a_certificate_that_is_not_trusted_is_named(self, run: Run, server: Make) -> None:
        serving, _ = self.contexts()

        async def main() -> None:
            async with server(ssl=serving) as url:
                with pytest.raises(ConnectFailed, match=r"certificate is not trusted.*give ssl="):
                    await SocketClient(url.replace("ws:", "wss:")).connect()

        run(main())

    def test_a_context_for_an_open_url_is_refused(self) -> None:
        with pytest.raises(ConnectFailed, match="use wss://"):
            SocketClient("ws://127.0.0.1/", ssl=ssl.create_default_context())


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
        with ReservedPort("127.0.0.1") as unused:
            where = f"127.0.0.1:{unused.port}"
            error = self.fails(run, f"ws://{where}/ws", f"nothing listens at {where}")

        assert error.status is None
        assert error.url == f"ws://{where}/ws"

    @pytest.mark.parametrize("url", ["http://x/", "ws:///x", "ws://x:y/", "x", "ws://x/a b"])
    def test_no_websocket_url(self, url: str) -> None:
        with pytest.raises(ConnectFailed, match=r"cannot connect to .*: "):
            SocketClient(url)

    @pytest.mark.parametrize(
        ("status", "hint"), [(404, "404 Not Found: is the path right"), (403, "endpoint refused")]
    )
    def test_the_server_denies_the_upgrade(
        self, run: Run, status: int, hint: str, server: Make
    ) -> None:
        def deny(connection: ServerConnection, request: Request) -> Response:
            del request
            return connection.respond(status, "no")

        async def main() -> None:
            async with server(process_request=deny) as url:
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
    def test_the_server_is_no_websocket_server(
        self, run: Run, answer: bytes, match: str, raw_server: Make
    ) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)

        async def main() -> None:
            async with raw_server(script, upgrades=False) as url:
                with pytest.raises(ConnectFailed, match=match):
                    await SocketClient(url).connect()

        run(main())

    def test_the_server_never_answers(self, run: Run, raw_server: Make) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            del writer
            await reader.read()

        async def main() -> None:
            async with raw_server(script, upgrades=False) as url:
                match = r"no answer to the upgrade within 0.5 s"
                with pytest.raises(ConnectFailed, match=match):
                    await SocketClient(url).connect(timeout=0.5)

        run(main())

    def test_the_server_speaks_no_tls(self, run: Run, raw_server: Make) -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            await reader.read()

        async def main() -> None:
            async with raw_server(script, upgrades=False) as url:
                with pytest.raises(ConnectFailed, match="TLS failed"):
                    await SocketClient(url.replace("ws:", "wss:")).connect()

        run(main())

    def test_it_connects_once(self, run: Run, server: Make) -> None:
        async def main() -> None:
            async with server() as url, SocketClient(url) as client:
                with pytest.raises(SimulatorError, match="connects once"):
                    await client.connect()

        run(main())
