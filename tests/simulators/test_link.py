"""The modelled connection: water marks, write orders, rates, latency, and its end."""

import asyncio

import pytest

from simulators.clock import SimLoop
from simulators.errors import SimDeadlock
from simulators.link import Lag, Link
from simulators.runs import sim_test, simulate
from simulators.wire import Wire


class Peer:
    """Remembers what it read, and when."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.read: list[tuple[str, float]] = []
        self.link: Link[str] = Link(
            wire or Wire(), read=lambda frame, time: self.read.append((frame, time))
        )
        self.link.bind(asyncio.get_running_loop())

    @property
    def frames(self) -> list[str]:
        return [frame for frame, _ in self.read]


def _time() -> float:
    return asyncio.get_running_loop().time()


def _timers() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return sum(not timer.cancelled() for _, _, timer in loop._timers)


async def _blocks(link: Link[str], frame: str, size: int) -> bool:
    try:
        async with asyncio.timeout(100):
            await link.send(frame, size)
    except TimeoutError:
        return True
    return False


@sim_test
async def test_a_peer_that_keeps_up_reads_at_once_without_a_timer() -> None:
    peer = Peer()
    for number in range(100):
        await peer.link.send(str(number), 100_000)
    assert peer.read == [(str(number), 0.0) for number in range(100)]
    assert _timers() == 0


@sim_test
async def test_sends_wait_once_the_buffer_is_above_high_water() -> None:
    peer = Peer(Wire(kernel_bytes=1_000))
    peer.link.stall()
    assert not await _blocks(peer.link, "a", 66_536)  # exactly at high water
    assert not await _blocks(peer.link, "b", 1)  # above, but only the next send sees it
    assert await _blocks(peer.link, "c", 1)
    assert peer.link.lag == Lag(2, 66_537)


@sim_test
async def test_sends_go_on_at_low_water_and_not_before() -> None:
    peer = Peer()
    peer.link.pace(1_000, chunk_bytes=1)
    await peer.link.send("full", 65_538)
    await peer.link.send("next", 10)
    assert peer.link.lag.messages == 2
    assert _time() == pytest.approx((65_538 - 16_384 - 1) / 1_000)


@sim_test
async def test_wait_then_write_never_sends_what_was_cancelled() -> None:
    peer = Peer(Wire.uvicorn(filled=True))
    peer.link.stall()
    assert await _blocks(peer.link, "cancelled", 10)
    peer.link.resume()
    assert peer.frames == []


@sim_test
async def test_write_then_wait_sends_what_was_cancelled_all_the_same() -> None:
    peer = Peer(Wire.uvicorn_legacy(filled=True))
    peer.link.stall()
    assert await _blocks(peer.link, "cancelled", 10)
    peer.link.resume()
    assert peer.frames == ["cancelled"]


@sim_test
async def test_a_second_waiting_send_fails_on_the_legacy_protocol_only() -> None:
    legacy, default = Peer(Wire.uvicorn_legacy(filled=True)), Peer(Wire.uvicorn(filled=True))
    sends = []
    for peer in (legacy, default):
        peer.link.stall()
        sends.append(asyncio.create_task(peer.link.send("a", 1)))
    await asyncio.sleep(1)
    with pytest.raises(AssertionError):
        await legacy.link.send("b", 1)
    assert await _blocks(default.link, "b", 1)
    for peer in (legacy, default):
        peer.link.resume()
    await asyncio.gather(*sends)
    assert (legacy.frames, default.frames) == (["a", "b"], ["a"])


@sim_test
async def test_sends_that_waited_go_on_in_their_order() -> None:
    peer = Peer(Wire(filled=True))
    peer.link.stall()
    sends = [asyncio.create_task(peer.link.send(str(number), 1)) for number in range(5)]
    await asyncio.sleep(1)
    peer.link.resume()
    await asyncio.gather(*sends)
    assert peer.frames == list("01234")


@sim_test
async def test_a_filled_wire_is_full_from_the_moment_of_the_stall() -> None:
    peer = Peer(Wire.loopback(filled=True))
    await peer.link.send("before", 10)
    peer.link.stall()
    assert await _blocks(peer.link, "after", 10)
    assert peer.link.lag == Lag(0, 0)
    peer.link.resume()
    assert not await _blocks(peer.link, "again", 10)
    assert peer.frames == ["before", "again"]


@sim_test
async def test_a_slow_peer_takes_a_chunk_and_pauses_for_it() -> None:
    peer = Peer()
    peer.link.pace(100, chunk_bytes=50)
    await peer.link.send("a", 50)
    await peer.link.send("b", 50)
    await peer.link.send("c", 120)
    await asyncio.sleep(60)
    assert peer.read == [("a", 0.0), ("b", 0.5), ("c", 2.0)]


@sim_test
async def test_a_slow_peer_keeps_its_rate_over_many_small_messages() -> None:
    peer = Peer()
    peer.link.pace(1_000, chunk_bytes=512)
    for number in range(100):
        await peer.link.send(str(number), 100)
    await asyncio.sleep(60)
    assert len(peer.read) == 100
    assert peer.read[-1][1] == pytest.approx(10_000 / 1_000, abs=0.6)


@sim_test
async def test_a_slow_peer_that_was_idle_does_not_save_up_its_rate() -> None:
    peer = Peer()
    peer.link.pace(100, chunk_bytes=50)
    await peer.link.send("a", 50)
    await asyncio.sleep(1_000)
    await peer.link.send("b", 100)
    await asyncio.sleep(10)
    assert peer.read[-1] == ("b", 1_000.5)


@sim_test
async def test_nobody_waits_for_a_slow_peer_with_more_than_one_timer() -> None:
    peer = Peer()
    peer.link.pace(10, chunk_bytes=1)
    for number in range(50):
        await peer.link.send(str(number), 1_000)
        assert _timers() == 1


@sim_test
async def test_bandwidth_spreads_messages_over_time() -> None:
    peer = Peer(Wire(bytes_per_second=1_000))
    await peer.link.send("a", 500)
    await peer.link.send("b", 250)
    await asyncio.sleep(60)
    assert peer.read == [("a", 0.5), ("b", 0.75)]


@pytest.mark.parametrize("rate", [3.0, 7.0, 0.1, 1 / 3, 999.999])
def test_odd_rates_come_to_an_end(rate: float) -> None:
    async def main() -> int:
        peer = Peer(Wire(bytes_per_second=rate))
        slow = Peer()
        slow.link.pace(rate, chunk_bytes=7)
        for number in range(100):
            await peer.link.send(str(number), 13)
            await slow.link.send(str(number), 13)
            await asyncio.sleep(0.1)
        await asyncio.sleep(20_000)
        assert len(peer.read) == len(slow.read) == 100
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        return loop.steps

    assert simulate(main) < 2_000


@sim_test
async def test_the_slower_of_bandwidth_and_peer_counts() -> None:
    peer = Peer(Wire(bytes_per_second=100))
    peer.link.pace(1_000)
    await peer.link.send("a", 100)
    await asyncio.sleep(10)
    assert peer.read == [("a", 1.0)]


@sim_test
async def test_latency_delays_and_does_not_hold_up() -> None:
    peer = Peer(Wire(latency=0.25))
    for number in range(3):
        await peer.link.send(str(number), 50_000)
        await asyncio.sleep(0.1)
    assert _time() == pytest.approx(0.3)
    await asyncio.sleep(1)
    assert [time for _, time in peer.read] == pytest.approx([0.25, 0.35, 0.45])


@sim_test(seed=5)
async def test_jitter_never_changes_the_order() -> None:
    peer = Peer(Wire(latency=0.1, jitter=5))
    for number in range(50):
        await peer.link.send(str(number), 10)
        await asyncio.sleep(0.1)
    await asyncio.sleep(10)
    assert peer.frames == [str(number) for number in range(50)]
    assert len({time for _, time in peer.read}) > 5


@sim_test
async def test_what_travels_when_the_peer_stalls_is_read_when_it_resumes() -> None:
    peer = Peer(Wire(latency=1))
    await peer.link.send("a", 10)
    peer.link.stall()
    await asyncio.sleep(5)
    assert peer.read == []
    peer.link.resume()
    assert peer.read == [("a", 5.0)]


@sim_test
async def test_a_peer_may_stall_while_it_reads_and_loses_nothing() -> None:
    peer = Peer()
    reads: list[str] = []

    def read(frame: str, _: float) -> None:
        reads.append(frame)
        if frame == "1":
            link.stall()

    link: Link[str] = Link(Wire(), read=read)
    link.bind(asyncio.get_running_loop())
    link.stall()
    for number in range(4):
        await link.send(str(number), 10)
    link.resume()
    assert reads == ["0", "1"]
    assert link.lag == Lag(2, 20)
    link.resume()
    assert reads == ["0", "1", "2", "3"]
    assert link.direct
    assert peer.read == []


@sim_test
async def test_the_end_of_the_connection_releases_a_send_that_waits() -> None:
    peer = Peer(Wire(filled=True))
    peer.link.stall()
    send = asyncio.create_task(peer.link.send("a", 1))
    await asyncio.sleep(1)
    peer.link.cut()
    with pytest.raises(ConnectionResetError):
        await send
    with pytest.raises(ConnectionResetError):
        await peer.link.send("b", 1)


@sim_test
async def test_nothing_is_left_behind_by_a_connection_that_ended() -> None:
    peer = Peer(Wire(latency=1))
    peer.link.pace(10)
    await peer.link.send("a", 1_000)
    gone: list[bool] = []
    peer.link.lost_callbacks.append(lambda: gone.append(True))
    peer.link.cut()
    await asyncio.sleep(0)
    assert _timers() == 0
    assert gone == [True]


def test_a_peer_that_never_resumes_is_a_deadlock_that_names_the_send() -> None:
    async def main() -> None:
        peer = Peer(Wire(filled=True))
        peer.link.stall()
        await peer.link.send("a", 1)

    with pytest.raises(SimDeadlock, match=r"link\.py"):
        simulate(main)
