"""What can be published, from where, and what is told about its delivery."""

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from flock_ws import Delivery, NotOnLoopError, WebSocketManager
from flock_ws.events import MessagePublishedEvent, StreamingOutputEvent, VisibilitySpec
from simulators import HealthyClient, StalledClient, sim_test
from tests.flock_ws.scene import joined, said


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


def test_what_no_frame_can_carry_raises_in_the_thread_that_publishes_it() -> None:
    class Halved:
        def model_dump_json(self) -> str:
            return '"\ud83d"'

    async def main() -> None:
        manager = WebSocketManager()
        await manager.broadcast(said())
        with pytest.raises(UnicodeEncodeError):
            await asyncio.to_thread(manager.publish_threadsafe, Halved())

    asyncio.run(main())


def test_a_delivery_asked_from_another_thread_ends_with_the_loop() -> None:
    manager = WebSocketManager()

    async def main() -> concurrent.futures.Future[Delivery]:
        await manager.add_client(StalledClient())
        future = await asyncio.to_thread(manager.publish_threadsafe, said())
        await asyncio.sleep(0)
        return future

    future = asyncio.run(main())
    assert future.done()
