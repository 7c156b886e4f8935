"""Whom `ack_timeout` keeps and whom it drops, among peers that are behind: a modelled pipe."""

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.websockets import WebSocket

from flock_ws import WebSocketManager
from flock_ws.closing import EXTENSION
from simulators import HealthyClient, sim_test
from tests.flock_ws.scene import said

TICK = 0.125
"""Seconds between two events."""


class Pipe:
    """A direct connection whose peer reads when told; it never pushes back.

    Args:
        window_bytes: what the peer's kernel takes, whether or not its application reads.
    """

    def __init__(self, *, window_bytes: float = 0) -> None:
        self.window_bytes = window_bytes
        self.window_bits = 0
        self.lost = False
        self.on_pong: Callable[[int], None] | None = None
        self.under_way: deque[tuple[int, int | None]] = deque()
        self.left = 0
        self.event_bytes = 0

    @property
    def buffered_bytes(self) -> int:
        whole = sum(size for size, _ in self.under_way) - self.left
        return int(max(0, whole - self.window_bytes))

    def offer(self, frames: bytes) -> bool:
        self.event_bytes = len(frames)
        self.under_way.append((len(frames), None))
        return True

    def ping(self, number: int) -> None:
        self.under_way.append((18, number))

    def read(self, events: float) -> None:
        """Read as many bytes as so many events have."""
        self.left += int(events * self.event_bytes)
        while self.under_way and self.left >= self.under_way[0][0]:
            size, number = self.under_way.popleft()
            self.left -= size
            if number is not None and self.on_pong is not None:
                self.on_pong(number)

    def when_writable(self, callback: Callable[[], None]) -> None:
        raise AssertionError(f"it never pushes back: {callback}")

    def abort(self) -> None:
        self.lost = True

    async def wait_lost(self) -> None: ...


async def followed(
    pipe: Pipe, *, behind: float, reads: float, seconds: float
) -> list[tuple[str, float]]:
    """Publish an event every tick to one client; tell why and when it was evicted.

    Args:
        pipe: how it is connected.
        behind: seconds of events that are under way before it begins to read.
        reads: events that it reads in the time of one.
        seconds: how long to go on afterwards.
    """
    loop = asyncio.get_running_loop()
    client = HealthyClient()
    socket = WebSocket(
        {**client.scope, "extensions": {EXTENSION: {"connection": pipe}}},
        client._receive,
        client._send,
    )
    socket.client_state, socket.application_state = client.client_state, client.application_state
    manager = WebSocketManager(ack_timeout=10.0)
    await manager.add_client(socket)
    for number in range(int(behind / TICK)):
        await manager.broadcast(said(number, size_bytes=100))
    ends = loop.time() + seconds
    while loop.time() < ends:
        await manager.broadcast(said(size_bytes=100))
        await asyncio.sleep(TICK)
        pipe.read(reads)
    return [(eviction.reason, eviction.at) for eviction in manager.evictions]


@sim_test
async def test_who_reads_as_fast_as_events_come_is_kept_up_to_the_timeout_behind() -> None:
    assert await followed(Pipe(), behind=9.0, reads=1.0, seconds=100) == []


@sim_test
async def test_who_is_further_behind_and_never_gains_is_evicted() -> None:
    assert await followed(Pipe(), behind=15.0, reads=1.0, seconds=100) == [("no_ack", 11.0)]


@sim_test
async def test_who_is_as_far_behind_and_gains_on_the_events_is_kept() -> None:
    assert await followed(Pipe(), behind=15.0, reads=1.05, seconds=100) == []


@sim_test
async def test_who_reads_nothing_is_found_though_its_kernel_takes_every_event() -> None:
    pipe = Pipe(window_bytes=1e9)
    assert await followed(pipe, behind=0.0, reads=0.0, seconds=100) == [("no_ack", 11.0)]


@sim_test
async def test_who_reads_nothing_is_evicted_soon_after_its_kernel_gains_no_more() -> None:
    pipe = Pipe()

    async def take() -> None:
        while asyncio.get_running_loop().time() < 24.0:
            await asyncio.sleep(TICK)
            pipe.window_bytes += 1.5 * pipe.event_bytes

    taking = asyncio.ensure_future(take())
    assert await followed(pipe, behind=30.0, reads=0.0, seconds=100) == [("no_ack", 31.0)]
    await taking
