"""Fake clients that tests wait for, and that managers use wrongly: what they say then."""

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.errors import NotSeen
from simulators.runs import sim_test
from simulators.wire import Wire

PURE = Wire.uvicorn()
STALLED = Behaviour.stalled()


def _time() -> float:
    return asyncio.get_running_loop().time()


async def _times_out(client: FakeClient, text: str = "x") -> bool:
    try:
        async with asyncio.timeout(0.5):
            await client.send_text(text)
    except TimeoutError:
        return True
    return False


# Waiting


@sim_test
async def test_wait_received_returns_as_soon_as_the_messages_are_there() -> None:
    client = FakeClient(Behaviour.slow(bytes_per_second=100), wire=PURE)
    for _ in range(3):
        await client.send_text("x" * 996)
    await client.wait_received(2, timeout=60)
    assert _time() == pytest.approx(20, abs=5.2)
    assert len(client.received) == 2


@sim_test
async def test_wait_received_says_what_it_saw_when_the_limit_is_reached() -> None:
    client = FakeClient(STALLED, name="bob")
    with pytest.raises(
        NotSeen, match="bob stalled, 0 received, open> had 0 of 3 messages after 7 s"
    ):
        await client.wait_received(3, timeout=7)
    assert _time() == 7


@sim_test
async def test_wait_received_does_not_wait_for_a_client_that_is_gone() -> None:
    client = FakeClient()
    client.die()
    with pytest.raises(NotSeen, match="had 0 of 1 messages when it ended"):
        await client.wait_received(1)
    assert _time() == 0


@sim_test
async def test_wait_closed_says_whether_close_was_called() -> None:
    client = FakeClient(STALLED, wire=PURE)
    with pytest.raises(NotSeen, match=r"close\(\) was not called"):
        await client.wait_closed()
    await client.close(1013)
    with pytest.raises(TimeoutError, match=r"close\(1013\) was called at 10 s; it stops reading"):
        await client.wait_closed(timeout=1)


# Misuse


def _kinds(client: FakeClient) -> list[str]:
    return [misuse.kind for misuse in client.misuses]


@sim_test
async def test_two_sends_in_flight_are_recorded() -> None:
    client = FakeClient(STALLED)
    sends = [asyncio.create_task(client.send_text(text)) for text in "ab"]
    await asyncio.sleep(3)
    client.resume()
    await asyncio.gather(*sends)
    assert _kinds(client) == ["sends_overlap"]
    assert client.misuses[0].time == 0


@sim_test
async def test_sends_one_after_the_other_are_no_misuse() -> None:
    client = FakeClient(Behaviour.slow(bytes_per_second=1_000))
    for _ in range(5):
        await client.send_text("x")
    assert client.misuses == []


@sim_test
async def test_a_send_after_close_is_recorded_and_raises_as_ever() -> None:
    client = FakeClient()
    await client.close()
    with pytest.raises(RuntimeError):
        await client.send_text("x")
    assert _kinds(client) == ["send_after_close"]


@sim_test
async def test_a_send_after_a_failed_one_is_recorded() -> None:
    client = FakeClient(Behaviour.dead())
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("x")
    assert client.misuses == []
    with pytest.raises(RuntimeError):
        await client.send_text("x")
    assert _kinds(client) == ["send_after_failure"]


@sim_test
async def test_a_send_after_a_cancelled_one_is_recorded_but_a_close_is_not() -> None:
    client = FakeClient(STALLED)
    assert await _times_out(client)
    assert client.misuses == []
    client.resume()
    await client.send_text("y")
    assert _kinds(client) == ["send_after_cancel"]
    await client.close()
    assert _kinds(client) == ["send_after_cancel"]


@sim_test
async def test_misuses_are_bounded() -> None:
    client = FakeClient()
    await client.close()
    for _ in range(1_000):
        with pytest.raises(RuntimeError):
            await client.send_text("x")
    assert len(client.misuses) == 100
