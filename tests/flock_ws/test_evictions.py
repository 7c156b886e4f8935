"""Who is evicted, when, for which reason, and what becomes of its socket."""

import asyncio
import logging

import pytest

from flock_ws import Eviction, WebSocketManager
from flock_ws.evictions import EvictionRecord
from flock_ws.statistics import Lag
from simulators import DeadClient, HealthyClient, StalledClient, sim_test
from tests.flock_ws.scene import joined, now, said


@sim_test
async def test_a_stalled_client_is_evicted_after_the_send_timeout_with_what_it_lagged() -> None:
    evictions: list[Eviction] = []
    manager = WebSocketManager(send_timeout=0.25, on_evict=evictions.append)
    stalled = StalledClient(name="bob")
    await manager.add_client(stalled, name="bob")
    manager.publish(said(0))
    await asyncio.sleep(0.1)
    manager.publish(said(1))
    await asyncio.sleep(0.2)
    (eviction,) = evictions
    assert (eviction.client, eviction.reason, eviction.code) == ("bob", "send_timeout", 1013)
    assert (eviction.at, eviction.lag.messages, eviction.lag.seconds) == (0.25, 2, 0.25)
    assert eviction.lag.bytes == sum(len(said(number).model_dump_json()) for number in (0, 1))
    assert eviction.websocket is stalled


@sim_test
async def test_a_dead_client_is_evicted_at_once_with_the_error_that_showed_it() -> None:
    manager = WebSocketManager()
    await joined(manager, DeadClient())
    delivery = await manager.broadcast(said())
    (eviction,) = manager.evictions
    assert (now(), delivery.evicted, eviction.reason) == (0.0, 1, "send_failed")
    assert eviction.error is not None
    assert eviction.error.startswith("WebSocketDisconnect")


@sim_test
async def test_a_client_whose_error_has_no_text_to_show_is_evicted_all_the_same() -> None:
    class Speechless(Exception):  # noqa: N818  # what a look-alike may raise
        def __str__(self) -> str:
            raise NotImplementedError

    class Broken:
        async def send_text(self, _: str) -> None:
            raise Speechless

    manager, healthy = WebSocketManager(), HealthyClient()
    await manager.add_client(Broken())
    await joined(manager, healthy)
    await manager.broadcast(said())
    assert (manager.clients, manager.evictions[0].error) == ({healthy}, "Speechless")


@sim_test
async def test_an_evicted_clients_socket_is_closed_with_a_code_it_can_come_back_after() -> None:
    manager, stalled = WebSocketManager(), StalledClient(resume_after=0.9)
    await joined(manager, stalled)
    await manager.broadcast(said())
    closed = await stalled.wait_closed()
    assert (closed.code, closed.reason) == (1013, "send_timeout")


@sim_test
async def test_after_its_eviction_a_client_is_sent_nothing_more() -> None:
    manager, stalled = WebSocketManager(), StalledClient(resume_after=2.0)
    await joined(manager, stalled)
    for number in range(10):
        await manager.broadcast(said(number))
    await asyncio.sleep(5)
    assert (stalled.received, stalled.misuses) == ([], [])


@sim_test
async def test_a_close_that_does_not_complete_in_time_ends_in_an_abort_where_there_is_one() -> None:
    manager, stalled = WebSocketManager(close_timeout=1.0), StalledClient(abortable=True)
    await joined(manager, stalled)
    await manager.broadcast(said())
    assert manager.statistics().closing == 1
    await asyncio.sleep(1.1)
    (eviction,) = manager.evictions
    assert (eviction.gone_at, manager.statistics().closing) == (1.5, 0)
    assert (await stalled.receive())["type"] == "websocket.disconnect"


@sim_test
async def test_an_eviction_writes_one_line_that_names_client_reason_and_numbers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    manager = WebSocketManager()
    await manager.add_client(StalledClient(), name="bob")
    for number in range(50):
        await manager.broadcast(said(number, content="x" * 10))
    (record,) = caplog.records
    size = len(said(0, content="x" * 10).model_dump_json())
    assert record.getMessage() == (
        f"evicted bob: send_timeout, 1 message ({size} bytes, 0.500 s) behind; 0 clients left"
    )


def test_who_left_nothing_unsent_is_not_called_behind() -> None:
    eviction = Eviction(number=0, client="bob", reason="no_ack", code=1013, lag=Lag(), at=1.0)
    assert str(eviction) == "bob: no_ack"


@sim_test
async def test_the_record_of_evictions_is_bounded_and_the_counts_are_not() -> None:
    manager = WebSocketManager()
    total = EvictionRecord.KEPT + 5
    await joined(manager, *(DeadClient() for _ in range(total)))
    await manager.broadcast(said())
    assert [eviction.number for eviction in manager.evictions] == list(range(5, total))
    assert manager.statistics().evicted == {"send_failed": total}


@sim_test
async def test_on_evict_may_be_a_coroutine_function() -> None:
    told: list[str] = []

    async def hook(eviction: Eviction) -> None:
        await asyncio.sleep(1)
        told.append(eviction.reason)

    manager = WebSocketManager(on_evict=hook)
    await joined(manager, DeadClient())
    await manager.broadcast(said())
    await asyncio.sleep(2)
    assert told == ["send_failed"]
