"""The faults of the path between a server and a client, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import (
    Bandwidth,
    DropFrame,
    DuplicateFrame,
    Fault,
    HoldFrame,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    StalledReader,
    Timeout,
    TinyWindow,
)
from simulators.faults.path import Direction
from simulators.records import Closed
from simulators.runs import sim_test
from simulators.uplink import wire_with
from simulators.wire import Wire

End = Callable[[FakeClient], Awaitable[tuple[int, float]]]

PURE = Wire.uvicorn()


def fake(*faults: Fault, wire: Wire = PURE) -> FakeClient:
    return FakeClient(Behaviour.of(*faults), wire=wire)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("direction", "there", "back"), [("both", 2, 4), ("to_client", 2, 2), ("to_server", 0, 2)]
)
def test_latency_counts_each_way_that_it_has(direction: Any, there: float, back: float) -> None:
    @sim_test
    async def main() -> None:
        client = fake(Latency(seconds=2, direction=direction))
        await client.send_text('{"type":"ping"}')
        await client.wait_received(1)
        assert client.received[0].time == there
        await client.receive_text()
        assert now() == back

    main()


@sim_test
async def test_latency_adds_to_that_of_the_wire_and_jitter_keeps_the_order() -> None:
    client = fake(Latency(seconds=1, jitter=1), wire=Wire(latency=1))
    for number in range(50):
        client.say(str(number))
        await client.send_text(str(number))
    said = [await client.receive_text() for _ in range(50)]
    assert 2.0 < now() <= 3.0
    await client.wait_received(50)
    assert said == client.messages == [str(number) for number in range(50)]


@sim_test
async def test_bandwidth_to_the_client_fills_the_servers_buffer() -> None:
    client = fake(Bandwidth(bytes_per_second=1_000))
    await client.send_text("x" * 100_000)
    waiting = asyncio.create_task(client.send_text("next"))
    await asyncio.sleep(80)
    assert client.sending == 1
    await waiting
    assert now() == pytest.approx(83.6, abs=0.1)


@sim_test
async def test_bandwidth_to_the_server_makes_what_the_client_says_late() -> None:
    client = fake(Bandwidth(bytes_per_second=100, direction="to_server"))
    client.say("x" * 200)
    client.say("é" * 100)  # as many bytes
    await client.receive_text()
    assert now() == 2.0
    await client.receive_text()
    assert now() == 4.0


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
def test_a_slicer_with_pauses_is_a_rate(direction: Direction) -> None:
    @sim_test
    async def main() -> None:
        client = fake(Slicer(piece_bytes=10, pause=0.5, direction=direction))
        if direction == "to_client":
            await client.send_text("x" * 98)
            await client.wait_received(1)
        else:
            client.say("x" * 100)
            await client.receive_text()
        assert now() == pytest.approx(5.0)

    main()


@sim_test
async def test_a_slicer_without_pauses_is_not_seen() -> None:
    client = fake(Slicer(piece_bytes=1))
    await client.send_text("x" * 1_000)
    assert client.received[0].time == 0.0


@sim_test
async def test_a_limit_of_data_closes_the_connection_before_the_message_beyond_it(
    disconnect_of: End,
) -> None:
    client = fake(LimitData(limit_bytes=250))
    for _ in range(3):
        await client.send_text("x" * 98)
    assert await disconnect_of(client) == (1005, 0.0)
    assert len(client.messages) == 2
    assert client.closed == Closed(1006, "", 0.0)


@sim_test
async def test_a_limit_of_no_data_ends_the_connection_at_once() -> None:
    assert fake(LimitData(limit_bytes=0)).closed is not None


@sim_test
async def test_a_timeout_swallows_everything_and_then_ends_the_connection(
    disconnect_of: End,
) -> None:
    client = fake(Timeout(after_seconds=1, seconds=5))
    await client.send_text("before")
    await asyncio.sleep(2)
    for _ in range(100):
        await client.send_text("x" * 10_000)
    client.say("unheard")
    assert await disconnect_of(client) == (1005, 6.0)
    assert client.messages == ["before"]
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("after")


@sim_test
async def test_a_timeout_without_an_end_has_none() -> None:
    client = fake(Timeout())
    await asyncio.sleep(3_600)
    await client.send_text("x")
    assert client.connected
    assert client.messages == []


@sim_test
async def test_a_path_that_resets_ends_both_sides(disconnect_of: End) -> None:
    client = fake(ResetPeer(seconds=3))
    assert await disconnect_of(client) == (1005, 3.0)
    assert client.closed == Closed(1006, "", 3.0)


@sim_test
async def test_a_slow_close_is_noticed_late_by_the_server(disconnect_of: End) -> None:
    client = fake(SlowClose(seconds=10))
    client.leave(1001)
    await client.send_text("into the buffer")
    assert await disconnect_of(client) == (1001, 10.0)
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("x")


@sim_test
async def test_a_dropped_frame_leaves_a_gap_on_either_way() -> None:
    client = fake(DropFrame(nth=2))
    other = fake(DropFrame(nth=2, direction="to_server"))
    for text in "abc":
        await client.send_text(text)
        other.say(text)
    assert client.messages == ["a", "c"]
    assert [await other.receive_text() for _ in range(2)] == ["a", "c"]


@sim_test
async def test_a_duplicated_frame_arrives_twice_on_either_way() -> None:
    client = fake(DuplicateFrame(nth=2))
    other = fake(DuplicateFrame(nth=2, direction="to_server"))
    for text in "abc":
        await client.send_text(text)
        other.say(text)
    assert client.messages == ["a", "b", "b", "c"]
    assert [await other.receive_text() for _ in range(4)] == ["a", "b", "b", "c"]


@sim_test
async def test_a_held_frame_holds_those_behind_it_on_either_way() -> None:
    client = fake(HoldFrame(nth=2, seconds=5))
    other = fake(HoldFrame(nth=2, seconds=5, direction="to_server"))
    for text in "abc":
        await client.send_text(text)
        other.say(text)
    await client.close(1000)
    assert await client.wait_closed() == Closed(1000, "", 5.0)
    assert [(text, time) for text, time in client.received] == [("a", 0), ("b", 5), ("c", 5)]
    assert [await other.receive_text() for _ in range(3)] == ["a", "b", "c"]


@sim_test
async def test_what_was_held_waits_for_a_client_that_stalls() -> None:
    client = fake(HoldFrame(nth=1, seconds=1))
    await client.send_text("a")
    client.stall()
    await asyncio.sleep(2)
    assert client.messages == []
    client.resume()
    assert client.received == [("a", 2.0)]


@pytest.mark.parametrize(
    "fault",
    [
        Latency(seconds=5),
        Bandwidth(bytes_per_second=1),
        HoldFrame(nth=1, seconds=99),
        Timeout(seconds=99),
        ResetPeer(seconds=99),
        SlowClose(seconds=99),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_healed_path_carries_at_once(fault: Fault, disconnect_of: End) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault)
        client.heal()
        await client.send_text('{"type":"ping"}')
        await client.receive_text()
        client.leave(1000)
        assert await disconnect_of(client) == (1000, 0.0)
        await asyncio.sleep(200)
        assert client.closed == Closed(1000, "", 0.0)

    main()


@sim_test
async def test_a_healed_path_gives_up_what_it_held() -> None:
    client = fake(HoldFrame(nth=1, seconds=99))
    await client.send_text("a")
    await client.send_text("b")
    client.heal()
    assert client.messages == ["a", "b"]


def test_a_wire_without_faults_stays_the_same_object() -> None:
    wire = Wire.loopback()
    assert wire_with(wire, [StalledReader(), Latency(seconds=1, direction="to_server")]) is wire


def test_a_wire_takes_the_worst_of_its_faults() -> None:
    faults = [
        Latency(seconds=1, jitter=2),
        Bandwidth(bytes_per_second=50),
        Slicer(piece_bytes=10, pause=1),
        TinyWindow(receive_buffer_bytes=2_048),
    ]
    wire = wire_with(Wire(bytes_per_second=100, kernel_bytes=10**6, latency=1), faults)
    assert wire == Wire(bytes_per_second=10, kernel_bytes=5_000, latency=2, jitter=2)
