"""Fake clients: Starlette's own behaviour above, a peer that behaves as told below."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.clock import SimLoop
from simulators.errors import OptionError, SimulatorError
from simulators.faults import SlowReader, StalledReader
from simulators.link import Lag
from simulators.records import Closed, Received
from simulators.runs import sim_test, simulate
from simulators.wire import Wire

Attempt = Callable[..., Coroutine[Any, Any, str]]

PURE = Wire.uvicorn()
STALLED = Behaviour.stalled()


def _time() -> float:
    return asyncio.get_running_loop().time()


# As a WebSocket


@sim_test
async def test_it_is_a_websocket_that_was_accepted() -> None:
    client = FakeClient()
    assert isinstance(client, WebSocket)
    assert client.websocket is client
    assert client.client_state is client.application_state is WebSocketState.CONNECTED
    assert client.url.path == "/ws"
    assert client.query_params["client"] == "healthy-1"
    assert client.headers["upgrade"] == "websocket"
    assert client.client is not None
    assert client.client.host == "127.0.0.1"


def test_what_is_under_way_goes_on_by_the_clock_of_the_loop_that_runs() -> None:
    client = FakeClient(wire=Wire(latency=1))

    async def first() -> None:
        await asyncio.sleep(100)
        client.say("a")
        assert await client.receive_text() == "a"
        await client.send_text("b")

    async def second() -> tuple[float, float]:
        client.say("c")
        assert await client.receive_text() == "c"
        heard = _time()
        await client.wait_received(1)
        return heard, _time()

    simulate(first)
    assert simulate(second) == (1.0, 1.0)


@sim_test
async def test_an_endpoint_sees_what_the_peer_says_and_its_leaving() -> None:
    client = FakeClient()
    client.say("text")
    client.say({"type": "hello"})
    client.say(b"bytes")
    client.leave(1001, "bye")
    assert await client.receive_text() == "text"
    assert await client.receive_json() == {"type": "hello"}
    assert await client.receive_bytes() == b"bytes"
    with pytest.raises(WebSocketDisconnect) as caught:
        await client.receive_text()
    assert (caught.value.code, caught.value.reason) == (1001, "bye")
    assert client.closed == Closed(1001, "bye", 0.0)


@sim_test
async def test_an_endpoint_that_waits_is_woken() -> None:
    client = FakeClient()
    receiving = asyncio.create_task(client.receive_text())
    await asyncio.sleep(3)
    client.say("now")
    assert await receiving == "now"


@sim_test
async def test_a_peer_that_is_gone_says_nothing() -> None:
    client = FakeClient()
    client.die()
    with pytest.raises(SimulatorError, match="not connected"):
        client.say("hello")


# Reading


@sim_test
async def test_received_has_messages_and_times() -> None:
    client = FakeClient()
    await client.send_text("a")
    await asyncio.sleep(2)
    await client.send_bytes(b"b")
    await client.send_json({"c": 1})
    assert client.received == [Received("a", 0.0), Received(b"b", 2.0), Received('{"c":1}', 2.0)]
    assert client.messages == ["a", '{"c":1}']
    assert all(isinstance(entry, Received) for entry in client.received)


@sim_test
async def test_a_delivery_to_a_healthy_client_neither_waits_nor_sets_a_timer() -> None:
    client = FakeClient()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    before = loop.steps
    for _ in range(1_000):
        await client.send_text("x" * 1_000)
    assert loop.steps == before
    assert not loop._timers


@sim_test
async def test_one_text_for_two_clients_stays_one_object() -> None:
    clients = FakeClient(), FakeClient()
    text = json.dumps({"n": 1})
    for client in clients:
        await client.send_text(text)
    assert clients[0].received[0].message is clients[1].received[0].message


@sim_test
async def test_a_stalled_client_lets_the_next_send_wait_until_it_resumes() -> None:
    client = FakeClient()
    await client.send_text("before")
    client.stall()
    assert client.stalled
    send = asyncio.create_task(client.send_text("after"))
    await asyncio.sleep(60)
    assert client.sending == 1
    client.resume()
    await send
    assert client.received == [Received("before", 0.0), Received("after", 60.0)]


@sim_test
async def test_on_a_pure_wire_a_stalled_client_hides_behind_the_buffers(attempt: Attempt) -> None:
    client = FakeClient(STALLED, wire=Wire.small())
    sends = 0
    while await attempt(client, "x" * 296) == "sent":
        sends += 1
    assert sends == 75_536 // 300 + 1
    assert client.lag == Lag(sends, sends * 300)
    assert client.received == []


@sim_test
async def test_it_stalls_after_a_number_of_messages_and_resumes_once() -> None:
    client = FakeClient(Behaviour.stalled(after_messages=2, resume_after=5))
    await client.send_text("1")
    await client.send_text("2")
    assert client.stalled
    await client.send_text("3")
    assert _time() == 5
    await client.send_text("4")
    assert client.messages == ["1", "2", "3", "4"]


@sim_test
async def test_it_stalls_after_a_number_of_bytes() -> None:
    fault = StalledReader(after_bytes=10)
    client = FakeClient(Behaviour(name="full", faults=(fault,)))
    await client.send_text("äöüß")
    assert not client.stalled
    await client.send_text("12")
    assert client.stalled


@sim_test
async def test_it_stalls_after_a_time_counted_from_its_creation(attempt: Attempt) -> None:
    await asyncio.sleep(100)
    client = FakeClient(Behaviour.stalled(after_seconds=3, resume_after=2))
    await asyncio.sleep(2.9)
    assert await attempt(client) == "sent"
    await asyncio.sleep(0.2)
    assert client.stalled
    await client.send_text("y")
    assert _time() == 105


@sim_test
async def test_it_becomes_slow_after_a_time() -> None:
    client = FakeClient(Behaviour.slow(bytes_per_second=49_153, after_seconds=3))
    await client.send_text("fast")
    await asyncio.sleep(3)
    await client.send_text("slow")
    assert _time() == pytest.approx(4, abs=0.02)


@sim_test
async def test_a_healed_client_reads_everything_at_once() -> None:
    slow = SlowReader(bytes_per_second=1, after_seconds=0)
    later = StalledReader(after_seconds=20)
    client = FakeClient(Behaviour(name="ill", faults=(slow, later)), wire=PURE)
    await client.send_text("x" * 1_000)
    await asyncio.sleep(5)
    assert client.received == []
    client.heal()
    assert len(client.received) == 1
    await asyncio.sleep(30)
    assert not client.stalled


# Pings


@sim_test
async def test_it_answers_an_application_ping_once_it_has_read_it() -> None:
    client = FakeClient()
    client.stall()
    ping = asyncio.create_task(client.send_json({"type": "ping", "timestamp": 1.0}))
    await asyncio.sleep(2.5)
    client.resume()
    await ping
    assert await client.receive_json() == {"type": "pong", "timestamp": 2_500}


@sim_test
async def test_it_answers_nothing_else() -> None:
    client = FakeClient()
    for text in ('{"type": "message", "of": "ping"}', 'a "ping" in a text', '["ping"]', '"ping"'):
        await client.send_text(text)
    await client.send_bytes(b'{"type": "ping"}')
    client.say("first")
    assert await client.receive_text() == "first"


# Ends


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_death_reaches_the_application_as_1005_and_later_sends_as_1006(how: str) -> None:
    async def main() -> None:
        client = FakeClient()
        client.die(how=how)  # type: ignore[arg-type]  # parametrised
        with pytest.raises(WebSocketDisconnect) as received:
            await client.receive_text()
        assert received.value.code == 1005
        with pytest.raises(WebSocketDisconnect) as sent:
            await client.send_text("x")
        assert sent.value.code == 1006
        assert client.closed == Closed(1006, "", 0.0)
        assert not client.connected

    simulate(main)


@sim_test
async def test_there_is_no_third_way_to_die() -> None:
    with pytest.raises(OptionError, match="'reset' or 'fin'"):
        FakeClient().die(how="peacefully")  # type: ignore[arg-type]  # the point of the test


@sim_test
async def test_a_send_that_waits_fails_when_the_peer_dies() -> None:
    client = FakeClient(STALLED)
    send = asyncio.create_task(client.send_text("x"))
    await asyncio.sleep(1)
    client.die()
    with pytest.raises(WebSocketDisconnect):
        await send


@sim_test
async def test_it_dies_after_a_number_of_messages() -> None:
    client = FakeClient(Behaviour.dead(after_messages=2))
    await client.send_text("1")
    await client.send_text("2")
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("3")
    assert client.messages == ["1", "2"]


@sim_test
async def test_it_dies_after_a_time_whether_anybody_sends_or_not() -> None:
    client = FakeClient(Behaviour.dead(after_seconds=4))
    assert await client.wait_closed() == Closed(1006, "", 4.0)


@sim_test
async def test_the_peer_sees_the_close_of_the_application() -> None:
    client = FakeClient()
    await asyncio.sleep(1)
    await client.close(1013, "too slow")
    assert client.closed == client.close_called == Closed(1013, "too slow", 1.0)
    assert repr(client) == "<FakeClient healthy-1 healthy, 0 received, closed 1013>"
    message = await client.receive()
    assert message == {"type": "websocket.disconnect", "code": 1013, "reason": "too slow"}


@sim_test
async def test_a_close_waits_for_ever_for_a_peer_that_does_not_read() -> None:
    client = FakeClient(STALLED)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(86_400):
            await client.close(1013)
    assert client.closed is None
    assert client.connected
    assert client.close_called == Closed(1013, "", 0.0)


@sim_test
async def test_a_peer_that_stalled_behind_room_sees_the_close_when_it_resumes() -> None:
    client = FakeClient(STALLED, wire=PURE)
    await client.send_text("last")
    await client.close(1012)
    assert client.closed is None
    await asyncio.sleep(9)
    client.resume()
    assert client.messages == ["last"]
    assert client.closed == Closed(1012, "", 9.0)


@sim_test
async def test_the_timers_of_a_client_end_with_it() -> None:
    client = FakeClient(Behaviour.stalled(after_seconds=1_000))
    await client.close()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    assert all(timer.cancelled() for _, _, timer in loop._timers)


@sim_test
async def test_latency_holds_both_ways_and_keeps_the_order() -> None:
    client = FakeClient(wire=Wire(latency=0.5))
    await client.send_json({"type": "ping"})
    client.say("before the pong")
    assert await client.receive_text() == "before the pong"
    assert _time() == 0.5
    assert (await client.receive_json())["timestamp"] == 500
    assert _time() == 1.0
    client.die()
    await client.send_text("into the void")
    with pytest.raises(WebSocketDisconnect):
        await client.receive_text()
    assert _time() == 1.5
    assert len(client.received) == 1


# Identity


@sim_test
async def test_names_are_numbered_for_each_loop_and_kind() -> None:
    clients = [FakeClient(), FakeClient(STALLED), FakeClient(), FakeClient(name="bob")]
    assert [client.name for client in clients] == ["healthy-1", "stalled-1", "healthy-2", "bob"]


@sim_test
async def test_sets_of_clients_iterate_in_order_of_creation() -> None:
    clients = [FakeClient() for _ in range(100)]
    assert list(set(clients)) == clients
    assert clients[0] == clients[0]
    assert clients[0] != clients[1]


@sim_test
async def test_its_repr_tells_the_truth() -> None:
    client = FakeClient(Behaviour.stalled(after_messages=2), name="bob")
    await client.send_text("1")
    await client.send_text("2")
    assert repr(client) == "<FakeClient bob stalled, 2 received, open>"


def test_a_client_made_outside_a_loop_begins_with_its_first_use() -> None:
    client = FakeClient(Behaviour.dead(after_seconds=3), name="early")

    async def main() -> Closed:
        await asyncio.sleep(100)
        await client.send_text("first")
        return await client.wait_closed()

    assert simulate(main).time == 103


def test_a_client_works_on_two_loops_one_after_the_other(attempt: Attempt) -> None:
    client = FakeClient()

    async def main() -> None:
        client.stall()
        assert await attempt(client) == "timeout"
        client.resume()
        await client.send_text("x")

    simulate(main)
    simulate(main)
    assert client.messages == ["x", "x"]


def test_a_client_can_be_driven_from_synchronous_code() -> None:
    loop = SimLoop()
    client = FakeClient(name="sync")
    send = loop.create_task(client.send_text("1"))
    loop.run_until_idle()
    client.stall()
    send = loop.create_task(client.send_text("2"))
    loop.advance(5)
    assert not send.done()
    client.resume()
    loop.run_until_idle()
    assert client.received == [Received("1", 0.0), Received("2", 5.0)]
    loop.close()


@sim_test
async def test_ten_thousand_idle_clients_have_no_tasks_and_no_timers() -> None:
    clients = [FakeClient() for _ in range(5_000)] + [FakeClient(STALLED) for _ in range(5_000)]
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    assert len(asyncio.all_tasks()) == 1
    assert not loop._timers
    assert len(clients) == len(set(clients)) == 10_000


def _hard_run(seed: int) -> list[tuple[str, list[Received], Closed | None]]:
    async def main() -> list[tuple[str, list[Received], Closed | None]]:
        behaviours = [
            Behaviour.healthy(),
            Behaviour.slow(bytes_per_second=5_000),
            Behaviour.stalled(after_messages=3, resume_after=2),
            Behaviour.dead(after_messages=5),
        ]
        clients = {FakeClient(each, wire=Wire(latency=0.01, jitter=0.5)) for each in behaviours * 3}

        async def feed(client: FakeClient) -> None:
            for number in range(20):
                try:
                    await client.send_text(f"{number}" * 50)
                except (WebSocketDisconnect, RuntimeError):
                    return

        await asyncio.gather(*(feed(client) for client in clients))
        await asyncio.sleep(60)
        return [(client.name, client.received, client.closed) for client in clients]

    return simulate(main, seed=seed, interleaving="random")


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert _hard_run(1) == _hard_run(1)
    assert _hard_run(1) != _hard_run(2)


def test_a_client_works_on_a_real_loop() -> None:
    async def main() -> list[str]:
        client = FakeClient(wire=Wire(latency=0.001, jitter=0.001))
        await client.send_json({"type": "ping"})
        await client.receive_text()
        return client.messages

    assert asyncio.run(main()) == ['{"type":"ping"}']


def test_a_client_takes_little_memory() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    tracemalloc.start()
    clients = [FakeClient() for _ in range(200)]
    each = tracemalloc.get_traced_memory()[0] / len(clients)
    tracemalloc.stop()
    assert each < 10_000, sys.version
