"""Faulty clients in process: how they read and die, and that they can be healed."""

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import (
    BlackHole,
    CloseWithUnread,
    DiesDuringBroadcast,
    DoubleDisconnect,
    Fault,
    FinWithoutClose,
    HalfClose,
    HalfOpen,
    IgnoresClose,
    NeverPongs,
    PulsingReader,
    Reset,
    SlowReader,
    StalledReader,
    TinyWindow,
)
from simulators.records import Closed
from simulators.runs import sim_test
from simulators.wire import Wire
from tests.simulators.scene import PING, Attempt, End, fake, now

# Reading


@sim_test
async def test_a_pulsing_reader_lets_sends_wait_while_it_is_off(attempt: Attempt) -> None:
    client = fake(PulsingReader(on=2, off=1))
    assert await attempt(client) == "sent"
    await asyncio.sleep(2.1)
    assert client.stalled
    waiting = asyncio.create_task(client.send_text("y"))
    await waiting
    assert now() == 3.0
    await asyncio.sleep(2.5)
    assert client.stalled


@sim_test
async def test_a_pulsing_reader_reads_steadily_until_its_time_has_come(attempt: Attempt) -> None:
    client = fake(PulsingReader(on=2, off=1, after_seconds=10))
    assert await attempt(client) == "sent"
    await asyncio.sleep(11.9)
    assert not client.stalled
    await asyncio.sleep(0.2)
    assert client.stalled


@sim_test
async def test_a_tiny_window_leaves_little_room_before_a_send_waits(attempt: Attempt) -> None:
    fills = {}
    for name, faults in (("wide", ()), ("tiny", (TinyWindow(),))):
        client = fake(StalledReader(), *faults, wire=Wire.loopback())
        count = 0
        while await attempt(client, "x" * 10_000) == "sent":
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
    attempt: Attempt,
    disconnect_of: End,
) -> None:
    @sim_test
    async def main() -> None:
        client = fake(fault)
        assert await disconnect_of(client) == (1005, 1.0)
        assert await attempt(client) == "disconnect 1006"
        assert client.closed == Closed(1006, "", 1.0)

    main()


@sim_test
async def test_a_death_by_messages_happens_at_the_first_limit(attempt: Attempt) -> None:
    client = fake(FinWithoutClose(after_messages=2, after_seconds=9))
    results = [await attempt(client) for _ in range(3)]
    assert results == ["sent", "sent", "disconnect 1006"]
    assert client.closed == Closed(1006, "", 0.0)


@sim_test
async def test_a_reset_in_the_middle_of_a_message_loses_that_message(attempt: Attempt) -> None:
    client = fake(Reset(when="mid_frame", after_messages=1))
    assert [await attempt(client, text) for text in "abc"] == ["sent", "sent", "disconnect 1006"]
    assert client.messages == ["a"]


@sim_test
async def test_a_reset_during_a_send_ends_the_send_that_waits(attempt: Attempt) -> None:
    client = fake(Reset(when="during_send", after_messages=1))
    assert await attempt(client) == "sent"
    await asyncio.sleep(5)
    assert client.connected
    assert await attempt(client) == "disconnect 1006"
    assert client.closed == Closed(1006, "", 5.0)


@sim_test
async def test_a_client_that_closes_with_something_unread_resets_at_the_next_message(
    attempt: Attempt, disconnect_of: End
) -> None:
    client = fake(CloseWithUnread(after_messages=1))
    await client.send_text("read")
    await asyncio.sleep(1)
    assert client.connected
    assert await attempt(client, "unread") == "sent"
    assert await disconnect_of(client) == (1005, 1.0)
    assert client.messages == ["read"]


@sim_test
async def test_a_half_close_is_the_end_for_the_application_and_later_for_the_client(
    attempt: Attempt, disconnect_of: End
) -> None:
    client = fake(HalfClose(after_seconds=1), wire=Wire(latency=0.25))
    assert await disconnect_of(client) == (1005, 1.25)
    assert client.connected
    assert await client.wait_closed() == Closed(1006, "", 1.5)
    assert await attempt(client) == "disconnect 1006"


@sim_test
async def test_a_half_open_client_fills_its_buffers_and_says_nothing_more(attempt: Attempt) -> None:
    client = fake(HalfOpen(after_messages=1), wire=Wire.uvicorn())
    await client.send_text("last")
    client.say("nobody hears this")
    client.die()
    results = [await attempt(client, "x" * 10_000) for _ in range(8)]
    assert results == ["sent"] * 7 + ["timeout"]
    assert not client._inbound


@sim_test
async def test_a_half_open_client_does_not_see_an_abort(disconnect_of: End) -> None:
    client = fake(HalfOpen(), abortable=True)
    connection = client.scope["extensions"]["flock_ws"]["connection"]
    connection.abort()
    assert connection.lost
    assert client.closed is None
    assert await disconnect_of(client) == (1005, 0.0)


@sim_test
async def test_others_run_before_the_send_to_a_client_that_dies_during_it_fails(
    attempt: Attempt, disconnect_of: End
) -> None:
    client = fake(DiesDuringBroadcast(nth=2))
    seen = []

    async def other() -> None:
        seen.append(client.sending)

    assert await attempt(client, "a") == "sent"
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(attempt(client, "b"))
        group.create_task(other())
    assert (sending.result(), seen) == ("disconnect 1006", [1])
    assert client.messages == ["a"]
    assert await disconnect_of(client) == (1005, 0.0)


@sim_test
async def test_a_death_during_a_send_takes_the_latency_to_be_noticed(attempt: Attempt) -> None:
    client = fake(DiesDuringBroadcast(), wire=Wire(latency=0.2))
    assert await attempt(client) == "disconnect 1006"
    assert now() == pytest.approx(0.2)


@sim_test
async def test_a_double_disconnect_is_told_twice_and_fails_the_next_send(attempt: Attempt) -> None:
    client = fake(DoubleDisconnect(after_messages=1))
    await client.send_text("a")
    with pytest.raises(WebSocketDisconnect) as caught:
        await client.receive_text()
    assert caught.value.code == 1001
    assert await attempt(client) == "disconnect 1006"
    again = await client._receive()
    assert again == {"type": "websocket.disconnect", "code": 1005}


@sim_test
async def test_sends_into_a_black_hole_succeed_for_ever_and_nothing_arrives(
    attempt: Attempt,
) -> None:
    client = fake(BlackHole(after_messages=1))
    await client.send_text("a")
    assert {await attempt(client, "x" * 100_000) for _ in range(100)} == {"sent"}
    client.say("unheard")
    assert client.messages == ["a"]
    assert not client._inbound
    assert client.connected
    client.die()
    assert await attempt(client) == "sent"


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
