"""The named constructors: a test against each kind of client in three lines."""

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.clients import FakeClient
from simulators.faults import SendDelay, SlowReader
from simulators.named import DeadClient, HealthyClient, LookAlike, SlowClient, StalledClient
from simulators.records import Received
from simulators.runs import sim_test
from simulators.wire import Wire


def _time() -> float:
    return asyncio.get_running_loop().time()


@sim_test
async def test_a_healthy_client_has_what_it_was_sent() -> None:
    client = HealthyClient()
    await client.send_text("x")
    assert client.received == [Received("x", 0.0)]


@sim_test
async def test_a_slow_client_makes_its_first_send_wait_longer_than_half_a_second() -> None:
    client = SlowClient()
    await client.send_text("x")
    assert _time() == pytest.approx(49, abs=2)
    await client.wait_received(1, timeout=60)
    assert client.behaviour.faults == (SlowReader(bytes_per_second=1_000),)


@sim_test
async def test_a_slow_client_with_a_delay_takes_it_for_each_send() -> None:
    client = SlowClient(delay=2)
    await client.send_text("a")
    await client.send_text("b")
    assert client.received == [Received("a", 2.0), Received("b", 4.0)]
    assert client.behaviour.faults == (SendDelay(seconds=2),)


@sim_test
async def test_a_slow_client_may_be_slow_in_both_ways() -> None:
    client = SlowClient(delay=2, bytes_per_second=100, wire=Wire.uvicorn())
    await client.send_text("x")
    assert client.received == [Received("x", 2.0)]
    assert len(client.behaviour.faults) == 2


@sim_test
async def test_a_stalled_client_blocks_its_first_send() -> None:
    client = StalledClient()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.send_text("x")
    assert client.received == []


@sim_test
async def test_a_stalled_client_may_resume() -> None:
    client = StalledClient(resume_after=30)
    await client.send_text("x")
    assert _time() == 30


@sim_test
async def test_a_client_that_stalls_later_blocks_from_then_on() -> None:
    client = StalledClient(after_messages=1)
    await client.send_text("x")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.send_text("y")


@sim_test
async def test_a_dead_client_fails_its_first_send() -> None:
    client = DeadClient()
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("x")
    assert not client.connected


@sim_test
async def test_a_dead_client_may_live_for_a_while() -> None:
    client = DeadClient(after_seconds=5)
    await client.send_text("x")
    assert (await client.wait_closed()).time == 5


@sim_test
async def test_options_go_to_the_client() -> None:
    client = StalledClient(name="bob", accepted=False, abortable=True, path="/x")
    assert (client.name, client.connected, client.url.path) == ("bob", False, "/x")
    assert client.scope["extensions"]["flock_ws"]


@sim_test
async def test_a_look_alike_has_nothing_but_send_text() -> None:
    fake = HealthyClient()
    client = LookAlike(fake)
    await client.send_text("x")
    assert fake.messages == ["x"]
    assert [name for name in dir(client) if not name.startswith("_")] == ["fake", "send_text"]
    assert client == client  # noqa: PLR0124  # the point of the test
    assert {client: 1}[client] == 1
    assert client != LookAlike(fake)
    assert repr(client) == "<LookAlike of <FakeClient healthy-1 healthy, 1 received, open>>"


@sim_test
async def test_a_look_alike_behaves_as_its_client() -> None:
    client = LookAlike(FakeClient(StalledClient().behaviour))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.send_text("x")
