"""The end of a manager: bounded, and for good."""

import asyncio

import pytest

from flock_ws import WebSocketManager
from simulators import HealthyClient, StalledClient, sim_test
from tests.flock_ws.scene import joined, now, said


@sim_test
async def test_shutdown_takes_at_most_the_close_timeout_with_clients_that_never_read() -> None:
    manager = WebSocketManager()
    healthy = HealthyClient()
    await joined(manager, healthy, *(StalledClient(abortable=bool(n % 2)) for n in range(50)))
    manager.publish(said())
    await manager.shutdown()
    assert now() <= 1.1
    assert (manager.clients, manager.statistics().closing) == (set(), 0)
    assert manager.statistics().evicted == {"shutdown": 51}
    assert (healthy.closed and healthy.closed.code, len(healthy.received)) == (1012, 1)


@sim_test
async def test_a_cancelled_shutdown_goes_on_and_a_second_one_waits_for_it() -> None:
    manager, stalled = WebSocketManager(), StalledClient(abortable=True)
    await joined(manager, stalled)
    manager.publish(said())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.shutdown(), 0.2)
    await manager.shutdown()
    assert (manager.statistics().closing, now()) == (0, 1.0)


@sim_test
async def test_after_shutdown_streaming_events_are_still_remembered_and_nobody_joins() -> None:
    manager, late = WebSocketManager(), HealthyClient()
    await manager.shutdown()
    await manager.add_client(late)
    await manager.broadcast(said())
    assert (late.messages, len(manager.get_streaming_history("agent"))) == ([], 1)
    assert (await late.wait_closed()).code == 1012
