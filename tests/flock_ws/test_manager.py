"""The manager in front of faulty clients, in virtual time: a slow one delays nobody."""

import asyncio
import dataclasses

import pytest

from flock_ws import PoolFull, WebSocketManager
from simulators import DeadClient, HealthyClient, SlowClient, StalledClient, sim_test
from tests.flock_ws.scene import joined, now, numbers, said


@sim_test
async def test_a_thousand_clients_wait_for_a_hundred_stalled_ones_once_and_briefly() -> None:
    manager = WebSocketManager()
    healthy = [HealthyClient() for _ in range(1_000)]
    await joined(manager, *healthy, *(StalledClient() for _ in range(100)))
    first = await manager.broadcast(said(0))
    assert (now(), first.delivered, first.evicted) == (0.5, 1_000, 100)
    await manager.broadcast(said(1))
    assert now() == 0.5
    assert {len(client.received) for client in healthy} == {2}


@sim_test
async def test_healthy_clients_have_an_event_at_once_while_another_client_blocks() -> None:
    manager, healthy = WebSocketManager(), HealthyClient()
    await joined(manager, StalledClient(), SlowClient(), healthy)
    delivery = manager.publish(said())
    await healthy.wait_received(1)
    assert (now(), delivery.done) == (0.0, False)


@sim_test
async def test_the_next_event_does_not_wait_for_the_slowest_of_this_one() -> None:
    manager, healthy = WebSocketManager(), HealthyClient()
    await joined(manager, StalledClient(), healthy)
    for number in range(5):
        manager.publish(said(number))
        await asyncio.sleep(0.01)
    assert len(healthy.received) == 5
    assert len(manager.clients) == 2


@sim_test
async def test_joins_and_leaves_do_not_wait_for_a_blocked_send() -> None:
    manager, stalled, late = WebSocketManager(), StalledClient(), HealthyClient()
    await joined(manager, stalled)
    manager.publish(said())
    await asyncio.sleep(0.1)
    await manager.add_client(late)
    await manager.remove_client(stalled)
    await manager.broadcast(said(1))
    assert (now(), len(late.received), manager.clients) == (0.1, 1, {late})


@sim_test
async def test_a_client_slow_within_the_limit_is_kept_and_gets_everything_in_order() -> None:
    manager, slow = WebSocketManager(), SlowClient(bytes_per_second=200_000)
    await joined(manager, slow)
    for number in range(20):
        await manager.broadcast(said(number, content="x" * 2_000))
    await slow.wait_received(20)
    assert (numbers(slow), manager.evictions) == (list(range(20)), ())


@sim_test
async def test_a_client_gets_what_is_published_after_it_joined_and_nothing_before() -> None:
    manager, early, late = WebSocketManager(), HealthyClient(), HealthyClient()
    await joined(manager, early)
    manager.publish(said(0))
    await joined(manager, late)
    await manager.broadcast(said(1))
    assert (len(early.received), len(late.received)) == (2, 1)


@sim_test
async def test_a_full_pool_turns_the_next_client_away_by_name_of_the_limit() -> None:
    manager, first = WebSocketManager(max_clients=1), HealthyClient()
    await joined(manager, first)
    await manager.add_client(first)
    with pytest.raises(PoolFull, match="max_clients") as caught:
        await manager.add_client(HealthyClient())
    assert (caught.value.max_clients, manager.clients) == (1, {first})


@sim_test
async def test_statistics_show_each_clients_lag_and_every_total() -> None:
    manager = WebSocketManager()
    await manager.add_client(HealthyClient(), name="fast")
    await manager.add_client(StalledClient(), name="stuck")
    await joined(manager, DeadClient())
    manager.publish(said(0))
    await asyncio.sleep(0.2)
    statistics = manager.statistics()
    fast, stuck = statistics.per_client
    assert (fast.name, fast.delivered, fast.busy, fast.lag.messages) == ("fast", 1, False, 0)
    assert (stuck.name, stuck.delivered, stuck.busy) == ("stuck", 0, True)
    assert (stuck.lag.messages, stuck.lag.seconds) == (1, 0.2)
    assert (statistics.clients, statistics.published, statistics.delivered) == (2, 1, 1)
    assert (statistics.joined, statistics.left, statistics.evicted) == (3, 0, {"send_failed": 1})
    assert statistics.history == {"agent": 1}


@sim_test
async def test_a_snapshot_of_statistics_does_not_change() -> None:
    manager = WebSocketManager()
    await joined(manager, DeadClient())
    before = manager.statistics()
    await manager.broadcast(said())
    assert (before.published, before.evicted, before.history) == (0, {}, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.published = 1  # type: ignore[misc]  # the mistake under test
    with pytest.raises(TypeError):
        before.evicted["x"] = 1  # type: ignore[index]  # the mistake under test


@sim_test
async def test_two_managers_share_nothing() -> None:
    one, other = WebSocketManager(), WebSocketManager()
    client = HealthyClient()
    await joined(one, client)
    await other.broadcast(said())
    assert (client.received, one.get_streaming_history("agent"), other.clients) == ([], [], set())


@sim_test
async def test_nothing_is_left_behind_by_clients_that_come_and_go() -> None:
    manager = WebSocketManager(1, enable_heartbeat=True, pong_timeout=0.5)
    for number in range(50):
        clients = [HealthyClient(), StalledClient(abortable=True), DeadClient()]
        await joined(manager, *clients)
        await manager.broadcast(said(number))
        for client in clients:
            await manager.remove_client(client)
    await asyncio.sleep(5)
    assert (manager.clients, len(manager._log), len(manager._outboxes)) == (set(), 0, 0)
    assert manager.statistics().closing == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
