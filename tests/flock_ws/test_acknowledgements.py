import asyncio

import pytest

from flock_ws import Limits
from flock_ws.acknowledgements import Acknowledgements
from flock_ws.outbox import Outbox
from simulators import sim_test


class Peer:
    """The direct connection of one client: it takes pings, and says what is buffered."""

    def __init__(self, **limits: float) -> None:
        loop = asyncio.get_running_loop()
        self.pings: list[tuple[float, int]] = []
        self.buffered_bytes = 0
        self.window_bits = 0
        self.missed: list[float] = []
        self.outbox = Outbox(object(), name="a", number=0, joined_at=0.0, direct=self)  # type: ignore[arg-type]  # the part that is used
        self.acknowledgements = Acknowledgements(
            loop,
            limits=Limits(**limits),  # type: ignore[arg-type]  # numbers by name
            missed=lambda _: self.missed.append(loop.time()),
        )

    def offer(self, frames: bytes) -> bool:
        return bool(frames)

    def ping(self, number: int) -> None:
        self.pings.append((asyncio.get_running_loop().time(), number))

    def send(self, number: int) -> None:
        """Write events up to this number."""
        self.outbox.number = number
        self.acknowledgements.sent(self.outbox)

    def answer(self, number: int) -> None:
        self.acknowledgements.answered(self.outbox, number)


@sim_test
async def test_a_peer_is_asked_once_an_interval_however_much_is_sent() -> None:
    peer = Peer(ack_interval=1.0)
    for number in range(1, 250):
        peer.send(number)
        await asyncio.sleep(0.01)
        if peer.pings and peer.outbox.asked is not None:
            peer.answer(peer.pings[-1][1])
    assert [round(at, 2) for at, _ in peer.pings] == [1.0, 2.0]


@sim_test
async def test_nothing_is_asked_while_nothing_is_outstanding() -> None:
    peer = Peer()
    peer.send(1)
    await asyncio.sleep(1.5)
    peer.answer(1)
    await asyncio.sleep(100)
    assert peer.pings == [(1.0, 1)]


@sim_test
async def test_what_was_sent_after_a_ping_is_asked_for_by_the_next_one() -> None:
    peer = Peer()
    peer.send(1)
    await asyncio.sleep(1.5)
    peer.send(2)
    peer.answer(1)
    await asyncio.sleep(2)
    assert peer.pings == [(1.0, 1), (2.5, 2)]


@sim_test
async def test_an_answer_tells_what_was_taken_and_how_long_it_took() -> None:
    peer = Peer()
    peer.send(5)
    await asyncio.sleep(1.25)
    peer.answer(5)
    assert (peer.outbox.acknowledged, peer.outbox.round_trip) == (5, 0.25)


@pytest.mark.parametrize("number", [4, 6])
@sim_test
async def test_an_answer_to_another_ping_counts_for_nothing(number: int) -> None:
    peer = Peer(ack_timeout=2.0)
    peer.send(5)
    await asyncio.sleep(1.5)
    peer.answer(number)
    await asyncio.sleep(5)
    assert (peer.outbox.acknowledged, peer.missed) == (0, [3.0])


@sim_test
async def test_a_peer_that_takes_nothing_is_found_after_the_timeout() -> None:
    peer = Peer(ack_timeout=10.0)
    peer.buffered_bytes = 300
    peer.send(1)
    await asyncio.sleep(20)
    assert peer.missed == [11.0]


@sim_test
async def test_a_slow_peer_whose_buffers_drain_is_given_time() -> None:
    peer = Peer(ack_timeout=10.0)
    peer.buffered_bytes = 300
    peer.send(1)
    for _ in range(5):
        await asyncio.sleep(9)
        peer.buffered_bytes -= 50
    assert peer.missed == []
    await asyncio.sleep(30)
    assert len(peer.missed) == 1


@sim_test
async def test_without_a_timeout_nobody_is_asked() -> None:
    loop = asyncio.get_running_loop()
    peer = Peer()
    peer.acknowledgements = Acknowledgements(
        loop, limits=Limits(ack_timeout=None), missed=lambda _: None
    )
    peer.send(1)
    await asyncio.sleep(60)
    assert peer.pings == []


@sim_test
async def test_a_client_that_is_gone_is_asked_nothing() -> None:
    peer = Peer()
    peer.send(1)
    peer.acknowledgements.drop(peer.outbox)
    await asyncio.sleep(60)
    assert (peer.pings, peer.missed) == ([], [])
