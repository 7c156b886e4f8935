"""What clients send on a real socket that upsets a server."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.acts.inbound import bomb
from simulators.behaviours import Behaviour
from simulators.faults import (
    BadJson,
    DeepJson,
    DeflateBomb,
    Dribble,
    EndlessFragments,
    Fault,
    Oversize,
    ProtocolViolation,
    WrongType,
)
from simulators.sockets import SocketClient

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]


class TestInbound:
    @pytest.mark.parametrize(
        ("fault", "first", "payload"),
        [
            (Oversize(message_bytes=70_000), 0x81, b"x" * 70_000),
            (WrongType(), 0x82, b"\x00\xff not a text"),
            (BadJson(), 0x81, b'{"type": "pong", "timestamp": '),
            (DeepJson(depth=3), 0x81, b"[[[]]]"),
            (Dribble(interval=0.001, message_bytes=5), 0x81, b"xxxxx"),
        ],
        ids=lambda value: value.kind if isinstance(value, Fault) else "",
    )
    def test_the_server_gets_it(
        self, peer: Make, wait: Wait, fault: Fault, first: int, payload: bytes
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)):
                await wait(lambda: server.frames)
                assert server.frames[0] == (first, payload)

        asyncio.run(main())

    def test_what_is_sent_every_while_comes_again(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = BadJson(after_seconds=0.01, every=0.01)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)):
                await wait(lambda: len(server.texts) >= 3)

        asyncio.run(main())

    def test_what_is_said_during_a_dribble_comes_behind_it(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = Dribble(interval=0.002, message_bytes=5)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)) as client:
                client.say("after")
                await wait(lambda: len(server.texts) == 2)
                assert server.texts == [b"xxxxx", b"after"]

        asyncio.run(main())

    def test_fragments_never_end(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = EndlessFragments(fragments=500, fragment_bytes=10, every=0.01)
            async with peer() as (server, url), SocketClient(url, Behaviour.of(fault)):
                await wait(lambda: len(server.frames) >= 700)
                assert server.frames[0] == (0x01, b"x" * 10)
                assert set(server.frames[1:]) == {(0x00, b"x" * 10)}

        asyncio.run(main())

    @pytest.mark.parametrize(
        "fault",
        [
            Oversize(),
            DeflateBomb(),
            EndlessFragments(fragments=20_000, fragment_bytes=1_000),
        ],
        ids=lambda fault: fault.kind,
    )
    def test_uvicorn_ends_what_is_too_large_with_1009(self, serve: Make, fault: Fault) -> None:
        async def main() -> None:
            async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
                closed = await client.wait_closed()
                assert (closed.code, client.unmet) == (1009, {})

        asyncio.run(main())

    def test_a_bomb_on_a_server_without_compression_is_told_to_be_unmet(self, serve: Make) -> None:
        async def main() -> None:
            async with (
                serve(ws_per_message_deflate=False) as served,
                SocketClient(served.url, Behaviour.of(DeflateBomb())) as client,
            ):
                assert "permessage-deflate" in client.unmet["deflate_bomb"]

        asyncio.run(main())

    @pytest.mark.parametrize("ratio", [2, 10, 100, 1_000])
    def test_a_bomb_has_the_ratio_that_was_asked_for(self, ratio: int) -> None:
        frame = bomb(5 * 1024 * 1024 + 17, ratio)

        body = frame[14 if frame[1] & 0x7F == 127 else 8 :]
        inflated = zlib.decompressobj(-15).decompress(body + b"\0\0\xff\xff")

        assert len(inflated) == 5 * 1024 * 1024 + 17
        assert 0.7 * ratio < len(inflated) / len(frame) < 1.3 * ratio

    def test_a_client_that_offers_compression_reads_compressed_messages(self, serve: Make) -> None:
        async def main() -> None:
            fault = DeflateBomb(after_seconds=100)
            async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
                client.say("hello")
                while not served.websockets:  # noqa: ASYNC110 - the server has no event for it
                    await asyncio.sleep(0.001)
                for n in range(3):
                    await served.websockets[0].send_text(f"{n}" * 1_000)
                await client.wait_received(3)
                assert [message for message, _ in client.received] == [
                    f"{n}" * 1_000 for n in range(3)
                ]
                assert client.compresses

        asyncio.run(main())

    def test_a_violation_reaches_the_server(self, serve: Make) -> None:
        async def main() -> None:
            fault = ProtocolViolation(violation="unmasked")
            async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
                assert (await client.wait_closed()).code == 1002

        asyncio.run(main())
