import asyncio
import json
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocket, WebSocketState
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from flock_ws import WebSocketManager
from flock_ws.closing import EXTENSION
from flock_ws.direct import Frames, deflated_frame, direct_of, text_frame
from flock_ws.log import BroadcastLog
from simulators import HealthyClient, sim_test, simulate
from tests.flock_ws.scene import said


class Transport:
    """A direct connection into a list, whose buffer is full when told so."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.pings: list[int] = []
        self.can_write = True
        self.lost = False
        self.buffered_bytes = 0
        self.window_bits = 0
        self.on_pong: Callable[[int], None] | None = None
        self.waiting: list[Callable[[], None]] = []

    def offer(self, frames: bytes) -> bool:
        if self.lost:
            raise ConnectionResetError
        if self.can_write:
            self.written.append(frames)
        return self.can_write

    def ping(self, number: int) -> None:
        self.pings.append(number)

    def when_writable(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def drain(self) -> None:
        self.can_write = True
        for callback in self.waiting:
            callback()
        self.waiting.clear()

    def abort(self) -> None:
        self.lost = True

    async def wait_lost(self) -> None: ...


def socket(transport: Transport) -> WebSocket:
    """Return a client whose server offers the transport."""
    client = HealthyClient()
    plain = WebSocket(
        {**client.scope, "extensions": {EXTENSION: {"connection": transport}}},
        client._receive,
        client._send,
    )
    plain.client_state, plain.application_state = client.client_state, client.application_state
    return plain


def events_in(transport: Transport) -> list[int]:
    """Return the numbers of the events in what was written, without the pings between them."""
    data, found = b"".join(transport.written), []
    while data:
        size, head = data[1], 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, head = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        told = json.loads(data[head : head + size])
        found += [told["sequence"]] if "sequence" in told else []
        data = data[head + size :]
    return found


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_text_frame_is_what_the_websockets_library_writes(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@given(st.text(max_size=3_000), st.integers(9, 15))
def test_a_compressed_frame_is_what_the_websockets_library_reads(text: str, bits: int) -> None:
    frame = deflated_frame(text.encode(), window_bits=bits)
    peer = PerMessageDeflate(True, True, bits, bits)  # noqa: FBT003 # its own order
    assert read_text(frame, peer) == text


def test_a_large_compressed_event_is_read_as_well() -> None:
    text = "".join(f"{number:x}" for number in range(100_000))
    frame = deflated_frame(text.encode(), window_bits=15)
    assert len(frame) < len(text)
    assert read_text(frame, PerMessageDeflate(True, True, 15, 15)) == text  # noqa: FBT003 # its own order


def test_an_event_that_compression_makes_no_smaller_stays_as_it_is() -> None:
    noise = Random(0).randbytes(1_000).hex().encode()[:255]
    assert deflated_frame(noise, window_bits=15) == text_frame(noise)
    incompressible = "".join(map(chr, Random(0).sample(range(0x4E00, 0x9FFF), 400))).encode()
    frame = deflated_frame(incompressible, window_bits=15)
    assert len(frame) <= len(text_frame(incompressible))


def test_frames_for_other_windows_are_other_frames_of_the_same_events() -> None:
    log = BroadcastLog()
    log.join()
    for text in ("a" * 500, "b" * 500):
        log.append(text, len(text), time=0.0, readers=1)
    frames = Frames(log)
    plain, narrow, wide = (frames.after(0, window_bits=bits) for bits in (0, 9, 15))
    assert (plain[1], narrow[1], wide[1]) == (2, 2, 2)
    assert frames.after(0, window_bits=9)[0] is narrow[0]
    assert (plain[0][0], narrow[0][0], wide[0][0]) == (0x81, 0xC1, 0xC1)


def read_text(frame: bytes, extension: PerMessageDeflate) -> str:
    """Read one unmasked frame as a client that agreed to the extension does."""
    reader = StreamReader()
    reader.feed_data(frame)
    parser = Frame.parse(reader.read_exact, mask=False, extensions=[extension])
    with pytest.raises(StopIteration) as parsed:
        next(parser)
    assert not reader.buffer
    return bytes(parsed.value.value.data).decode()


def test_clients_at_the_same_place_share_the_joined_bytes() -> None:
    log = BroadcastLog()
    log.join()
    for number in range(3):
        log.append(str(number), 1, time=0.0, readers=1)
    frames = Frames(log)
    joined, end = frames.after(0)
    assert (joined, end) == (text_frame(b"0") + text_frame(b"1") + text_frame(b"2"), 3)
    assert frames.after(0)[0] is joined
    assert frames.after(2) == (text_frame(b"2"), 3)


def test_a_joined_write_is_bounded_and_one_large_event_still_goes() -> None:
    log = BroadcastLog()
    log.join()
    for text in ("a" * 40_000, "b" * 40_000, "c" * 100_000, "d"):
        log.append(text, len(text), time=0.0, readers=1)
    frames = Frames(log)
    assert [frames.after(number)[1] for number in range(4)] == [1, 2, 3, 4]


def test_what_was_joined_is_made_anew_when_events_have_come() -> None:
    log = BroadcastLog()
    log.join()
    log.append("a", 1, time=0.0, readers=1)
    frames = Frames(log)
    assert frames.after(0)[1] == 1
    log.append("b", 1, time=0.0, readers=1)
    assert frames.after(0)[1] == 2


def test_a_socket_that_sends_in_its_own_way_is_left_to_it() -> None:
    class Encrypting(WebSocket):
        async def send_text(self, data: str) -> None: ...

    transport = Transport()
    scope = socket(transport).scope
    own = Encrypting(scope, None, None)  # type: ignore[arg-type]  # never called
    assert direct_of(own) is None
    assert direct_of(socket(transport)) is transport
    assert direct_of(HealthyClient()) is None
    assert direct_of(object()) is None


@sim_test
async def test_events_of_one_turn_go_out_in_one_write_and_in_order() -> None:
    manager, transport = WebSocketManager(), Transport()
    await manager.add_client(socket(transport))
    for number in range(20):
        delivery = manager.publish(said(number))
    await delivery
    assert (len(transport.written), events_in(transport)) == (1, list(range(20)))


@sim_test
async def test_a_full_transport_is_not_written_to_and_goes_on_where_it_was() -> None:
    manager, transport = WebSocketManager(), Transport()
    await manager.add_client(socket(transport))
    await manager.broadcast(said(0))
    transport.can_write = False
    late = [manager.publish(said(number)) for number in (1, 2)]
    await asyncio.sleep(0.4)
    assert (events_in(transport), manager.statistics().per_client[0].busy) == ([0], True)
    transport.drain()
    for delivery in late:
        await delivery
    assert (events_in(transport), manager.evictions) == ([0, 1, 2], ())


@sim_test
async def test_a_transport_that_stays_full_is_evicted_after_the_send_timeout() -> None:
    manager, transport = WebSocketManager(), Transport()
    await manager.add_client(socket(transport))
    transport.can_write = False
    delivery = await manager.broadcast(said(0))
    (eviction,) = manager.evictions
    assert (eviction.reason, eviction.at, delivery.evicted) == ("send_timeout", 0.5, 1)
    transport.drain()
    await manager.broadcast(said(1))
    assert transport.written == []


@sim_test
async def test_a_lost_connection_is_a_failed_send() -> None:
    manager, transport = WebSocketManager(), Transport()
    await manager.add_client(socket(transport))
    transport.lost = True
    await manager.broadcast(said(0))
    assert [eviction.reason for eviction in manager.evictions] == ["send_failed"]


@sim_test
async def test_a_heartbeat_goes_the_same_way() -> None:
    manager, transport = WebSocketManager(10, enable_heartbeat=True), Transport()
    await manager.add_client(socket(transport))
    await asyncio.sleep(11)
    assert transport.written == [text_frame(b'{"type": "ping", "timestamp": 10.0}')]


@sim_test
async def test_shutdown_does_not_wait_for_a_full_transport() -> None:
    manager, transport = WebSocketManager(), Transport()
    await manager.add_client(socket(transport))
    transport.can_write = False
    manager.publish(said(0))
    await asyncio.wait_for(manager.shutdown(), 2)
    assert manager.statistics().evicted == {"shutdown": 1}


@sim_test
async def test_before_a_socket_is_accepted_no_frame_goes_past_its_server() -> None:
    manager, transport = WebSocketManager(), Transport()
    early = socket(transport)
    early.application_state = WebSocketState.CONNECTING
    await manager.add_client(early)
    await manager.broadcast(said(0))
    assert ([one.reason for one in manager.evictions], transport.written) == (["send_failed"], [])


@sim_test
async def test_a_socket_in_two_managers_is_kept_by_both() -> None:
    class Answering(Transport):
        def ping(self, number: int) -> None:
            assert self.on_pong is not None
            asyncio.get_running_loop().call_later(0.1, self.on_pong, number)

    transport = Answering()
    shared = socket(transport)
    rooms = WebSocketManager(), WebSocketManager()
    for room in rooms:
        await room.add_client(shared)
        await room.broadcast(said(0))
    await asyncio.sleep(60)
    assert [room.evictions for room in rooms] == [(), ()]
    assert direct_of(shared) is None
    await rooms[0].remove_client(shared)
    assert direct_of(shared) is transport


@pytest.mark.parametrize("seed", range(20))
def test_under_any_schedule_direct_and_ordinary_clients_get_the_events_in_order(seed: int) -> None:
    """Connections fill, drain, break, leave and come back while events and pings go out."""
    random = Random(seed)

    async def main() -> None:
        manager = WebSocketManager(
            0.3, enable_heartbeat=True, ack_timeout=5.0, max_lag_messages=random.choice([5, 1_000])
        )
        everybody: list[tuple[Transport, WebSocket, int]] = []
        ordinary = HealthyClient()
        await manager.add_client(ordinary)
        published = 0
        for _ in range(150):
            match random.randrange(8):
                case 0 if len(everybody) < 12:
                    transport = Transport()
                    client = socket(transport)
                    everybody.append((transport, client, published))
                    await manager.add_client(client)
                case 1 if everybody:
                    random.choice(everybody)[0].can_write = False
                case 2 | 3 if everybody:
                    random.choice(everybody)[0].drain()
                case 4 if everybody and random.random() < 0.2:
                    random.choice(everybody)[0].abort()
                case 5 if everybody and random.random() < 0.2:
                    await manager.remove_client(random.choice(everybody)[1])
                case 6:
                    await asyncio.sleep(random.choice([0, 0, 0.01, 0.4]))
                case _:
                    for _ in range(random.choice([1, 1, 40])):
                        manager.publish(said(published))
                        published += 1
        last = await manager.broadcast(said(published))
        taken = 0
        for transport, client, first in everybody:
            events = events_in(transport)
            assert events == list(range(first, first + len(events)))
            assert client not in manager.clients or events[-1] == published
            taken += len(events)
        statistics = manager.statistics()
        assert statistics.delivered == taken + last.number + 1
        assert len(manager._log) == 0
        await manager.shutdown()
        assert [task for task in asyncio.all_tasks() if "flock-ws" in task.get_name()] == []

    simulate(main, seed=seed, interleaving="random" if seed % 2 else "fifo")
