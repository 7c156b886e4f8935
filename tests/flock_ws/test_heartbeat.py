"""Pings, their rhythm, and who answers none."""

import asyncio
from typing import Any

import pytest

from flock_ws import WebSocketManager
from simulators import DeadClient, FakeClient, HealthyClient, SlowClient, StalledClient, sim_test
from tests.flock_ws.scene import joined, said


@sim_test
async def test_a_stalled_client_does_not_disturb_the_rhythm_of_the_others_pings() -> None:
    manager = WebSocketManager(10, enable_heartbeat=True)
    healthy = HealthyClient()
    await joined(manager, StalledClient(), healthy)
    await asyncio.sleep(35)
    assert [time for _, time in healthy.received] == [10.0, 20.0, 30.0]
    assert [eviction.at for eviction in manager.evictions] == [10.5]


@sim_test
async def test_a_heartbeat_whose_last_client_fails_can_start_again() -> None:
    manager = WebSocketManager(1, enable_heartbeat=True)
    await joined(manager, DeadClient())
    await asyncio.sleep(2.5)
    assert (manager.clients, manager._heartbeat_task) == (set(), None)
    healthy = HealthyClient()
    await joined(manager, healthy)
    await asyncio.sleep(1.5)
    assert len(healthy.received) == 1
    assert [task for task in asyncio.all_tasks() if "heartbeat" in task.get_name()] == [
        manager._heartbeat_task
    ]


@sim_test
async def test_when_a_broadcast_evicts_the_last_client_the_heartbeat_has_ended_on_return() -> None:
    manager = WebSocketManager(1, enable_heartbeat=True)
    await joined(manager, DeadClient())
    await manager.broadcast(said())
    assert manager._heartbeat_task is None


@sim_test
async def test_a_client_that_left_since_the_heartbeat_looked_is_not_pinged() -> None:
    manager, leaver = WebSocketManager(1, enable_heartbeat=True), HealthyClient()
    await joined(manager, leaver, HealthyClient())
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.5)
    # Right after the heartbeat's own step, before the pings that it began have a turn.
    loop.call_at(1.0, loop.call_soon, manager.clients.discard, leaver)
    await asyncio.sleep(1.0)
    assert leaver.received == []


@sim_test
async def test_an_overridden_ping_may_remove_its_client() -> None:
    class Strict(WebSocketManager):
        async def _ping_client(self, client: Any) -> None:
            await self.remove_client(client)

    manager = Strict(1, enable_heartbeat=True)
    await joined(manager, HealthyClient(), HealthyClient())
    await asyncio.sleep(1.5)
    assert (manager.clients, manager._heartbeat_task) == (set(), None)


@sim_test
async def test_a_client_that_joins_while_the_heartbeat_ends_is_pinged() -> None:
    manager, first, second = (
        WebSocketManager(1, enable_heartbeat=True),
        HealthyClient(),
        HealthyClient(),
    )
    await joined(manager, first)
    await asyncio.sleep(0.5)
    await asyncio.gather(manager.remove_client(first), manager.add_client(second))
    await asyncio.sleep(3.2)
    assert len(second.received) == 3


@sim_test
async def test_a_ping_never_overlaps_a_data_send() -> None:
    manager = WebSocketManager(0.2, enable_heartbeat=True, send_timeout=10)
    slow = SlowClient(bytes_per_second=30_000)
    await joined(manager, slow)
    for number in range(10):
        manager.publish(said(number, content="x" * 1_000))
        await asyncio.sleep(0.2)
    await asyncio.sleep(30)
    assert slow.misuses == []
    assert len(slow.received) > 10


async def relay(manager: WebSocketManager, client: FakeClient) -> None:
    """What an endpoint does: report what the client says."""
    while True:
        manager.client_said(client, await client.receive_text())


@sim_test
async def test_with_a_pong_timeout_a_client_that_answers_is_kept_and_a_silent_one_evicted() -> None:
    manager = WebSocketManager(10, enable_heartbeat=True, pong_timeout=3)
    answering, silent = HealthyClient(), HealthyClient()
    await joined(manager, answering, silent)
    relaying = asyncio.create_task(relay(manager, answering))
    await asyncio.sleep(60)
    assert manager.clients == {answering}
    assert [(eviction.reason, eviction.at) for eviction in manager.evictions] == [("no_pong", 13.0)]
    relaying.cancel()


@sim_test
async def test_the_first_unanswered_ping_counts_however_many_follow() -> None:
    manager = WebSocketManager(10, enable_heartbeat=True, pong_timeout=15)
    await joined(manager, HealthyClient())
    await asyncio.sleep(60)
    assert [eviction.at for eviction in manager.evictions] == [25.0]


@sim_test
async def test_a_client_that_leaves_with_a_ping_unanswered_is_not_evicted_later() -> None:
    manager = WebSocketManager(10, enable_heartbeat=True, pong_timeout=3)
    client, other = HealthyClient(), HealthyClient()
    await joined(manager, client, other)
    await asyncio.sleep(11)
    await manager.remove_client(client)
    manager.client_said(other, {"type": "pong"})
    await asyncio.sleep(5)
    assert manager.evictions == ()


@pytest.mark.parametrize(
    "message",
    [
        *("pong", "{}", "[]", "{", "\ud800", b"\xff"),
        '{"type":"pong"' + " " * 10_000 + "}",
        pytest.param("[" * 1_000, id="deep"),
    ],
)
@sim_test
async def test_only_a_pong_is_taken_for_a_pong(message: str | bytes) -> None:
    manager = WebSocketManager(10, enable_heartbeat=True, pong_timeout=3)
    client = HealthyClient()
    await joined(manager, client)
    await asyncio.sleep(11)
    manager.client_said(client, message)
    await asyncio.sleep(3)
    assert manager.clients == set()


@sim_test
async def test_jitter_moves_beats_without_making_them_drift() -> None:
    manager = WebSocketManager(10, enable_heartbeat=True, heartbeat_jitter=2)
    client = HealthyClient()
    await joined(manager, client)
    await asyncio.sleep(103)
    late = [time - 10 * (beat + 1) for beat, (_, time) in enumerate(client.received)]
    assert len(late) == 10
    assert all(0 <= seconds <= 2 for seconds in late)
    assert len({round(seconds, 6) for seconds in late}) > 1


@sim_test
async def test_a_day_of_heartbeats_keeps_its_rhythm() -> None:
    manager = WebSocketManager(120, enable_heartbeat=True)
    clients = [HealthyClient() for _ in range(5)]
    await joined(manager, *clients)
    await asyncio.sleep(24 * 3600 + 1)
    for client in clients:
        assert [time for _, time in client.received] == [120.0 * n for n in range(1, 721)]
