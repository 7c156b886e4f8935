"""What goes wrong on the server's side, done to managers small enough to see through."""

import asyncio
from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.errors import NotSeen
from simulators.faults import (
    CancelBroadcast,
    HistoryOverflow,
    HookRaises,
    JoinDuringStream,
    LoopBlock,
    ShutdownWithStalled,
    UnserializableEvent,
)
from simulators.incidents import (
    Joined,
    RaisingHook,
    block_loop,
    cancel_broadcast,
    join_during_stream,
    overflow_history,
    shut_down_with_stalled,
    streamed,
    unserializable_event,
)
from simulators.runs import sim_test


class Plain:
    """Sends one after the other; its history holds three."""

    def __init__(self) -> None:
        self.clients: list[FakeClient] = []
        self.history: list[Any] = []
        self.awaits = 0

    async def add_client(self, client: FakeClient) -> None:
        await asyncio.sleep(0)
        self.clients.append(client)

    async def broadcast(self, event: Any) -> None:
        self.history = [*self.history, event][-3:]
        for client in list(self.clients):
            await client.send_text(event.model_dump_json())
            await asyncio.sleep(0)
            self.awaits += 1

    async def shutdown(self) -> None:
        for client in self.clients:
            await client.close()

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return [event for event in self.history if event.agent_name == agent_name]


@sim_test
async def test_a_blocked_loop_runs_nothing_while_time_goes_by() -> None:
    loop = asyncio.get_running_loop()
    ran = []
    for when in (2, 1):
        loop.call_later(when, lambda when=when: ran.append((when, loop.time())))  # type: ignore[misc]  # the loop's own value
    block_loop(LoopBlock(seconds=5))
    assert (loop.time(), ran) == (5.0, [])
    await asyncio.sleep(1)
    assert ran == [(1, 5.0), (2, 5.0)]


def test_on_a_real_loop_it_really_sleeps() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        block_loop(LoopBlock(seconds=0.01))
        return loop.time() - began

    assert asyncio.run(main()) >= 0.01


@pytest.mark.parametrize(
    ("at_await", "outcome", "served"),
    [(0, "cancelled", 0), (1, "cancelled", 1), (3, "cancelled", 3), (4, "done", 3)],
)
def test_a_broadcast_is_cancelled_at_the_wait_that_is_told(
    at_await: int, outcome: str, served: int
) -> None:
    @sim_test
    async def main() -> None:
        manager = Plain()
        manager.clients = clients = [FakeClient() for _ in range(3)]
        fault = CancelBroadcast(at_await=at_await)
        assert await cancel_broadcast(manager, streamed("agent", 1), fault) == outcome
        assert sum(len(client.messages) for client in clients) == served

    main()


@sim_test
async def test_timeouts_inside_a_cancelled_broadcast_still_work() -> None:
    class Timed(Plain):
        async def broadcast(self, event: Any) -> None:
            for client in self.clients:
                try:
                    async with asyncio.timeout(0.5):
                        await client.send_text(event.model_dump_json())
                except TimeoutError:
                    self.awaits += 1
            await asyncio.sleep(1)

    manager = Timed()
    manager.clients = [FakeClient(Behaviour.stalled())]
    fault = CancelBroadcast(at_await=2)
    assert await cancel_broadcast(manager, streamed("agent", 1), fault) == "cancelled"
    assert (manager.awaits, asyncio.get_running_loop().time()) == (1, 0.5)


def test_a_raising_hook_remembers_its_calls() -> None:
    hook = RaisingHook(HookRaises(exception="ValueError"))
    with pytest.raises(ValueError, match="on_evict was made to raise"):
        hook("client", 1)
    assert hook.calls == [("client", 1)]


@pytest.mark.parametrize("how", ["object", "surrogate", "circular"])
def test_an_unserializable_event_cannot_be_encoded(how: Any) -> None:
    event = unserializable_event(UnserializableEvent(how=how))
    with pytest.raises((ValueError, TypeError, UnicodeEncodeError)):
        event.model_dump_json()


@sim_test
async def test_a_shutdown_with_stalled_clients_is_timed() -> None:
    manager = Plain()
    manager.clients = [FakeClient() for _ in range(3)]
    fault = ShutdownWithStalled(clients=2)
    assert await shut_down_with_stalled(Plain(), [], fault) == 0.0
    with pytest.raises(NotSeen, match="with 2 stalled clients had not returned after 60 s"):
        await shut_down_with_stalled(manager, manager.clients, fault)


@sim_test
async def test_a_history_overflows_by_as_many_as_told() -> None:
    manager = Plain()
    expected = await overflow_history(manager, HistoryOverflow(limit=3, more=4))
    assert [event.sequence for event in manager.get_streaming_history("agent")] == list(expected)
    assert list(expected) == [4, 5, 6]


@sim_test
async def test_a_client_that_joins_during_a_stream_has_history_and_live_events() -> None:
    joined = await join_during_stream(Plain(), FakeClient(), JoinDuringStream(before=2, after=2))
    assert joined == Joined(history=[0, 1, 2], live=[3])
