"""The manager in the place of the original one: its members, its hooks, its look-alike sockets."""

import asyncio
import json
from collections import defaultdict, deque
from typing import Any

from flock_ws import WebSocketManager
from flock_ws.events import (
    AgentCompletedEvent,
    MessagePublishedEvent,
    StreamingOutputEvent,
    VisibilitySpec,
)
from simulators.runs import sim_test


class Socket:
    """The least that the original was ever handed: `send_text`, and `close` without a code."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = False

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self) -> None:
        self.closed = True


class PingedSocket(Socket):
    def __init__(self) -> None:
        super().__init__()
        self.pings: list[dict[str, Any]] = []

    async def send_json(self, message: dict[str, Any]) -> None:
        self.pings.append(message)


class BrokenSocket(PingedSocket):
    async def send_text(self, text: str) -> None:
        raise ConnectionError(text[:0])

    async def send_json(self, message: dict[str, Any]) -> None:
        raise ConnectionError(str(message)[:0])


def said(number: int = 0, *, agent: str = "agent") -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name=agent,
        run_id="r",
        output_type="stdout",
        content=f"chunk {number}",
        sequence=number,
    )


def published(payload: dict[str, Any]) -> MessagePublishedEvent:
    return MessagePublishedEvent(
        correlation_id="c",
        artifact_id="1",
        artifact_type="Report",
        produced_by="agent",
        payload=payload,
        visibility=VisibilitySpec(kind="Public"),
    )


def test_a_new_manager_shows_the_originals_attributes() -> None:
    manager = WebSocketManager()
    assert manager.clients == set()
    assert (manager.heartbeat_interval, manager.enable_heartbeat) == (120, False)
    assert manager._heartbeat_task is None
    assert manager._shutdown is False
    assert isinstance(manager._streaming_history, defaultdict)
    assert manager._streaming_history["new"] == deque(maxlen=128_344)
    assert manager._streaming_history["new"].maxlen == 128_344


def test_the_first_two_parameters_are_positional() -> None:
    manager = WebSocketManager(0.5, True)  # noqa: FBT003  # as callers of the original do
    assert (manager.heartbeat_interval, manager.enable_heartbeat) == (0.5, True)


@sim_test
async def test_clients_join_once_and_leave_without_error() -> None:
    manager, socket = WebSocketManager(), Socket()
    await manager.add_client(socket)
    await manager.add_client(socket)
    assert manager.clients == {socket}
    await manager.remove_client(socket)
    await manager.remove_client(socket)
    assert manager.clients == set()


@sim_test
async def test_a_client_put_into_the_set_by_hand_is_a_client() -> None:
    manager, added, assigned = WebSocketManager(), Socket(), Socket()
    manager.clients.add(added)
    await manager.broadcast(said(0))
    manager.clients = {assigned}
    await manager.broadcast(said(1))
    assert ([len(added.sent), len(assigned.sent)], manager.clients) == ([1, 1], {assigned})


@sim_test
async def test_every_client_gets_the_events_json_as_text() -> None:
    manager, sockets = WebSocketManager(), [Socket(), Socket()]
    for socket in sockets:
        await manager.add_client(socket)
    event = published({"unicode": "🚀 \u2028 ß", "nested": [1, {"a": None}], "float": 1e-10})
    await manager.broadcast(event)
    assert [socket.sent for socket in sockets] == [[event.model_dump_json()]] * 2
    assert json.loads(sockets[0].sent[0])["payload"] == event.payload


@sim_test
async def test_a_gather_of_broadcasts_keeps_the_order_at_each_client() -> None:
    manager, sockets = WebSocketManager(), [Socket() for _ in range(3)]
    for socket in sockets:
        await manager.add_client(socket)
    await asyncio.gather(*(manager.broadcast(said(number)) for number in range(50)))
    for socket in sockets:
        assert [json.loads(text)["sequence"] for text in socket.sent] == list(range(50))


@sim_test
async def test_a_broken_client_leaves_the_pool_and_the_caller_hears_nothing() -> None:
    manager, good, broken = WebSocketManager(), Socket(), BrokenSocket()
    await manager.add_client(broken)
    await manager.add_client(good)
    await manager.broadcast(said())
    assert (manager.clients, len(good.sent)) == ({good}, 1)


@sim_test
async def test_a_send_of_more_than_half_a_second_costs_a_client_its_place() -> None:
    class Sluggish(Socket):
        async def send_text(self, text: str) -> None:
            await asyncio.sleep(0.6)
            await super().send_text(text)

    manager, good, sluggish = WebSocketManager(), Socket(), Sluggish()
    await manager.add_client(sluggish)
    await manager.add_client(good)
    await manager.broadcast(said())
    assert (manager.clients, len(good.sent), sluggish.sent) == ({good}, 1, [])


@sim_test
async def test_streaming_events_are_remembered_with_and_without_clients() -> None:
    manager = WebSocketManager()
    await manager.broadcast(said(0))
    await manager.add_client(Socket())
    await manager.broadcast(said(1))
    await manager.broadcast(published({}))
    assert [event.sequence for event in manager.get_streaming_history("agent")] == [0, 1]


def test_an_unknown_agent_has_an_empty_history_and_gets_no_entry() -> None:
    manager = WebSocketManager()
    assert manager.get_streaming_history("nobody") == []
    assert "nobody" not in manager._streaming_history


@sim_test
async def test_a_history_list_is_the_callers_own() -> None:
    manager = WebSocketManager()
    await manager.broadcast(said())
    manager.get_streaming_history("agent").clear()
    assert len(manager.get_streaming_history("agent")) == 1


@sim_test
async def test_what_a_caller_does_to_the_deques_shows_in_the_history() -> None:
    manager = WebSocketManager()
    manager._streaming_history["agent"] = deque(maxlen=2)
    manager._streaming_history["agent"].append(said(0))
    for number in (1, 2):
        await manager.broadcast(said(number))
    assert [event.sequence for event in manager.get_streaming_history("agent")] == [1, 2]


@sim_test
async def test_the_first_client_starts_the_heartbeat_and_the_last_one_ends_it() -> None:
    manager = WebSocketManager(heartbeat_interval=1, enable_heartbeat=True)
    first, second = PingedSocket(), PingedSocket()
    await manager.add_client(first)
    tasks = [manager._heartbeat_task]
    await manager.add_client(second)
    tasks.append(manager._heartbeat_task)
    await manager.remove_client(first)
    tasks.append(manager._heartbeat_task)
    await manager.remove_client(second)
    assert manager._heartbeat_task is None
    assert tasks[0] is not None
    assert tasks == [tasks[0]] * 3
    assert tasks[0].cancelled()


@sim_test
async def test_start_heartbeat_is_idempotent_and_does_nothing_when_disabled_or_shut_down() -> None:
    enabled = WebSocketManager(heartbeat_interval=1, enable_heartbeat=True)
    await enabled.add_client(PingedSocket())
    task = enabled._heartbeat_task
    await enabled.start_heartbeat()
    assert enabled._heartbeat_task is task
    await enabled.shutdown()
    await enabled.start_heartbeat()
    assert enabled._heartbeat_task is None
    disabled = WebSocketManager()
    await disabled.start_heartbeat()
    assert disabled._heartbeat_task is None


@sim_test
async def test_pings_have_the_originals_form_and_rhythm() -> None:
    manager, socket = WebSocketManager(30, enable_heartbeat=True), PingedSocket()
    await manager.add_client(socket)
    await asyncio.sleep(100)
    assert socket.pings == [
        {"type": "ping", "timestamp": 30.0},
        {"type": "ping", "timestamp": 60.0},
        {"type": "ping", "timestamp": 90.0},
    ]


@sim_test
async def test_a_failed_ping_costs_a_client_its_place_and_so_does_a_missing_send_json() -> None:
    manager, broken, unpingable = WebSocketManager(), BrokenSocket(), Socket()
    for socket in (broken, unpingable):
        await manager.add_client(socket)
        await manager._ping_client(socket)
    assert manager.clients == set()


@sim_test
async def test_a_client_outside_the_pool_can_be_pinged_by_hand() -> None:
    manager, socket = WebSocketManager(), PingedSocket()
    await manager._ping_client(socket)
    await manager._ping_client(BrokenSocket())
    assert [ping["type"] for ping in socket.pings] == ["ping"]


@sim_test
async def test_a_heartbeat_loop_run_by_hand_ends_when_the_flag_is_set() -> None:
    manager = WebSocketManager(1, enable_heartbeat=True)
    await manager.add_client(PingedSocket())
    by_hand = asyncio.create_task(manager._heartbeat_loop())
    await asyncio.sleep(0.5)
    manager._shutdown = True
    await asyncio.wait_for(by_hand, 1)
    assert manager._heartbeat_task is None


@sim_test
async def test_a_heartbeat_loop_run_by_hand_ends_when_the_pool_is_empty() -> None:
    manager, socket = WebSocketManager(1, enable_heartbeat=True), PingedSocket()
    await manager.add_client(socket)
    by_hand = asyncio.create_task(manager._heartbeat_loop())
    await manager.remove_client(socket)
    await asyncio.wait_for(by_hand, 1)


@sim_test
async def test_a_heartbeat_task_that_the_caller_cancelled_can_be_started_again() -> None:
    manager = WebSocketManager(1, enable_heartbeat=True)
    await manager.add_client(PingedSocket())
    task = manager._heartbeat_task
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    manager._heartbeat_task = None
    await manager.start_heartbeat()
    assert manager._heartbeat_task not in {None, task}


@sim_test
async def test_shutdown_closes_everybody_and_empties_the_pool() -> None:
    class SyncClose(Socket):
        def close(self) -> None:  # type: ignore[override]  # some look-alikes close at once
            self.closed = True

    class NoClose:
        async def send_text(self, text: str) -> None: ...

    manager = WebSocketManager(1, enable_heartbeat=True)
    plain, synchronous = Socket(), SyncClose()
    for socket in (plain, synchronous, NoClose()):
        await manager.add_client(socket)
    await manager.shutdown()
    assert (plain.closed, synchronous.closed) == (True, True)
    assert (manager.clients, manager._shutdown, manager._heartbeat_task) == (set(), True, None)


@sim_test
async def test_shutdown_of_an_unused_manager_is_safe_any_number_of_times() -> None:
    manager = WebSocketManager()
    for _ in range(3):
        await manager.shutdown()
    assert manager._shutdown is True


@sim_test
async def test_a_client_that_comes_after_shutdown_is_closed_and_starts_no_heartbeat() -> None:
    manager, late = WebSocketManager(enable_heartbeat=True), Socket()
    await manager.shutdown()
    await manager.add_client(late)
    await asyncio.sleep(0.1)
    assert (manager._heartbeat_task, manager.clients, late.closed) == (None, set(), True)


def test_the_loop_may_be_another_one_each_time() -> None:
    manager, first, second = WebSocketManager(), Socket(), Socket()

    async def session(socket: Socket) -> None:
        await manager.add_client(socket)
        await manager.broadcast(
            AgentCompletedEvent(correlation_id="c", agent_name="a", run_id="r", duration_ms=1.0)
        )

    asyncio.run(session(first))
    asyncio.run(session(second))
    assert (len(first.sent), len(second.sent)) == (2, 1)
