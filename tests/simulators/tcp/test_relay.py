"""The relay: what goes wrong on the way, between a real client and a real server."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from loadtests.ports import ReservedPort
from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, OptionError, SimulatorError
from simulators.faults import (
    Bandwidth,
    BlackHole,
    Denied,
    DropFrame,
    DuplicateFrame,
    Fault,
    HoldFrame,
    Latency,
    LimitData,
    NeverPongs,
    ResetPeer,
    Slicer,
    SlowAccept,
    SlowClose,
    StalledReader,
    Timeout,
)
from simulators.sockets import ConnectFailed, SocketClient
from simulators.tcp.connection import reset_on_close
from simulators.tcp.relay import Relay

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]
Wait = Callable[[Callable[[], Any]], Awaitable[None]]

CERTIFICATE = Path(__file__).parents[2] / "localhost.pem"
LIMIT = 10.0


def sent(server: Any, *texts: bytes) -> None:
    for text in texts:
        server.send(0x81, text)


def took(client: SocketClient) -> list[str | bytes]:
    return [message for message, _ in client.received]


def test_without_faults_everything_passes_in_both_directions(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        async with (
            serve() as served,
            Relay(served.url) as relay,
            SocketClient(relay.url) as client,
        ):
            client.say("x" * 200_000)
            await wait(lambda: served.heard)
            await served.websockets[0].send_text("y" * 200_000)
            await client.wait_received(1)
            assert (served.heard, took(client)) == (["x" * 200_000], ["y" * 200_000])

    asyncio.run(main())


def test_the_end_of_a_client_is_the_end_of_its_path(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        async with serve() as served, Relay(served.url) as relay:
            async with SocketClient(relay.url):
                await wait(lambda: relay.connections == 1)
            await wait(lambda: relay.connections == 0 and not served.connections)

    asyncio.run(main())


def test_a_clients_reset_is_passed_on(peer: Make, wait: Wait) -> None:
    async def main() -> None:
        async with (
            peer() as (server, url),
            Relay(url) as relay,
            SocketClient(relay.url) as client,
        ):
            client.die()
            await wait(lambda: server.end == "reset")

    asyncio.run(main())


def test_a_servers_reset_reaches_a_client_that_does_not_read(peer: Make, wait: Wait) -> None:
    async def main() -> None:
        async with (
            peer() as (server, url),
            Relay(url) as relay,
            SocketClient(relay.url, Behaviour.stalled()) as client,
        ):
            transport = server.writer.transport
            while not transport.get_write_buffer_size():
                sent(server, b"x" * 50_000)
            if client.hung_up is None:
                pytest.skip("this system does not show the state of a TCP connection")
            reset_on_close(transport.get_extra_info("socket"))
            transport.abort()
            await wait(lambda: client.hung_up)

    asyncio.run(main())


def test_a_client_that_stalls_is_felt_by_the_server(serve: Make, wait: Wait) -> None:
    async def main() -> None:
        async with (
            serve() as served,
            Relay(served.url) as relay,
            SocketClient(relay.url, Behaviour.stalled()),
        ):
            await wait(lambda: served.websockets)
            websocket = served.websockets[0]
            sends = 0
            while not served.blocked:
                assert sends < 20
                send = asyncio.ensure_future(websocket.send_text("x" * 60_000))
                await asyncio.wait([send], timeout=0.02)
                sends += 1
            served.connections[0].transport.abort()
            await asyncio.wait([send])

    asyncio.run(main())


class TestPath:
    def test_latency_delays_and_keeps_the_order(self, peer: Make) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            fault = Latency(seconds=0.05, jitter=0.05, direction="to_client")
            async with peer() as (server, url), Relay(url, faults=[fault]) as relay:
                async with SocketClient(relay.url) as client:
                    began = loop.time()
                    for n in range(20):
                        sent(server, b"%d" % n)
                        await asyncio.sleep(0)
                    await client.wait_received(20)
                    took_seconds = client.received[0].time - began
                assert took(client) == [str(n) for n in range(20)]
                assert took_seconds >= 0.05

        asyncio.run(main())

    def test_latency_does_not_slow_a_stream_down(self, peer: Make) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            fault = Latency(seconds=0.1, direction="to_client")
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                began = loop.time()
                sent(server, *[b"x" * 50_000] * 100)
                await client.wait_received(100)
                # One after the other, pieces of 16 KiB would take over 30 s.
                assert loop.time() - began < 15

        asyncio.run(main())

    def test_bandwidth_is_kept(self, peer: Make) -> None:
        async def main() -> None:
            fault = Bandwidth(bytes_per_second=50_000)
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                sent(server, *[b"x" * 496] * 40)  # 20 000 bytes with their heads
                await client.wait_received(40)
                first, last = client.received[0].time, client.received[-1].time
                assert 0.3 < last - first < 3

        asyncio.run(main())

    def test_a_slicer_cuts_messages_into_pieces(self, peer: Make) -> None:
        async def main() -> None:
            fault = Slicer(piece_bytes=7, pause=0.001)
            pieces: list[int] = []
            async with peer() as (server, url), Relay(url, faults=[fault]) as relay:
                async with SocketClient(relay.url) as client:
                    client.on_part = lambda: pieces.append(
                        client.gate.reader.buffered_bytes if client.gate else 0
                    )
                    sent(server, b"x" * 100)
                    await client.wait_received(1)
                assert len(pieces) > 5

        asyncio.run(main())

    def test_a_limit_of_data_ends_both_sides(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = LimitData(limit_bytes=12)
            async with peer() as (server, url), Relay(url, faults=[fault]) as relay:
                async with SocketClient(relay.url) as client:
                    sent(server, b"12345", b"12345")  # 7 bytes each
                    assert (await client.wait_closed()).code == 1006
                    await wait(lambda: server.end == "fin")
                assert took(client) == ["12345"]

        asyncio.run(main())

    def test_after_a_timeout_nothing_gets_through_and_the_end_comes_later(
        self, peer: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            fault = Timeout(seconds=0.1)
            async with peer() as (server, url), Relay(url, faults=[fault]) as relay:
                async with SocketClient(relay.url) as client:
                    await asyncio.sleep(0.01)
                    sent(server, b"lost")
                    client.say("lost")
                    closed = await client.wait_closed()
                    await wait(lambda: server.end == "fin")
                    assert client.connected_at is not None
                    assert closed.time - client.connected_at >= 0.05
                assert (took(client), server.texts) == ([], [])

        asyncio.run(main())

    def test_what_a_timeout_held_flows_on_when_it_is_healed(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            async with (
                peer() as (server, url),
                Relay(url) as relay,
                SocketClient(relay.url) as client,
            ):
                relay.add(Timeout())
                await asyncio.sleep(0.01)
                sent(server, b"held")
                client.say("held too")
                with pytest.raises(NotSeen):
                    await client.wait_received(1, timeout=0.05)
                relay.heal()
                await client.wait_received(1)
                await wait(lambda: server.texts)
                assert (took(client), server.texts) == (["held"], [b"held too"])

        asyncio.run(main())

    def test_a_black_hole_takes_everything_for_ever(self, serve: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = BlackHole(after_messages=1)
            async with (
                serve() as served,
                Relay(served.url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                await wait(lambda: served.websockets)
                await served.websockets[0].send_text("one")
                await client.wait_received(1)
                async with asyncio.timeout(LIMIT):
                    for _ in range(200):  # more than all buffers hold
                        await served.websockets[0].send_text("x" * 60_000)
                assert client.received_messages == 1
                relay.heal()
                assert (await client.wait_closed()).code == 1006

        asyncio.run(main())

    def test_a_path_that_resets_resets_both_sides(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = ResetPeer(seconds=0.05)
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                await wait(lambda: server.end == "reset")
                assert (await client.wait_closed()).code == 1006

        asyncio.run(main())

    def test_a_slow_close_reaches_the_server_late(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            fault = SlowClose(seconds=0.1)
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                client.finish()
                began = loop.time()
                await wait(lambda: server.end == "fin")
                assert loop.time() - began >= 0.09

        asyncio.run(main())


class TestFrames:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (DropFrame(nth=2), ["one", "three"]),
            (DuplicateFrame(nth=2), ["one", "two", "two", "three"]),
            (HoldFrame(nth=2, seconds=0.05), ["one", "two", "three"]),
        ],
        ids=lambda value: value.kind if isinstance(value, Fault) else "",
    )
    @pytest.mark.parametrize(
        "frames",
        [[(0x81, b"two")], [(0x01, b"t"), (0x89, b"between"), (0x80, b"wo")]],
        ids=["whole", "fragments"],
    )
    def test_one_message_to_the_client(
        self, peer: Make, fault: Fault, expected: list[str], frames: list[tuple[int, bytes]]
    ) -> None:
        async def main() -> None:
            async with peer() as (server, url), Relay(url, faults=[fault]) as relay:
                async with SocketClient(relay.url) as client:
                    sent(server, b"one")
                    for first, payload in frames:
                        server.send(first, payload)
                    sent(server, b"three")
                    await client.wait_received(len(expected))
                assert took(client) == expected

        asyncio.run(main())

    def test_one_message_to_the_server(self, peer: Make, wait: Wait) -> None:
        async def main() -> None:
            fault = DropFrame(nth=1, direction="to_server")
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                client.say("one")
                client.say("two")
                await wait(lambda: server.texts)
                assert server.texts == [b"two"]

        asyncio.run(main())

    def test_a_held_message_holds_those_behind_it(self, peer: Make) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            fault = HoldFrame(nth=1, seconds=0.1)
            async with (
                peer() as (server, url),
                Relay(url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                began = loop.time()
                sent(server, b"held", b"behind")
                await client.wait_received(2)
                assert client.received[0].time - began >= 0.09

        asyncio.run(main())


class TestUpgrade:
    def test_a_slow_accept_lets_the_client_wait(self, serve: Make) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            fault = SlowAccept(delay=0.1)
            async with (
                serve() as served,
                Relay(served.url, faults=[fault]) as relay,
                SocketClient(relay.url) as client,
            ):
                assert client.connected_at is not None
                assert client.connected_at - began >= 0.1

        asyncio.run(main())

    def test_a_denied_client_sees_the_status_and_the_server_an_end(
        self, serve: Make, wait: Wait
    ) -> None:
        async def main() -> None:
            async with serve() as served, Relay(served.url, faults=[Denied(code=502)]) as relay:
                with pytest.raises(ConnectFailed) as caught:
                    await SocketClient(relay.url).connect()
                assert caught.value.status == 502
                await wait(lambda: not served.connections)

        asyncio.run(main())


def test_a_socket_client_brings_its_own_relay_for_the_faults_of_its_path(peer: Make) -> None:
    async def main() -> None:
        behaviour = Behaviour(
            name="both", faults=(DropFrame(nth=1), StalledReader(after_messages=1))
        )
        async with peer() as (server, url):
            async with SocketClient(url, behaviour) as client:
                sent(server, b"lost", b"taken", b"not read")
                await client.wait_received(1)
                assert client.stalled
                relay = client.relay
            assert relay is not None
            assert relay.connections == 0
            assert took(client) == ["taken"]

    asyncio.run(main())


def test_toxicity_is_the_fraction_of_connections_that_are_hit(peer: Make) -> None:
    async def main() -> None:
        hit = 0
        for seed in range(20):
            fault = ResetPeer(toxicity=0.5)
            async with (
                peer() as (_, url),
                Relay(url, faults=[fault], seed=seed) as relay,
                SocketClient(relay.url) as client,
            ):
                try:
                    await client.wait_closed(timeout=0.02)
                    hit += 1
                except NotSeen:
                    pass
        assert 4 <= hit <= 16

    asyncio.run(main())


def test_tls_passes_through_with_the_faults_that_need_not_see(serve: Make) -> None:
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))

    async def main() -> None:
        async with serve(ssl_certfile=str(CERTIFICATE)) as served:
            fault = Latency(seconds=0.02)
            async with (
                Relay(served.url, faults=[fault]) as relay,
                SocketClient(relay.url, ssl=trusting) as client,
            ):
                assert client.connected

    asyncio.run(main())


class TestMistakes:
    def test_a_fault_of_a_client_is_refused(self) -> None:
        with pytest.raises(OptionError, match="never_pongs is no fault of a path"):
            Relay("ws://127.0.0.1/", faults=[NeverPongs()])

    def test_a_fault_that_must_see_messages_is_refused_on_tls(self) -> None:
        with pytest.raises(OptionError, match="drop_frame must see the messages"):
            Relay("wss://127.0.0.1/", faults=[DropFrame(nth=1)])

    def test_the_same_kind_twice_is_refused(self) -> None:
        with pytest.raises(OptionError, match="does latency already"):
            Relay("ws://127.0.0.1/", faults=[Latency(seconds=1), Latency(seconds=2)])

    def test_the_url_of_one_that_has_not_started_is_refused(self) -> None:
        with pytest.raises(SimulatorError, match="has not started"):
            _ = Relay("ws://127.0.0.1/").url

    def test_a_server_that_is_not_there_ends_the_connection(self) -> None:
        async def main() -> None:
            with ReservedPort("127.0.0.1") as unused:
                async with Relay(f"ws://127.0.0.1:{unused.port}/") as relay:
                    with pytest.raises(ConnectFailed):
                        await SocketClient(relay.url).connect()

        asyncio.run(main())
