"""Faulty clients in process: how they are accepted, answer, talk and close."""

import asyncio
import json

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.errors import OptionError
from simulators.faults import (
    BadJson,
    BehaviourError,
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    DeepJson,
    Denied,
    Dribble,
    Fault,
    Flood,
    IgnoresClose,
    LatePong,
    NeverPongs,
    Oversize,
    PausedProcess,
    PingFlood,
    Reset,
    ResetBeforeAccept,
    SendsAfterClose,
    SilentApplication,
    SimultaneousClose,
    SlowAccept,
    UnsolicitedPongs,
    WrongPong,
    WrongType,
)
from simulators.records import Closed
from simulators.runs import sim_test
from tests.simulators.scene import PING, Attempt, End, fake, now

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
async def test_a_slow_accept_takes_its_time_and_then_all_is_well(attempt: Attempt) -> None:
    client = fake(SlowAccept(delay=3), accepted=False)
    await client.accept()
    assert now() == 3.0
    assert await attempt(client) == "sent"


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
async def test_a_client_that_closes_during_a_broadcast_fails_its_send(
    attempt: Attempt, disconnect_of: End
) -> None:
    client = fake(ClosesMidBroadcast(nth=2, code=4002))
    assert [await attempt(client) for _ in range(2)] == ["sent", "disconnect 1006"]
    assert await disconnect_of(client) == (4002, 0.0)


@sim_test
async def test_a_client_that_closes_while_a_send_waits_ends_the_send(attempt: Attempt) -> None:
    client = fake(ClosesWhileBlocked(after_messages=1, hold=0.25))
    assert await attempt(client) == "sent"
    await asyncio.sleep(10)
    assert await attempt(client) == "disconnect 1006"
    assert client.closed == Closed(1001, "", 10.25)
