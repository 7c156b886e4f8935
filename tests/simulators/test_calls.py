"""The faults of an application's own socket object, in virtual time."""

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect, WebSocketState

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import (
    Fault,
    SendCancelled,
    SendDelay,
    SendHangs,
    SendRaises,
    SendSwallowsCancel,
)
from simulators.faults.application import Raised
from simulators.named import LookAlike
from simulators.runs import sim_test


def fake(*faults: Fault) -> FakeClient:
    return FakeClient(Behaviour.of(*faults))


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    "name", ["WebSocketDisconnect", "RuntimeError", "ConnectionResetError", "AssertionError"]
)
def test_a_send_raises_what_it_is_told_as_it_is(name: Raised) -> None:
    @sim_test
    async def main() -> None:
        client = fake(SendRaises(exception=name, at=2, times=1))
        await client.send_text("a")
        with pytest.raises(Exception) as caught:  # noqa: PT011  # its type is asserted next
            await client.send_text("b")
        assert type(caught.value).__name__ == name
        assert client.application_state is WebSocketState.CONNECTED
        await client.send_text("c")
        assert client.messages == ["a", "c"]
        assert [misuse.kind for misuse in client.misuses] == ["send_after_failure"]

    main()


@sim_test
async def test_a_look_alike_raises_the_same() -> None:
    with pytest.raises(BrokenPipeError):
        await LookAlike(fake(SendRaises(exception="BrokenPipeError"))).send_text("a")


@sim_test
async def test_a_send_that_hangs_ends_when_it_is_cancelled() -> None:
    client = fake(SendHangs(at=2))
    await client.send_text("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.send_text("b")
    assert (now(), client.sending, client.messages) == (0.5, 0, ["a"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.send_text("c")
    assert [misuse.kind for misuse in client.misuses] == ["send_after_cancel"]


@sim_test
async def test_a_send_that_swallows_its_cancellation_takes_its_time_and_succeeds() -> None:
    client = fake(SendSwallowsCancel(seconds=30))
    sending = asyncio.create_task(client.send_text("a"))
    await asyncio.sleep(0.5)
    sending.cancel()
    sending.cancel()
    await asyncio.sleep(10)
    assert not sending.done()
    await sending
    assert (now(), client.messages) == (30.0, ["a"])


@sim_test
async def test_a_send_can_be_cancelled_by_nobody() -> None:
    client = fake(SendCancelled(times=1))
    sending = asyncio.create_task(client.send_text("a"))
    await asyncio.wait([sending])
    assert sending.cancelled()
    await client.send_text("b")
    assert client.messages == ["b"]


@sim_test
async def test_faults_of_different_sends_combine() -> None:
    client = fake(SendDelay(seconds=2), SendRaises(at=2, times=1), SendHangs(at=3))
    await client.send_text("a")
    assert now() == 2.0
    with pytest.raises(RuntimeError):
        await client.send_text("b")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await client.send_text("c")


@sim_test
async def test_a_close_is_spoilt_by_none_of_them() -> None:
    client = fake(SendHangs(), SendDelay(seconds=9))
    await client.close(1001)
    assert (client.closed is not None, now()) == (True, 0.0)


@sim_test
async def test_overlapping_sends_are_noticed_while_one_hangs() -> None:
    client = fake(SendHangs(times=1))
    hanging = asyncio.create_task(client.send_text("a"))
    await asyncio.sleep(1)
    await client.send_text("b")
    assert [misuse.kind for misuse in client.misuses] == ["sends_overlap"]
    hanging.cancel()
    await asyncio.wait([hanging])


@sim_test
async def test_a_healed_object_sends_like_any_other() -> None:
    client = fake(SendRaises(), SendDelay(seconds=9))
    client.heal()
    await client.send_text("a")
    assert (now(), client.messages) == (0.0, ["a"])


@sim_test
async def test_a_dead_client_still_takes_the_time_of_its_sends() -> None:
    client = fake(SendDelay(seconds=2))
    client.die()
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("a")
    assert now() == 2.0
