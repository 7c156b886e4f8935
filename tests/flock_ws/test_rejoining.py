"""A socket that comes again while its earlier stay has not quite ended."""

import asyncio
import gc
import weakref

import pytest

from flock_ws import NotOnLoopError, WebSocketManager
from simulators import HealthyClient, sim_test
from simulators.runs import simulate
from tests.flock_ws.scene import now, said


class SlowToEnd:
    """A socket whose first send blocks, and once cancelled takes its time to end."""

    def __init__(self, *, ends_after: float) -> None:
        self.ends_after = ends_after
        self.sends: list[tuple[float, str]] = []
        self.in_flight = 0
        self.overlapped = False
        self.cancelled = 0

    async def send_text(self, _: str) -> None:
        await self._send("event")

    async def send_json(self, _: object) -> None:
        await self._send("ping")

    async def _send(self, what: str) -> None:
        self.overlapped |= self.in_flight > 0
        self.in_flight += 1
        self.sends.append((now(), what))
        try:
            if len(self.sends) == 1:
                await self._block()
        finally:
            self.in_flight -= 1

    async def _block(self) -> None:
        ends: float | None = None
        while ends is None or now() < ends:
            try:
                await asyncio.sleep(100 if ends is None else ends - now())
            except asyncio.CancelledError:
                self.cancelled += 1
                ends = now() + self.ends_after if ends is None else ends


async def came_again(manager: WebSocketManager, socket: SlowToEnd) -> None:
    """Have a socket leave in the middle of a send, and join anew at once."""
    await manager.add_client(socket)
    manager.publish(said())
    await asyncio.sleep(0.125)
    await manager.remove_client(socket)
    await manager.add_client(socket)


@sim_test
async def test_who_comes_again_is_sent_to_once_its_cancelled_send_has_ended() -> None:
    manager, socket = WebSocketManager(), SlowToEnd(ends_after=0.25)
    await came_again(manager, socket)
    assert (await manager.broadcast(said(1))).delivered == 1
    assert (socket.overlapped, socket.sends) == (False, [(0.0, "event"), (0.375, "event")])


@sim_test
async def test_a_ping_too_waits_for_the_cancelled_send_of_an_earlier_stay() -> None:
    manager, socket = WebSocketManager(), SlowToEnd(ends_after=0.25)
    await came_again(manager, socket)
    await manager._ping_client(socket)  # a hook of the original
    assert (socket.overlapped, socket.sends) == (False, [(0.0, "event"), (0.375, "ping")])


@sim_test
async def test_a_cancelled_send_that_does_not_end_breaks_the_next_stays_deadline() -> None:
    manager, socket = WebSocketManager(send_timeout=0.5), SlowToEnd(ends_after=50)
    await came_again(manager, socket)
    await manager.remove_client(socket)
    await manager.add_client(socket)
    assert (await manager.broadcast(said(1))).evicted == 1
    assert (now(), manager.evictions[-1].reason) == (0.625, "send_timeout")
    assert socket.cancelled == 1
    # Its close was given up; what it holds up by coming again is itself alone.
    await asyncio.sleep(2)
    await manager.add_client(socket)
    assert (await manager.broadcast(said(2))).evicted == 1
    assert not socket.overlapped


@sim_test
async def test_what_a_socket_left_behind_is_forgotten_when_it_has_ended() -> None:
    manager, socket = WebSocketManager(), SlowToEnd(ends_after=0.25)
    await came_again(manager, socket)
    await asyncio.sleep(1)
    await manager.remove_client(socket)
    left = weakref.ref(socket)
    del socket
    gc.collect()
    assert left() is None


class SlowToClose(SlowToEnd):
    """Its close takes a while, and counts."""

    def __init__(self) -> None:
        super().__init__(ends_after=0.0)
        self.closes = 0

    async def close(self) -> None:
        self.closes += 1
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("way", ["add_client", "clients.add"])
@sim_test
async def test_who_is_being_closed_after_an_eviction_does_not_come_in_again(way: str) -> None:
    manager, socket = WebSocketManager(), SlowToClose()
    await manager.add_client(socket)
    await manager.broadcast(said())
    if way == "add_client":
        await manager.add_client(socket)
    else:
        manager.clients.add(socket)
    await manager.broadcast(said(1))
    assert (len(manager.clients), manager.statistics().joined, len(socket.sends)) == (0, 1, 1)


@sim_test
async def test_once_its_close_has_ended_a_socket_may_come_again() -> None:
    manager, socket = WebSocketManager(), SlowToClose()
    await manager.add_client(socket)
    await manager.broadcast(said())
    await asyncio.sleep(1)
    await manager.add_client(socket)
    assert (await manager.broadcast(said(1))).delivered == 1


@sim_test
async def test_after_shutdown_who_is_put_into_the_set_is_closed_as_who_is_added() -> None:
    manager, late, later = WebSocketManager(), HealthyClient(), HealthyClient()
    await manager.shutdown()
    manager.clients.add(late)
    manager.clients |= {later}
    assert len(manager.clients) == 0
    assert {(await late.wait_closed()).code, (await later.wait_closed()).code} == {1012}


@sim_test
async def test_after_shutdown_who_comes_twice_is_closed_once() -> None:
    manager, socket = WebSocketManager(), SlowToClose()
    await manager.shutdown()
    await manager.add_client(socket)
    await manager.add_client(socket)
    await asyncio.sleep(1)
    assert socket.closes == 1


def test_after_shutdown_nobody_comes_in_where_no_loop_could_close_them() -> None:
    manager = WebSocketManager()
    simulate(manager.shutdown)
    with pytest.raises(NotOnLoopError):
        manager.clients.add(object())
    assert len(manager.clients) == 0
