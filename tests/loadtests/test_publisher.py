import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loadtests.catalogue import built_in
from loadtests.plan import Plan
from loadtests.publisher import Publisher

pytestmark = pytest.mark.sockets


@contextmanager
def service(answer: Callable[[list[Any]], int]) -> Iterator[str]:
    """Take publications; `answer` sees each and returns the status."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer(json.loads(body)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.server_address[1]}/ws"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def publisher(url: str, *, rate: float = 200.0, duration: float = 1.0) -> tuple[Publisher, Plan]:
    scenario = built_in("storm").changed(rate=rate, duration=duration)
    plan = Plan(scenario=scenario, url=url, run_id="the-run")
    return Publisher(plan, starts_at=time.monotonic()), plan


def until(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_everything_due_arrives_once_in_order_with_the_time_at_which_it_was_due(
    patience: float,
) -> None:
    got: list[Any] = []

    def take(events: list[Any]) -> int:
        got.extend(events)
        return 202

    with service(take) as url:
        steady, plan = publisher(url)
        steady.start()
        until(lambda: steady.done, patience)
        record = steady.stop()
    assert [one["event"]["sequence"] for one in got] == list(range(200))
    assert {one["event"]["run_id"] for one in got} == {"the-run"}
    assert (record.due, record.sent, record.accepted, record.refusals) == (200, 200, 200, {})
    stamps = [datetime.fromisoformat(one["event"]["timestamp"]).timestamp() for one in got]
    start = record.started_at + plan.origin + plan.wall_offset
    assert stamps == pytest.approx([start + number / 200 for number in range(200)], abs=1e-4)


def test_what_piled_up_behind_a_slow_answer_goes_in_one_request(patience: float) -> None:
    sizes: list[int] = []

    def take(events: list[Any]) -> int:
        sizes.append(len(events))
        if len(sizes) == 1:
            time.sleep(0.6)
        return 202

    with service(take) as url:
        steady, _ = publisher(url)
        steady.start()
        until(lambda: steady.done, patience)
        record = steady.stop()
    assert sizes[1] > 80
    assert sum(sizes) == 200
    assert [block.returned for block in record.blocks] == [True]


def test_a_publication_that_never_returns_is_given_up_at_the_end(patience: float) -> None:
    released = threading.Event()

    def hang(_: list[Any]) -> int:
        released.wait(patience)
        return 202

    with service(hang) as url:
        steady, _ = publisher(url)
        steady.start()
        until(lambda: steady.blocked > 0.6, patience)
        record = steady.stop()
        released.set()
    assert not record.blocks[-1].returned
    assert record.longest > 0.5
    assert record.accepted == 0
    assert record.due > 100


def test_refusals_are_counted_by_what_was_answered_and_not_sent_again(patience: float) -> None:
    answers: list[int] = []

    def refuse_first(_: list[Any]) -> int:
        answers.append(500 if not answers else 202)
        return answers[-1]

    with service(refuse_first) as url:
        steady, _ = publisher(url)
        steady.start()
        until(lambda: steady.done, patience)
        record = steady.stop()
    ((text, refused),) = record.refusals.items()
    assert text.startswith("500")
    assert record.accepted == record.due - refused


def test_a_server_that_is_gone_is_a_refusal_and_no_exception(patience: float) -> None:
    steady, _ = publisher("ws://127.0.0.1:9/ws")
    steady.start()
    until(lambda: steady.done, patience)
    assert any("ConnectionRefusedError" in text for text in steady.stop().refusals)
