"""The manager in front of faulty clients, in virtual time."""

import asyncio
import concurrent.futures
import dataclasses
import logging
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from flock_ws import Delivery, Eviction, NotOnLoopError, PoolFull, WebSocketManager
from flock_ws.events import MessagePublishedEvent, StreamingOutputEvent, VisibilitySpec
from flock_ws.evictions import EvictionRecord
from simulators import (
    DeadClient,
    FakeClient,
    HealthyClient,
    SlowClient,
    StalledClient,
    sim_test,
)


def said(number: int = 0, *, content: str = "hello") -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="llm_token",
        content=content,
        sequence=number,
    )


def now() -> float:
    return asyncio.get_running_loop().time()


def numbers(client: FakeClient) -> list[int]:
    return [StreamingOutputEvent.model_validate_json(text).sequence for text in client.messages]


async def joined(manager: WebSocketManager, *clients: FakeClient) -> None:
    for client in clients:
        await manager.add_client(client)


# A slow client delays nobody


@sim_test
async def test_ten_thousand_healthy_clients_wait_for_a_hundred_stalled_ones_once_and_briefly() -> (
    None
):
    manager = WebSocketManager()
    healthy = [HealthyClient() for _ in range(10_000)]
    await joined(manager, *healthy, *(StalledClient() for _ in range(100)))
    first = await manager.broadcast(said(0))
    assert (now(), first.delivered, first.evicted) == (0.5, 10_000, 100)
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


# Eviction


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
        f"evicted bob: send_timeout, 1 messages ({size} bytes, 0.500 s) behind; 0 clients left"
    )


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


# Publishing


@sim_test
async def test_cancelling_a_broadcast_cancels_the_waiting_and_evicts_nobody() -> None:
    manager, healthy = WebSocketManager(), HealthyClient()
    slow = StalledClient(resume_after=0.3)
    await joined(manager, slow, healthy)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.broadcast(said()), 0.1)
    await slow.wait_received(1)
    assert (len(healthy.received), manager.evictions) == (1, ())


class Unencodable(StreamingOutputEvent):
    payload: Any = None


@pytest.mark.parametrize("content", [object(), "\ud800", {"deep": {1, object}}])
@sim_test
async def test_an_event_that_cannot_be_encoded_raises_and_touches_nobody(content: object) -> None:
    manager, healthy = WebSocketManager(), HealthyClient()
    await joined(manager, healthy)
    bad = Unencodable(**said().model_dump(), payload=content)
    with pytest.raises(ValueError):  # noqa: PT011  # whatever Pydantic has to say
        manager.publish(bad)
    await manager.broadcast(said(1))
    assert (len(healthy.received), manager.clients) == (1, {healthy})
    assert [event.sequence for event in manager.get_streaming_history("agent")] == [1]


@sim_test
async def test_an_event_goes_out_as_it_was_when_it_was_published() -> None:
    manager, healthy = WebSocketManager(), HealthyClient()
    await joined(manager, healthy)
    event = MessagePublishedEvent(
        correlation_id="c",
        artifact_id="1",
        artifact_type="T",
        produced_by="agent",
        payload={"state": "before"},
        visibility=VisibilitySpec(kind="Public"),
    )
    delivery = manager.publish(event)
    event.payload["state"] = "after"
    await delivery
    assert '"before"' in healthy.messages[0]


@sim_test
async def test_every_client_is_sent_the_same_text_object() -> None:
    manager, clients = WebSocketManager(), [HealthyClient() for _ in range(3)]
    await joined(manager, *clients)
    await manager.broadcast(said())
    assert len({id(client.received[0].message) for client in clients}) == 1


@sim_test
async def test_any_pydantic_model_can_be_published() -> None:
    class Tick(BaseModel):
        price: float

    manager, healthy = WebSocketManager(), HealthyClient()
    await joined(manager, healthy)
    await manager.broadcast(Tick(price=1.5))
    assert healthy.messages == ['{"price":1.5}']


@sim_test
async def test_without_clients_an_event_is_delivered_to_nobody_at_once() -> None:
    delivery = await WebSocketManager().broadcast(said())
    assert (delivery.done, delivery.clients, delivery.delivered) == (True, 0, 0)


@sim_test
async def test_a_client_that_leaves_before_it_had_an_event_counts_as_left() -> None:
    manager, stalled = WebSocketManager(), StalledClient()
    await joined(manager, stalled, HealthyClient())
    delivery = manager.publish(said())
    await manager.remove_client(stalled)
    await delivery
    assert (delivery.delivered, delivery.evicted, delivery.left) == (1, 0, 1)


def test_publishing_where_no_loop_runs_is_an_error_that_names_the_way_out() -> None:
    with pytest.raises(NotOnLoopError, match="publish_threadsafe"):
        WebSocketManager().publish(said())


def test_publish_threadsafe_before_any_loop_ran_is_an_error() -> None:
    with pytest.raises(NotOnLoopError, match="to be running"):
        WebSocketManager().publish_threadsafe(said())


def test_another_thread_publishes_in_its_own_order_and_gets_the_delivery(
    patience: float,
) -> None:
    manager = WebSocketManager()
    deliveries: list[Delivery] = []
    refused: list[Exception] = []

    def publisher() -> None:
        futures = [manager.publish_threadsafe(said(number)) for number in range(100)]
        deliveries.extend(future.result(patience) for future in futures)
        try:
            manager.publish(said())
        except NotOnLoopError as error:
            refused.append(error)
        try:
            asyncio.run(manager.broadcast(said()))
        except NotOnLoopError as error:
            refused.append(error)

    async def main() -> None:
        client = HealthyClient()
        await manager.add_client(client)
        thread = threading.Thread(target=publisher)
        thread.start()
        await client.wait_received(100, timeout=patience)
        await asyncio.to_thread(thread.join)
        numbers = [
            StreamingOutputEvent.model_validate_json(text).sequence for text in client.messages
        ]
        assert numbers == list(range(100))

    asyncio.run(main())
    assert [delivery.delivered for delivery in deliveries] == [1] * 100
    assert len(refused) == 2


def test_a_delivery_asked_from_another_thread_ends_with_the_loop() -> None:
    manager = WebSocketManager()

    async def main() -> concurrent.futures.Future[Delivery]:
        await manager.add_client(StalledClient())
        future = await asyncio.to_thread(manager.publish_threadsafe, said())
        await asyncio.sleep(0)
        return future

    future = asyncio.run(main())
    assert future.done()


# The heartbeat


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
    "message", ["pong", "{}", "[]", "{", "\ud800", b"\xff", '{"type":"pong"' + " " * 10_000 + "}"]
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
    clients = [HealthyClient() for _ in range(20)]
    await joined(manager, *clients)
    await asyncio.sleep(24 * 3600 + 1)
    for client in clients:
        assert [time for _, time in client.received] == [120.0 * n for n in range(1, 721)]


# Limits, statistics, the end


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
    for number in range(200):
        clients = [HealthyClient(), StalledClient(abortable=True), DeadClient()]
        await joined(manager, *clients)
        await manager.broadcast(said(number))
        for client in clients:
            await manager.remove_client(client)
    await asyncio.sleep(5)
    assert (manager.clients, len(manager._log), len(manager._outboxes)) == (set(), 0, 0)
    assert manager.statistics().closing == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
