"""Opening handshakes that go wrong, against uvicorn and against servers that do not answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from loadtests.ports import ReservedPort
from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.faults import (
    BacklogFull,
    BadUpgrade,
    ConnectSilent,
    Fault,
    NeverPongs,
    Reset,
    ResetBeforeAccept,
    Slowloris,
)
from simulators.sockets import ConnectFailed, SocketClient
from simulators.tcp.knocks import FOREIGN_ORIGIN, HandshakeClient

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (BadUpgrade(wrong="missing_key"), "status 400"),
        (BadUpgrade(wrong="version"), "status 400"),
        (BadUpgrade(wrong="upgrade"), "status 404"),
        (BadUpgrade(wrong="huge_headers"), "status 400"),
        (BadUpgrade(wrong="origin"), "status 101"),
        (Slowloris(bytes_per_second=5_000), "status 101"),
        (ConnectSilent(hold=0.05), "held"),
        (ResetBeforeAccept(), "reset"),
        (Reset(when="before_accept"), "reset"),
        (BacklogFull(connections=20), "status 101"),
    ],
    ids=lambda value: value.describe() if isinstance(value, Fault) else "",
)
def test_what_uvicorn_answers(serve: Make, fault: Fault, answer: str) -> None:
    async def main() -> None:
        async with serve() as served, HandshakeClient(served.url, fault) as client:
            assert str(await client.answer()) == answer

    asyncio.run(main())


def test_a_slowloris_takes_as_long_as_its_rate_says(serve: Make) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        fault = Slowloris(bytes_per_second=2_000)
        async with serve() as served, SocketClient(served.url, Behaviour.of(fault)) as client:
            assert client.connected
        # The request is of about 170 bytes.
        assert loop.time() - began > 0.07

    asyncio.run(main())


def test_a_server_that_never_answers_is_silent() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
            async with HandshakeClient(url, BadUpgrade(wrong="version")) as client:
                assert (await client.answer(limit=0.05)).outcome == "silent"

    asyncio.run(main())


def test_a_server_that_is_not_there_is_unreachable() -> None:
    async def main() -> None:
        with ReservedPort("127.0.0.1") as unused:
            url = f"ws://127.0.0.1:{unused.port}/"
            async with HandshakeClient(url, ConnectSilent()) as client:
                answer = await client.answer()
        assert (answer.outcome, "nothing listens" in answer.reason) == ("unreachable", True)

    asyncio.run(main())


def test_behind_a_full_backlog_no_connection_comes_about() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
            client = HandshakeClient(url, BacklogFull(connections=8))
            await client.open(timeout=0.1)
            answer = await client.answer(limit=0.1)
            await client.free()
        assert answer.outcome in ("unreachable", "silent")

    asyncio.run(main())


def test_one_that_resets_before_it_is_answered_is_gone_for_the_application(
    serve: Make, wait: Wait
) -> None:
    async def main() -> None:
        async with serve() as served, HandshakeClient(served.url, ResetBeforeAccept()):
            await wait(lambda: not served.connections)
            assert served.heard == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (BadUpgrade(wrong="version"), 400),
        (ConnectSilent(hold=0.05), None),
        (ResetBeforeAccept(), None),
        (Reset(when="before_accept"), None),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_socket_client_with_it_cannot_connect_and_tells_the_servers_part(
    serve: Make, fault: Fault, status: int | None
) -> None:
    async def main() -> None:
        async with serve() as served:
            client = SocketClient(served.url, Behaviour.of(fault))
            with pytest.raises(ConnectFailed, match="the server's part") as caught:
                await client.connect()
            assert caught.value.status == status
            assert client.answer is not None

    asyncio.run(main())


def test_a_foreign_origin_is_claimed_and_most_servers_do_not_mind(peer: Make) -> None:
    async def main() -> None:
        behaviour = Behaviour.of(BadUpgrade(wrong="origin"))
        async with peer() as (server, url), SocketClient(url, behaviour):
            assert f"Origin: {FOREIGN_ORIGIN}".encode() in server.request

    asyncio.run(main())


def test_another_fault_is_refused() -> None:
    with pytest.raises(OptionError, match="never_pongs is no fault of the handshake"):
        HandshakeClient("ws://127.0.0.1/", NeverPongs())
