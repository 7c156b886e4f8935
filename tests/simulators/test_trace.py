import asyncio
import gzip
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.clock import SimLoop
from simulators.errors import OptionError, SimulatorError
from simulators.named import HealthyClient, StalledClient
from simulators.runs import simulate
from simulators.trace import Entry, Trace
from simulators.wire import Wire

TIMES = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TIMES | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ENTRIES = st.lists(st.builds(Entry, TIMES, st.text(), st.text(), VALUES))


def said(number: int) -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="stdout",
        content="x",
        sequence=number,
    )


def trace_of(*entries: tuple[Any, ...]) -> Trace:
    trace = Trace()
    for entry in entries:
        trace.record(*entry)
    return trace


def test_entries_come_back_in_the_order_in_which_they_were_recorded() -> None:
    trace = trace_of((0.0, "a", "joined"), (1.5, "b", "received", 300), (1.0, "a", "left"))
    assert list(trace) == [
        Entry(0.0, "a", "joined", None),
        Entry(1.5, "b", "received", 300),
        Entry(1.0, "a", "left", None),
    ]


def test_it_tells_who_did_what_and_how_often() -> None:
    trace = trace_of((0, "a", "received", 1), (1, "b", "received", 2), (2, "a", "ended", 1000))
    assert trace.names == ("a", "b")
    assert trace.kinds == ("received", "ended")
    assert (trace.count("received"), trace.count("received", who="b")) == (2, 1)
    assert (trace.count("never"), trace.count("received", who="nobody")) == (0, 0)


def test_the_entries_of_one_leave_out_the_others() -> None:
    trace = trace_of((0, "a", "joined"), (1, "b", "joined"), (2, "a", "left"))
    assert [entry.what for entry in trace.of("a")] == ["joined", "left"]
    assert trace.of("nobody") == []


@given(ENTRIES)
def test_what_is_recorded_is_what_comes_back(entries: list[Entry]) -> None:
    trace = trace_of(*entries)
    assert [repr(entry) for entry in trace] == [repr(with_sorted_keys(entry)) for entry in entries]


@given(entries=ENTRIES, name=st.sampled_from(["run.jsonl", "run.jsonl.gz"]))
def test_a_file_gives_back_the_same_trace(
    entries: list[Entry], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trace = trace_of(*entries)
    trace.about["seed"] = 7
    path = tmp_path_factory.mktemp("traces") / name
    trace.write(path)
    read = Trace.read(path)
    assert [repr(entry) for entry in read] == [repr(entry) for entry in trace]
    assert (read.about, read.digest()) == ({"seed": 7}, trace.digest())


def with_sorted_keys(entry: Entry) -> Entry:
    """A value that is kept as text has its keys sorted."""
    return entry._replace(value=json.loads(json.dumps(entry.value, sort_keys=True)))


def test_a_file_is_json_lines_under_a_head(tmp_path: Path) -> None:
    trace = trace_of((0.25, "slow-1", "stalled"), (1.0, "slow-1", "evicted", "send_timeout"))
    trace.write(tmp_path / "run.jsonl")
    assert (tmp_path / "run.jsonl").read_text().splitlines() == [
        '{"trace": 1, "about": {}}',
        '[0.25,"slow-1","stalled"]',
        '[1.0,"slow-1","evicted","send_timeout"]',
    ]


def test_two_compressed_files_of_one_run_are_the_same(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        trace_of((0.25, "slow-1", "stalled")).write(tmp_path / name)
    one, other = ((tmp_path / name).read_bytes() for name in ("a.jsonl.gz", "b.jsonl.gz"))
    # The name is in the head of each file.
    assert gzip.decompress(one) == gzip.decompress(other)
    assert one[4:8] == other[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ('[0.5,"a"]', "a list of 3 or 4 is expected"),
        ("{}", "a list of 3 or 4 is expected"),
        ('["0","a","b"]', "the time must be a number, not '0'"),
        ('[NaN,"a","b"]', "finite number of seconds"),
        ('[1,2,"b"]', "who must be text, not 2"),
        ('[1,"a",', "Expecting value"),
    ],
)
def test_a_line_that_is_no_entry_is_named(line: str, seen: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(f'{{"trace": 1, "about": {{}}}}\n[0,"a","joined"]\n{line}\n')
    with pytest.raises(SimulatorError, match=r"run\.jsonl, line 3: .* is no entry") as caught:
        Trace.read(path)
    assert seen in str(caught.value)


@pytest.mark.parametrize("head", ["", "[]", '{"trace": 2, "about": {}}', '{"trace": 1}', "no"])
def test_a_file_without_the_head_is_no_trace(head: str, tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text(head + "\n")
    with pytest.raises(SimulatorError, match=r"line 1: .* is not the head of a trace"):
        Trace.read(tmp_path / "run.jsonl")


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, object(), b"x"])
def test_a_value_that_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="value must be JSON"):
        Trace().record(0.0, "a", "b", value)


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(OptionError, match="finite number of seconds, not inf"):
        Trace().record(math.inf, "a", "b")


def test_the_digest_changes_with_anything_that_happened() -> None:
    base = (1.0, "a", "received", 3)
    others = [(2.0, *base[1:]), (1.0, "b", *base[2:]), (*base[:2], "sent", 3), (*base[:3], 4)]
    digests = {trace_of(entry).digest() for entry in [base, *others]}
    assert len(digests) == 5
    assert trace_of(base).digest() in digests


def test_the_tail_shows_the_last_entries_of_those_concerned() -> None:
    trace = trace_of(
        (0, "slow-1", "joined"),
        (0.5, "healthy-1", "received", 10),
        (1.25, "slow-1", "evicted", "send_timeout"),
        (2, "manager", "published", 8),
    )
    assert trace.tail(1) == ["         2 s  manager  published 8"]
    assert trace.tail(9, who="slow-1") == [
        "         0 s  slow-1  joined",
        "      1.25 s  slow-1  evicted send_timeout",
    ]
    assert len(trace.tail(9, who=["slow-1", "manager", "nobody"])) == 3
    assert trace.tail(9, who="nobody") == []


def test_a_delivery_takes_less_than_40_bytes() -> None:
    trace = Trace()
    names = [f"healthy-{number}" for number in range(1_000)]
    tracemalloc.start()
    try:
        for number in range(100):
            for name in names:
                trace.record(number / 7, name, "received", number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(trace) < 40
    assert trace.memory_bytes / len(trace) < 30


def test_lanes_show_what_a_client_was_like_until_its_connection_ended() -> None:
    trace = trace_of(
        (0, "a", "joined"),
        (1, "a", "stalled"),
        (2, "a", "blocked"),
        (3, "a", "evicted", "send_timeout"),
        (4, "a", "ended", 1006),
        (9, "manager", "published", 0),
    )
    assert trace.lanes() == {
        "a": [(0, 1, "healthy"), (1, 3, "stalled"), (3, 4, "evicted")],
    }


def test_a_zombie_is_evicted_to_the_end_of_its_lane() -> None:
    trace = trace_of((0, "a", "joined"), (1, "a", "evicted"), (5, "b", "joined"))
    assert trace.lanes()["a"] == [(0, 1, "healthy"), (1, 5, "evicted")]
    assert trace.lanes(until=8)["a"][-1] == (1, 8, "evicted")


def test_a_client_lags_while_a_send_to_it_waits() -> None:
    trace = trace_of(
        (0, "a", "joined"), (1, "a", "blocked"), (3, "a", "unblocked"), (4, "a", "received", 1)
    )
    assert [span.state for span in trace.lanes()["a"]] == ["healthy", "lagging", "healthy"]


def test_a_watched_client_records_what_it_does_and_meets() -> None:
    async def main() -> list[tuple[float, str, object]]:
        trace = Trace()
        client = FakeClient(wire=Wire(high_water_bytes=10, low_water_bytes=5))
        trace.watch(client, name="a")
        await client.send_text("hello")
        await asyncio.sleep(1)
        client.stall()
        await client.send_text("0123456789")
        send = asyncio.create_task(client.send_text("more"))
        await asyncio.sleep(1)
        client.resume()
        await send
        await client.close(1001)
        return [(entry.time, entry.what, entry.value) for entry in trace.of("a")]

    assert simulate(main) == [
        (0.0, "received", 5),
        (1.0, "stalled", None),
        (1.0, "blocked", None),
        (2.0, "resumed", None),
        (2.0, "received", 10),
        (2.0, "unblocked", None),
        (2.0, "received", 4),
        (2.0, "close_called", 1001),
        (2.0, "ended", 1001),
    ]


def test_what_is_recorded_of_a_message_can_be_chosen() -> None:
    async def main() -> object:
        trace = Trace()
        client = HealthyClient()
        trace.watch(client, value=lambda text: json.loads(text)["sequence"])
        await client.send_text('{"sequence": 41}')
        return trace[-1].value

    assert simulate(main) == 41


def test_a_client_is_watched_by_one_trace() -> None:
    async def main() -> None:
        client = HealthyClient()
        Trace().watch(client)
        with pytest.raises(SimulatorError, match="watched already"):
            Trace().watch(client)

    simulate(main)


def test_something_without_an_observer_cannot_be_watched() -> None:
    with pytest.raises(SimulatorError, match="no 'observer'"):
        Trace().watch(object())


async def watched_run() -> Trace:
    trace = Trace()
    trace.watch_schedule(asyncio.get_running_loop())
    manager = WebSocketManager(send_timeout=0.5)
    trace.watch_manager(manager)
    clients = [HealthyClient(), StalledClient(abortable=True), HealthyClient()]
    for client in clients:
        trace.watch(client)
        await manager.add_client(client)
    await asyncio.gather(*(manager.broadcast(said(number)) for number in range(3)))
    await manager.remove_client(clients[0])
    await asyncio.sleep(5)
    return trace


def test_a_watched_manager_records_what_it_publishes_and_whom_it_drops() -> None:
    trace = simulate(watched_run)
    assert [entry.value for entry in trace.of("manager")] == [0, 1, 2]
    assert [(entry.time, entry.what, entry.value) for entry in trace.of("stalled-1")] == [
        (0.0, "stalled", None),
        (0.0, "joined", None),
        (0.0, "blocked", None),
        (0.5, "unblocked", None),
        (0.5, "evicted", "send_timeout"),
        (0.5, "close_called", 1013),
        (0.5, "blocked", None),
        (1.5, "unblocked", None),
        (1.5, "ended", 1006),
    ]
    assert trace.count("left") == 1


def test_the_same_seed_gives_the_same_digest_and_another_does_not() -> None:
    digests = [
        simulate(watched_run, seed=seed, interleaving="random").digest() for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_watched_schedule_records_its_seed_and_its_permutations() -> None:
    trace = simulate(watched_run, seed=5, interleaving="random")
    assert trace.of("schedule")[0].value == 5
    assert trace.count("permuted") > 0


def test_any_manager_that_broadcasts_can_be_watched() -> None:
    class Pool:
        def __init__(self) -> None:
            self.sockets: list[FakeClient] = []

        async def connect(self, websocket: FakeClient) -> None:
            self.sockets.append(websocket)

        def disconnect(self, websocket: FakeClient) -> None:
            self.sockets.remove(websocket)

        async def broadcast(self, message: str) -> None:
            for socket in self.sockets:
                await socket.send_text(message)

    async def main() -> list[tuple[str, str]]:
        trace, pool, client = Trace(), Pool(), FakeClient(Behaviour.healthy(), name="a")
        trace.watch_manager(pool)
        await pool.connect(client)
        await pool.broadcast("x")
        pool.disconnect(client)
        return [(entry.who, entry.what) for entry in trace]

    assert simulate(main) == [("a", "joined"), ("manager", "published"), ("a", "left")]


@pytest.mark.parametrize("manager", [object(), SimLoop])
def test_what_publishes_nothing_cannot_be_watched(manager: Any) -> None:
    with pytest.raises(SimulatorError, match="none of broadcast, publish"):
        Trace().watch_manager(manager)
