import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from loadtests.engine import Engine
from loadtests.errors import LoadTestError
from loadtests.plan import Plan
from loadtests.record import ClientRecord
from loadtests.scenario import SCENARIOS
from simulators.behaviours import Behaviour

pytestmark = pytest.mark.sockets
RUN = "the-run"


def event(sequence: int, *, run_id: str = RUN) -> str:
    stamp = datetime.now(UTC).isoformat()
    return json.dumps({"run_id": run_id, "sequence": sequence, "timestamp": stamp})


@contextmanager
def server(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Serve every connection with `handler`, then keep it open until the client leaves."""

    def serve_one(connection: ServerConnection) -> None:
        handler(connection)
        with contextlib.suppress(ConnectionClosed):
            connection.recv()

    with serve(serve_one, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/ws"
        finally:
            listening.shutdown()
            thread.join()


@contextmanager
def engine(url: str, *, run_id: str | None = RUN) -> Iterator[Engine]:
    plan = Plan(scenario=SCENARIOS["storm"], url=url, run_id=run_id)

    def start_thread(function: Callable[[], None]) -> None:
        threading.Thread(target=function).start()

    running = Engine(plan, start_thread=start_thread)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def when(running: Engine, seen: Callable[[ClientRecord], bool], patience: float) -> ClientRecord:
    """Return the record of the only client once it satisfies `seen`."""
    deadline = time.monotonic() + patience
    while not seen(client := running.results().clients[0]):
        assert time.monotonic() < deadline, client
        time.sleep(0.01)
    return client


def sending(*messages: str) -> Callable[[ServerConnection], None]:
    def handler(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)

    return handler


def test_every_finding_of_a_stream_is_in_its_clients_record(patience: float) -> None:
    numbers = [0, 1, 3, 2, 2, 6]
    with server(sending(*map(event, numbers))) as url, engine(url) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        client = when(running, lambda one: one.expected == 7, patience)
    assert (client.first, client.received) == (0, 5)
    assert (client.gaps, client.duplicates, client.disordered) == (2, 1, 1)


def test_latency_is_counted_by_the_second_in_which_an_event_was_due(patience: float) -> None:
    with server(sending(event(0))) as url, engine(url) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        when(running, lambda one: one.received == 1, patience)
        results = running.results()
    ((_, histogram),) = results.series["healthy"].items()
    assert histogram.count == 1
    assert 0 <= histogram.maximum < patience
    assert results.spread.count == 1


def test_other_messages_are_told_apart(patience: float) -> None:
    others = ["no json", "[]", '{"type": "ping"}', event(5, run_id="another"), event(0)]
    with server(sending(*others)) as url, engine(url) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        client = when(running, lambda one: one.received == 1, patience)
    assert (client.others, client.gaps) == (4, 0)


def test_who_only_listens_follows_each_run_by_itself(patience: float) -> None:
    messages = [event(0, run_id="a"), event(7, run_id="b"), event(1, run_id="a")]
    with server(sending(*messages)) as url, engine(url, run_id=None) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        client = when(running, lambda one: one.received == 3, patience)
    assert (client.gaps, client.disordered) == (0, 0)


def test_a_close_by_the_server_is_not_the_clients_own(patience: float) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.close(1013, "too slow")

    with server(handler) as url, engine(url) as running:
        member = running.connect("healthy-1", "healthy", Behaviour.healthy())
        client = when(running, lambda one: one.closed_at is not None, patience)
        assert member.ended
    assert (client.closed_code, client.closed_reason, client.released) == (1013, "too slow", False)


def test_a_released_client_left_by_itself(patience: float) -> None:
    with server(sending()) as url, engine(url) as running:
        member = running.connect("healthy-1", "healthy", Behaviour.healthy())
        running.release(member)
        client = when(running, lambda one: one.closed_at is not None, patience)
        assert not member.ended
    assert client.released


def test_a_failed_connect_is_an_error_of_the_client_and_no_exception() -> None:
    with engine("ws://127.0.0.1:9/ws") as running:
        member = running.connect("healthy-1", "healthy", Behaviour.healthy())
    assert member.error is not None
    assert "nothing listens" in member.error


def test_a_stalled_client_that_looks_again_finds_the_end_it_slept_through(patience: float) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.send(event(0))
        connection.socket.close()

    with server(handler) as url, engine(url) as running:
        running.connect("stalled-1", "stalled", Behaviour.stalled(after_seconds=0))
        assert running.results().clients[0].closed_at is None
        running.look_again(limit=patience)
        client = running.results().clients[0]
    assert client.looked_again
    assert client.closed_at is not None


def test_pushes_are_handed_over_once(patience: float) -> None:
    with server(sending(event(0), event(1))) as url, engine(url) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        when(running, lambda one: one.received == 2, patience)
        assert running.take_pushes()["healthy"].latency.count == 2
        assert running.take_pushes()["healthy"].latency.count == 0


def test_an_engine_that_was_stopped_says_so() -> None:
    with engine("ws://127.0.0.1:9/ws") as running:
        pass
    with pytest.raises(LoadTestError, match="does not run: stopped"):
        running.results()


def test_the_generators_own_lag_is_measured_once_it_has_clients(patience: float) -> None:
    with server(sending()) as url, engine(url) as running:
        running.connect("healthy-1", "healthy", Behaviour.healthy())
        deadline = time.monotonic() + patience
        while not running.results().generator.lag.count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert running.results().generator.cpu > 0
