"""Fake clients that tests wait for, and that managers use wrongly: what they say then."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.errors import CloseRefused, NotSeen, OptionError
from simulators.faults import SlowReader
from simulators.runs import sim_test
from simulators.wire import Wire

Attempt = Callable[..., Coroutine[Any, Any, str]]

PURE = Wire.uvicorn()
STALLED = Behaviour.stalled()


def _time() -> float:
    return asyncio.get_running_loop().time()


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
async def test_a_send_after_a_cancelled_one_is_recorded_but_a_close_is_not(
    attempt: Attempt,
) -> None:
    client = FakeClient(STALLED)
    assert await attempt(client) == "timeout"
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


# What cannot be


@pytest.mark.parametrize("behaviour", ["slow", SlowReader(bytes_per_second=1), Behaviour.slow])
def test_what_is_no_behaviour_is_refused_with_what_one_looks_like(behaviour: Any) -> None:
    with pytest.raises(
        OptionError, match=r"such as Behaviour\.slow\(\) or Behaviour\.of\(SlowReader"
    ):
        FakeClient(behaviour)


@pytest.mark.parametrize("wire", ["uvicorn", Wire.uvicorn])
def test_what_is_no_wire_is_refused_with_what_one_looks_like(wire: Any) -> None:
    with pytest.raises(OptionError, match=r"such as Wire\.uvicorn\(\)"):
        FakeClient(Behaviour.slow(), wire=wire)


@sim_test
async def test_waiting_for_a_message_in_place_of_a_number_is_refused() -> None:
    with pytest.raises(OptionError, match="a number of messages, not 'hello'"):
        await FakeClient().wait_received("hello")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (99_999, ""), (1000, "x" * 124)])
def test_a_client_cannot_leave_with_what_no_close_frame_can_hold(code: int, reason: str) -> None:
    client = FakeClient()
    with pytest.raises(OptionError, match="close"):
        client.leave(code, reason)
    assert client.connected


@sim_test
async def test_a_close_that_no_frame_can_hold_raises_and_was_none() -> None:
    client = FakeClient()
    with pytest.raises(
        CloseRefused, match=r"healthy-1.* was not closed: a close reason of 200 bytes"
    ):
        await client.close(1011, "x" * 200)
    assert client.connected
    assert client.close_called is None


@sim_test
async def test_before_it_is_accepted_a_close_is_a_403_whatever_its_reason() -> None:
    client = FakeClient(accepted=False)
    await client.close(1008, "x" * 200)
    assert client.closed is not None
    assert client.closed.code == 1006
