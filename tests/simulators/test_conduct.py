"""What an application sees of each fault of a client, in virtual time."""

import asyncio
import json
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.errors import OptionError
from simulators.faults import (
    BadJson,
    BehaviourError,
    BlackHole,
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    CloseWithUnread,
    DeepJson,
    Denied,
    DiesDuringBroadcast,
    DoubleDisconnect,
    Dribble,
    Fault,
    FinWithoutClose,
    Flood,
    HalfClose,
    HalfOpen,
    IgnoresClose,
    LatePong,
    NeverPongs,
    Oversize,
    PausedProcess,
    PingFlood,
    PulsingReader,
    Reset,
    ResetBeforeAccept,
    SendsAfterClose,
    SilentApplication,
    SimultaneousClose,
    SlowAccept,
    SlowReader,
    StalledReader,
    TinyWindow,
    UnsolicitedPongs,
    WrongPong,
    WrongType,
)
from simulators.records import Closed
from simulators.runs import sim_test
from simulators.wire import Wire

PING = json.dumps({"type": "ping", "timestamp": 0.0})


def fake(*faults: Fault, **options: Any) -> FakeClient:
    return FakeClient(Behaviour(name="faulty", faults=faults), **options)


def now() -> float:
    return asyncio.get_running_loop().time()


async def send(client: FakeClient, text: str = "x") -> str:
    """Send with the deadline of the original manager, and say how it went."""
    try:
        async with asyncio.timeout(0.5):
            await client.send_text(text)
    except TimeoutError:
        return "timeout"
    except WebSocketDisconnect as gone:
        return f"disconnect {gone.code}"
    return "sent"


async def disconnect_of(client: FakeClient) -> tuple[int, float]:
    """Receive until the end, and return its code and time."""
    while True:
        message = await client.receive()
        if message["type"] == "websocket.disconnect":
            return message["code"], now()


# Reading


@sim_test
async def test_a_pulsing_reader_lets_sends_wait_while_it_is_off() -> None:
    client = fake(PulsingReader(on=2, off=1))
    assert await send(client) == "sent"
    await asyncio.sleep(2.1)
    assert client.stalled
    waiting = asyncio.create_task(client.send_text("y"))
    await waiting
    assert now() == 3.0
    await asyncio.sleep(2.5)
    assert client.stalled


@sim_test
async def test_a_pulsing_reader_reads_steadily_until_its_time_has_come() -> None:
    client = fake(PulsingReader(on=2, off=1, after_seconds=10))
    assert await send(client) == "sent"
    await asyncio.sleep(11.9)
    assert not client.stalled
    await asyncio.sleep(0.2)
    assert client.stalled


@sim_test
async def test_a_tiny_window_leaves_little_room_before_a_send_waits() -> None:
    fills = {}
    for name, faults in (("wide", ()), ("tiny", (TinyWindow(),))):
        client = fake(StalledReader(), *faults, wire=Wire.loopback())
        count = 0
        while await send(client, "x" * 10_000) == "sent":
            count += 1
        fills[name] = count * 10_000
    assert fills == {"wide": 4_070_000, "tiny": 80_000}


@sim_test
async def test_faults_of_reading_combine() -> None:
    client = fake(SlowReader(bytes_per_second=100), Reset(after_seconds=3), wire=Wire.uvicorn())
    await client.send_text("x" * 100)
    await client.send_text("y" * 1_000)
    assert await client.wait_closed() == Closed(1006, "", 3.0)
    assert client.messages == ["x" * 100]


# Death


@pytest.mark.parametrize("fault", [FinWithoutClose(after_seconds=1), Reset(after_seconds=1)])
def test_a_death_reaches_the_endpoint_as_1005_and_the_next_send_as_a_disconnect(
    fault: Fault,
) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault)
        assert await disconnect_of(client) == (1005, 1.0)
        assert await send(client) == "disconnect 1006"
        assert client.closed == Closed(1006, "", 1.0)

    main()


@sim_test
async def test_a_death_by_messages_happens_at_the_first_limit() -> None:
    client = fake(FinWithoutClose(after_messages=2, after_seconds=9))
    results = [await send(client) for _ in range(3)]
    assert results == ["sent", "sent", "disconnect 1006"]
    assert client.closed == Closed(1006, "", 0.0)


@sim_test
async def test_a_reset_in_the_middle_of_a_message_loses_that_message() -> None:
    client = fake(Reset(when="mid_frame", after_messages=1))
    assert [await send(client, text) for text in "abc"] == ["sent", "sent", "disconnect 1006"]
    assert client.messages == ["a"]


@sim_test
async def test_a_reset_during_a_send_ends_the_send_that_waits() -> None:
    client = fake(Reset(when="during_send", after_messages=1))
    assert await send(client) == "sent"
    await asyncio.sleep(5)
    assert client.connected
    assert await send(client) == "disconnect 1006"
    assert client.closed == Closed(1006, "", 5.0)


@sim_test
async def test_a_client_that_closes_with_something_unread_resets_at_the_next_message() -> None:
    client = fake(CloseWithUnread(after_messages=1))
    await client.send_text("read")
    await asyncio.sleep(1)
    assert client.connected
    assert await send(client, "unread") == "sent"
    assert await disconnect_of(client) == (1005, 1.0)
    assert client.messages == ["read"]


@sim_test
async def test_a_half_close_is_the_end_for_the_application_and_later_for_the_client() -> None:
    client = fake(HalfClose(after_seconds=1), wire=Wire(latency=0.25))
    assert await disconnect_of(client) == (1005, 1.25)
    assert client.connected
    assert await client.wait_closed() == Closed(1006, "", 1.5)
    assert await send(client) == "disconnect 1006"


@sim_test
async def test_a_half_open_client_fills_its_buffers_and_says_nothing_more() -> None:
    client = fake(HalfOpen(after_messages=1), wire=Wire.uvicorn())
    await client.send_text("last")
    client.say("nobody hears this")
    client.die()
    results = [await send(client, "x" * 10_000) for _ in range(8)]
    assert results == ["sent"] * 7 + ["timeout"]
    assert not client._inbound


@sim_test
async def test_a_half_open_client_does_not_see_an_abort() -> None:
    client = fake(HalfOpen(), abortable=True)
    connection = client.scope["extensions"]["flock_ws"]["connection"]
    connection.abort()
    assert connection.lost
    assert client.closed is None
    assert await disconnect_of(client) == (1005, 0.0)


@sim_test
async def test_others_run_before_the_send_to_a_client_that_dies_during_it_fails() -> None:
    client = fake(DiesDuringBroadcast(nth=2))
    seen = []

    async def other() -> None:
        seen.append(client.sending)

    assert await send(client, "a") == "sent"
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send(client, "b"))
        group.create_task(other())
    assert (sending.result(), seen) == ("disconnect 1006", [1])
    assert client.messages == ["a"]
    assert await disconnect_of(client) == (1005, 0.0)


@sim_test
async def test_a_death_during_a_send_takes_the_latency_to_be_noticed() -> None:
    client = fake(DiesDuringBroadcast(), wire=Wire(latency=0.2))
    assert await send(client) == "disconnect 1006"
    assert now() == pytest.approx(0.2)


@sim_test
async def test_a_double_disconnect_is_told_twice_and_fails_the_next_send() -> None:
    client = fake(DoubleDisconnect(after_messages=1))
    await client.send_text("a")
    with pytest.raises(WebSocketDisconnect) as caught:
        await client.receive_text()
    assert caught.value.code == 1001
    assert await send(client) == "disconnect 1006"
    again = await client._receive()
    assert again == {"type": "websocket.disconnect", "code": 1005}


@sim_test
async def test_sends_into_a_black_hole_succeed_for_ever_and_nothing_arrives() -> None:
    client = fake(BlackHole(after_messages=1))
    await client.send_text("a")
    assert {await send(client, "x" * 100_000) for _ in range(100)} == {"sent"}
    client.say("unheard")
    assert client.messages == ["a"]
    assert not client._inbound
    assert client.connected
    client.die()
    assert await send(client) == "sent"


# Handshake


@pytest.mark.parametrize("fault", [ResetBeforeAccept(), Reset(when="before_accept")])
def test_after_a_reset_before_accept_accepting_fails(fault: Fault) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault, accepted=False)
        with pytest.raises(ConnectionResetError):
            await client.accept()
        assert client.closed == Closed(1006, "", 0.0)
        assert not client.connected

    main()


@sim_test
async def test_a_slow_accept_takes_its_time_and_then_all_is_well() -> None:
    client = fake(SlowAccept(delay=3), accepted=False)
    await client.accept()
    assert now() == 3.0
    assert await send(client) == "sent"


@sim_test
async def test_a_denied_client_is_told_the_status_and_the_application_fails_to_accept() -> None:
    client = fake(Denied(code=429), accepted=False)
    with pytest.raises(ConnectionResetError):
        await client.accept()
    assert client.closed == Closed(1006, "HTTP 429", 0.0)


@sim_test
async def test_faults_of_a_connection_begin_when_it_is_accepted() -> None:
    client = fake(SlowAccept(delay=3), Reset(after_seconds=1), accepted=False)
    await client.accept()
    assert await client.wait_closed() == Closed(1006, "", 4.0)


def test_a_fault_of_the_handshake_needs_a_handshake() -> None:
    with pytest.raises(OptionError, match=r"denied is a fault of the handshake.*accepted=False"):
        fake(Denied())


def test_what_cannot_be_produced_in_process_is_refused_with_the_reason() -> None:
    with pytest.raises(BehaviourError, match="paused_process cannot be produced in process: "):
        fake(PausedProcess(seconds=1))


# Liveness


@pytest.mark.parametrize("fault", [NeverPongs(), SilentApplication()])
def test_a_silent_client_reads_pings_and_answers_none(fault: Fault) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault)
        await client.send_text(PING)
        await asyncio.sleep(60)
        assert client.messages == [PING]
        assert not client._inbound

    main()


@sim_test
async def test_a_client_that_falls_silent_answers_pings_until_then() -> None:
    client = fake(NeverPongs(after_seconds=5))
    await client.send_text(PING)
    assert (await client.receive_json())["type"] == "pong"
    await asyncio.sleep(5)
    await client.send_text(PING)
    await asyncio.sleep(60)
    assert client.messages == [PING, PING]
    assert not client._inbound


@sim_test
async def test_a_late_pong_comes_late() -> None:
    client = fake(LatePong(delay=5))
    await client.send_text(PING)
    assert await client.receive_json() == {"type": "pong", "timestamp": 5_000}
    assert now() == 5.0


@sim_test
async def test_a_wrong_pong_has_a_wrong_timestamp_and_may_be_late_too() -> None:
    client = fake(WrongPong(), LatePong(delay=1))
    await client.send_text(PING)
    assert await client.receive_json() == {"type": "pong", "timestamp": -1}
    assert now() == 1.0


@sim_test
async def test_unsolicited_pongs_come_at_their_rate() -> None:
    client = fake(UnsolicitedPongs(rate=10, after_seconds=1))
    first = await client.receive_json()
    for _ in range(10):
        await client.receive_json()
    assert first == {"type": "pong", "timestamp": 1_000}
    assert now() == pytest.approx(2.0)


@sim_test
async def test_a_ping_flood_sends_application_pings() -> None:
    client = fake(PingFlood(rate=100))
    messages = [await client.receive_json() for _ in range(101)]
    assert {message["type"] for message in messages} == {"ping"}
    assert now() == pytest.approx(1.0)


# Inbound


@sim_test
async def test_a_flood_has_rate_and_size_and_stops_when_nobody_receives() -> None:
    client = fake(Flood(rate=1_000, message_bytes=50))
    assert len(await client.receive_text()) == 50
    await asyncio.sleep(60)
    assert len(client._inbound) == 1_000
    client.die()
    await asyncio.sleep(60)
    assert len(client._inbound) == 1_001


@sim_test
async def test_an_oversize_message_ends_the_connection_with_1009() -> None:
    client = fake(Oversize(after_seconds=1))
    with pytest.raises(WebSocketDisconnect) as caught:
        await client.receive_text()
    assert (caught.value.code, caught.value.reason) == (1009, "message too big")
    assert client.closed == Closed(1009, "message too big", 1.0)


@sim_test
async def test_a_large_message_below_the_servers_limit_arrives() -> None:
    client = fake(Oversize(message_bytes=1_000_000))
    assert len(await client.receive_text()) == 1_000_000


@sim_test
async def test_a_dribbled_message_arrives_with_its_last_byte() -> None:
    client = fake(Dribble(interval=0.5, message_bytes=8, after_seconds=1))
    assert await client.receive_text() == "x" * 8
    assert now() == 5.0


@sim_test
async def test_a_wrong_type_is_binary_where_text_is_expected() -> None:
    client = fake(WrongType())
    with pytest.raises(KeyError):
        await client.receive_text()


@sim_test
async def test_bad_json_comes_again_when_it_is_told_to() -> None:
    client = fake(BadJson(every=2))
    for expected in (0.0, 2.0, 4.0):
        with pytest.raises(json.JSONDecodeError):
            await client.receive_json()
        assert now() == expected


@sim_test
async def test_deep_json_is_as_deep_as_told() -> None:
    client = fake(DeepJson(depth=100_000))
    with pytest.raises(RecursionError):
        await client.receive_json()


# Closing


@sim_test
async def test_a_client_that_ignores_a_close_stays_until_it_is_aborted() -> None:
    client = fake(IgnoresClose(), abortable=True)
    await client.close(1001)
    connection = client.scope["extensions"]["flock_ws"]["connection"]
    await asyncio.sleep(600)
    assert client.closed is None
    assert not connection.lost
    connection.abort()
    assert client.closed == Closed(1006, "", 600.0)


@sim_test
async def test_a_client_that_ignores_a_close_for_a_while_answers_then() -> None:
    client = fake(IgnoresClose(hold=5))
    await client.close(1001, "bye")
    assert await client.wait_closed() == Closed(1001, "bye", 5.0)


@sim_test
async def test_a_client_that_sends_after_close_is_still_heard() -> None:
    client = fake(SendsAfterClose(messages=3, rate=4))
    await client.close(1000)
    assert await client.wait_closed() == Closed(1000, "", 0.75)
    said = [message.get("text") for message in client._inbound]
    assert said == [None, "late 1", "late 2", "late 3"]


@sim_test
async def test_a_simultaneous_close_shows_the_clients_code_and_the_close_raises() -> None:
    client = fake(SimultaneousClose(code=4001))
    receiving = asyncio.create_task(client.receive_text())
    await asyncio.sleep(0)
    with pytest.raises(WebSocketDisconnect):
        await client.close(1001)
    with pytest.raises(WebSocketDisconnect) as caught:
        await receiving
    assert caught.value.code == 4001
    assert client.closed == Closed(4001, "", 0.0)


@sim_test
async def test_a_client_that_closes_during_a_broadcast_fails_its_send() -> None:
    client = fake(ClosesMidBroadcast(nth=2, code=4002))
    assert [await send(client) for _ in range(2)] == ["sent", "disconnect 1006"]
    assert await disconnect_of(client) == (4002, 0.0)


@sim_test
async def test_a_client_that_closes_while_a_send_waits_ends_the_send() -> None:
    client = fake(ClosesWhileBlocked(after_messages=1, hold=0.25))
    assert await send(client) == "sent"
    await asyncio.sleep(10)
    assert await send(client) == "disconnect 1006"
    assert client.closed == Closed(1001, "", 10.25)


# All of them


@sim_test(seed=3)
async def test_toxicity_hits_a_fraction_of_the_clients_by_the_seed() -> None:
    behaviour = Behaviour(name="some", faults=(StalledReader(toxicity=0.3),))
    clients = [FakeClient(behaviour) for _ in range(1_000)]
    assert 250 < sum(client.stalled for client in clients) < 350
    assert {bool(client.behaviour.faults) for client in clients} == {True, False}


HEALED = [
    StalledReader(),
    SlowReader(bytes_per_second=1),
    PulsingReader(on=1, off=1),
    HalfOpen(),
    BlackHole(),
    NeverPongs(),
    IgnoresClose(),
    Reset(after_seconds=60),
    CloseWithUnread(),
]


@pytest.mark.parametrize("fault", HEALED, ids=lambda fault: fault.kind)
def test_a_healed_client_reads_answers_and_closes_like_any_other(fault: Fault) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault)
        await asyncio.sleep(1.5)
        client.heal()
        await client.send_text(PING)
        assert (await client.receive_json())["type"] == "pong"
        await asyncio.sleep(60)
        await client.close(1000)
        assert await client.wait_closed() == Closed(1000, "", 61.5)

    main()
