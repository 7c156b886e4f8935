"""What each fault of a client does on a real socket, as the other side sees it."""

import asyncio
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.acts import ACTS
from simulators.acts.inbound import bomb
from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.faults import (
    FAULTS,
    BadJson,
    BehaviourError,
    ClientFault,
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    CloseWithUnread,
    DeepJson,
    DeflateBomb,
    DiesDuringBroadcast,
    DoubleDisconnect,
    Dribble,
    EndlessFragments,
    Fault,
    FinWithoutClose,
    Flood,
    HalfClose,
    HalfOpen,
    Handshake,
    IgnoresClose,
    LatePong,
    NeverPongs,
    Oversize,
    PausedProcess,
    PingFlood,
    ProtocolViolation,
    PulsingReader,
    Reset,
    SendHangs,
    SendsAfterClose,
    SilentApplication,
    SimultaneousClose,
    StalledReader,
    TinyWindow,
    UnsolicitedPongs,
    WrongPong,
    WrongType,
)
from simulators.sockets import SocketClient
from simulators.tcp.connection import hearken
from simulators.tcp.relay import PATH_FAULTS

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]

PING = b'{"type": "ping"}'
CLOSE_1001 = b"\x03\xe9"
CLOSE_1012 = b"\x03\xf4"


def one(fault: Fault) -> Behaviour:
    return Behaviour(name=fault.kind, faults=(fault,))


async def flood(websocket: Any) -> None:
    """Send until it fails."""
    while True:
        await websocket.send_text("x" * 60_000)


def test_every_fault_that_exists_on_tcp_is_done_by_somebody() -> None:
    elsewhere = {TinyWindow, PausedProcess}
    missing = [
        kind
        for kind, fault in FAULTS.items()
        if issubclass(fault, ClientFault)
        and fault.wires["tcp"] is True
        and fault not in ACTS
        and fault not in elsewhere
        and not issubclass(fault, Handshake | PATH_FAULTS)
    ]
    assert missing == []


def test_a_fault_that_does_not_exist_on_tcp_is_refused_with_the_reason() -> None:
    with pytest.raises(BehaviourError, match="cannot be produced over TCP: it is a fault of the"):
        SocketClient("ws://127.0.0.1/", one(SendHangs()))


def test_a_paused_process_wants_a_process_of_its_own() -> None:
    with pytest.raises(SimulatorError, match="ChildClient"):
        SocketClient("ws://127.0.0.1/", one(PausedProcess(seconds=1)))


class TestReading:
    def test_a_pulsing_reader_stops_and_goes_on_and_loses_nothing(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = PulsingReader(on=0.02, off=0.02)
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                for _ in range(2):
                    await wait(lambda: client.stalled)
                    server.send(0x81, b"while stalled")
                    await wait(lambda: not client.stalled)
                await client.wait_received(2)

        asyncio.run(main())

    def test_a_tiny_window_is_asked_for_before_the_connection(self, peer: Make) -> None:
        async def main() -> None:
            fault = TinyWindow(receive_buffer_bytes=5_000)
            async with peer() as (_, url), SocketClient(url, one(fault)) as client:
                assert client.socket is not None
                size = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                assert size in (5_000, 10_000)

        asyncio.run(main())


DEATHS = [
    (FinWithoutClose(after_messages=2), "fin", 2),
    (Reset(after_messages=2), "reset", 2),
    (Reset(after_messages=2, when="mid_frame"), "reset", 2),
    (DiesDuringBroadcast(nth=3), "reset", 2),
    (CloseWithUnread(after_messages=2), "reset", 2),
    (DoubleDisconnect(after_messages=2), "reset", 2),
    (FinWithoutClose(after_seconds=0.02), "fin", 0),
    (Reset(after_seconds=0.02), "reset", 0),
]


class TestDeath:
    @pytest.mark.parametrize(
        ("fault", "end", "taken"), DEATHS, ids=[fault.describe() for fault, _, _ in DEATHS]
    )
    def test_the_server_sees_its_end(
        self, peer: Make, wait: Wait, fault: Fault, end: str, taken: int
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                if taken:
                    for n in range(4):
                        server.send(0x81, b"%d" % n)
                await wait(lambda: server.end)
                assert server.end == end
                assert client.received_messages == taken
                assert client.died_at is not None

        asyncio.run(main())

    def test_one_that_dies_in_mid_frame_has_read_half_of_it_and_no_more(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = Reset(after_messages=1, when="mid_frame")
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                server.send(0x81, b"whole")
                server.send(0x81, b"x" * 1_000)
                await wait(lambda: server.end)
                assert client.gate is not None
                assert client.gate.reader.buffered_bytes == 502  # of 1004 with the head

        asyncio.run(main())

    def test_one_that_dies_during_a_send_lets_the_server_block_first(
        self, serve: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = Reset(when="during_send")
            async with serve() as served, SocketClient(served.url, one(fault)) as client:
                await wait(lambda: served.websockets)
                sending = asyncio.ensure_future(flood(served.websockets[0]))
                await wait(lambda: served.blocked)
                alive = client.died_at is None
                await wait(lambda: served.disconnects)
                await asyncio.gather(sending, return_exceptions=True)
                assert alive
                assert client.died_at is not None

        asyncio.run(main())

    def test_a_half_closed_client_still_reads(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, one(HalfClose())) as client:
                await wait(lambda: server.end == "fin")
                server.send(0x81, b"still here")
                await client.wait_received(1)

        asyncio.run(main())

    def test_a_double_disconnect_sends_its_close_frame_before_the_reset(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, one(DoubleDisconnect())):
                await wait(lambda: server.end == "reset")
                assert server.said(0x88) == [CLOSE_1001]

        asyncio.run(main())

    def test_a_half_open_client_answers_nothing_and_keeps_its_connection(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = HalfOpen(after_messages=1)
            async with peer() as (server, url):
                async with SocketClient(url, one(fault)) as client:
                    server.send(0x81, b"one")
                    server.send(0x89, b"ping")
                    server.send(0x88, CLOSE_1012)
                    await wait(lambda: client.stalled)
                    assert client.hung_up in (False, None)
                assert (server.frames, client.received_messages) == ([], 1)

        asyncio.run(main())

    def test_one_that_has_vanished_does_not_even_acknowledge(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url) as client:
                await wait(lambda: server.writer)
                try:
                    client.vanish()
                except OSError as reason:
                    pytest.skip(f"no peer that does not acknowledge: {reason}")
                sock = server.writer.get_extra_info("socket")
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
                server.send(0x81, b"into the void")
                await wait(lambda: server.end == "timeout")
                assert client.received_messages == 0

        asyncio.run(main())

    def test_one_that_hearkens_gets_what_was_sent_while_it_was_deaf(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url) as client:
                await wait(lambda: server.writer)
                try:
                    client.vanish()
                except OSError as reason:
                    pytest.skip(f"no peer that does not acknowledge: {reason}")
                server.send(0x81, b"into the void")
                assert client.socket is not None
                hearken(client.socket)
                client.resume()
                # It is the peer's next attempt that arrives.
                await client.wait_received(1)

        asyncio.run(main())


class TestLiveness:
    @pytest.mark.parametrize(
        ("fault", "protocol", "application"),
        [
            (None, [b"hello"], 1),
            (NeverPongs(), [], 0),
            (NeverPongs(after_seconds=60), [b"hello"], 1),
            (SilentApplication(), [b"hello"], 0),
            (WrongPong(), [b"hell?"], 1),
            (LatePong(delay=0.02), [b"hello"], 1),
        ],
        ids=["healthy", "never", "not yet", "silent", "wrong", "late"],
    )
    def test_pings_are_answered_or_not(
        self, peer: Make, wait: Wait, fault: Fault | None, protocol: list[bytes], application: int
    ) -> None:
        async def main() -> None:
            behaviour = one(fault) if fault else None
            async with peer() as (server, url), SocketClient(url, behaviour) as client:
                server.send(0x89, b"hello")
                server.send(0x81, PING)
                await client.wait_received(1)
                await wait(lambda: len(server.texts) == application)
                client.say("the end")
                await wait(lambda: b"the end" in server.texts)
                assert server.said(0x8A) == protocol
                assert len(server.texts) == application + 1

        asyncio.run(main())

    def test_a_client_falls_silent_when_its_time_has_come(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = NeverPongs(after_seconds=0.01)
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                await wait(lambda: not client._timers)
                server.send(0x89, b"hello")
                server.send(0x81, PING)
                await client.wait_received(1)
                client.say("the end")
                await wait(lambda: b"the end" in server.texts)
                assert server.said(0x8A) == []
                assert server.texts == [b"the end"]

        asyncio.run(main())

    def test_a_late_pong_takes_its_time(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with peer() as (server, url), SocketClient(url, one(LatePong(delay=0.1))):
                await wait(lambda: server.writer)
                asked = loop.time()
                server.send(0x89, b"hello")
                await wait(lambda: server.said(0x8A))
                assert 0.095 < loop.time() - asked < 5

        asyncio.run(main())

    def test_a_wrong_pong_of_the_application_has_a_timestamp_of_minus_one(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, one(WrongPong())):
                await wait(lambda: server.writer)
                server.send(0x81, PING)
                await wait(lambda: server.texts)
                assert json.loads(server.texts[0]) == {"type": "pong", "timestamp": -1}

        asyncio.run(main())

    @pytest.mark.parametrize(
        ("fault", "first"),
        [
            (UnsolicitedPongs(rate=2_000), 0x8A),
            (PingFlood(rate=2_000), 0x89),
            (Flood(rate=2_000, message_bytes=50), 0x81),
        ],
        ids=["pongs", "pings", "messages"],
    )
    def test_a_flood_keeps_about_its_rate(
        self, peer: Make, wait: Wait, fault: Fault, first: int
    ) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with peer() as (server, url), SocketClient(url, one(fault)):
                began = loop.time()
                await wait(lambda: len(server.said(first)) >= 300)
                seen, took = len(server.said(first)), loop.time() - began
                assert seen <= 2_000 * took + 30
                assert took < 5  # at its rate: 0.15 s

        asyncio.run(main())

    def test_a_flood_waits_for_a_server_that_does_not_read(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = Flood(rate=1_000_000, message_bytes=2_000)
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                await wait(lambda: server.writer)
                server.writer.transport.pause_reading()
                assert client.gate is not None
                transport = client.gate.transport
                assert transport is not None
                await wait(lambda: transport.get_write_buffer_size() > 256 * 1024)
                full = transport.get_write_buffer_size()
                turn = loop_turn()
                await wait(turn)
                assert transport.get_write_buffer_size() == full
                client.die()

        asyncio.run(main())


def loop_turn() -> Callable[[], bool]:
    """Give a condition that holds after 30 ms: time for many more messages."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    return lambda: loop.time() - since > 0.03


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
            async with peer() as (server, url), SocketClient(url, one(fault)):
                await wait(lambda: server.frames)
                assert server.frames[0] == (first, payload)

        asyncio.run(main())

    def test_what_is_sent_every_while_comes_again(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = BadJson(after_seconds=0.01, every=0.01)
            async with peer() as (server, url), SocketClient(url, one(fault)):
                await wait(lambda: len(server.texts) == 3)

        asyncio.run(main())

    def test_what_is_said_during_a_dribble_comes_behind_it(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = Dribble(interval=0.002, message_bytes=5)
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                client.say("after")
                await wait(lambda: len(server.texts) == 2)
                assert server.texts == [b"xxxxx", b"after"]

        asyncio.run(main())

    def test_fragments_never_end(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = EndlessFragments(fragments=500, fragment_bytes=10, every=0.01)
            async with peer() as (server, url), SocketClient(url, one(fault)):
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
            async with serve() as served, SocketClient(served.url, one(fault)) as client:
                closed = await client.wait_closed()
                assert (closed.code, client.unmet) == (1009, {})

        asyncio.run(main())

    def test_a_bomb_on_a_server_without_compression_is_told_to_be_unmet(self, serve: Make) -> None:
        async def main() -> None:
            async with (
                serve(ws_per_message_deflate=False) as served,
                SocketClient(served.url, one(DeflateBomb())) as client,
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
            async with serve() as served, SocketClient(served.url, one(fault)) as client:
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
            async with serve() as served, SocketClient(served.url, one(fault)) as client:
                assert (await client.wait_closed()).code == 1002

        asyncio.run(main())


class TestClosing:
    def test_one_that_ignores_a_close_keeps_its_connection_for_as_long_as_it_says(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = IgnoresClose(hold=0.05)
            async with peer() as (server, url), SocketClient(url, one(fault)) as client:
                assert client.connected_at is not None
                server.send(0x88, CLOSE_1012)
                closed = await client.wait_closed()
                assert closed.code == 1012
                assert closed.time - client.connected_at > 0.045
                await wait(lambda: server.end)
                assert server.frames == []

        asyncio.run(main())

    def test_one_that_sends_after_a_close_answers_it_last(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = SendsAfterClose(messages=2, rate=1_000)
            async with peer() as (server, url), SocketClient(url, one(fault)):
                await wait(lambda: server.writer)
                server.send(0x88, CLOSE_1012)
                await wait(lambda: server.end)
                assert [first for first, _ in server.frames] == [0x81, 0x81, 0x88]

        asyncio.run(main())

    def test_one_that_closes_at_the_same_time_does_not_echo_the_code(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), SocketClient(url, one(SimultaneousClose())):
                await wait(lambda: server.writer)
                server.send(0x88, CLOSE_1012)
                await wait(lambda: server.end)
                assert server.said(0x88) == [CLOSE_1001]

        asyncio.run(main())

    def test_one_that_leaves_in_the_middle_of_a_message_has_not_taken_it(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            taken: list[int] = []
            async with peer() as (server, url):
                client = SocketClient(url, one(ClosesMidBroadcast(nth=2)))
                async with client:
                    server.send(0x81, b"one")
                    await client.wait_received(1)
                    # The head alone: the message never comes.
                    server.writer.write(b"\x81\x05")
                    await wait(lambda: server.said(0x88))
                    taken.append(client.received_messages)
                    client.die()
            assert (taken, server.said(0x88)) == ([1], [CLOSE_1001])

        asyncio.run(main())

    def test_one_that_closes_while_blocked_is_heard_though_the_send_waits_on(
        self, serve: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = ClosesWhileBlocked(hold=0.2)
            async with serve() as served, SocketClient(served.url, one(fault)) as client:
                await wait(lambda: served.websockets)
                sending = asyncio.ensure_future(flood(served.websockets[0]))
                await wait(lambda: served.blocked)
                await wait(lambda: served.disconnects)
                # uvicorn tells its application at once, and lets the send wait all the same.
                assert not sending.done()
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                assert served.disconnects == [1001]
                assert client.stalled

        asyncio.run(main())


@pytest.mark.parametrize(
    "fault", [StalledReader(), HalfOpen(), Reset()], ids=lambda fault: fault.kind
)
def test_what_is_armed_ends_with_the_connection(peer: Make, fault: Fault) -> None:
    async def main() -> None:
        behaviour = Behaviour(name="both", faults=(fault,))
        async with peer() as (_, url), SocketClient(url, behaviour) as client:
            client.after(60, lambda: None)
        assert not client._timers

    asyncio.run(main())
