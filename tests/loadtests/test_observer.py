import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loadtests.catalogue import built_in
from loadtests.observer import Observer
from loadtests.plan import Plan
from loadtests.record import ServerRecord

pytestmark = pytest.mark.sockets
LOOP_AHEAD = 5_000.0


@contextmanager
def observed(answers: list[dict[str, Any]]) -> Iterator[tuple[Plan, Observer]]:
    """Watch a server that gives these answers, the last of them for ever."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"ws://127.0.0.1:{server.server_address[1]}/ws"
    plan = Plan(scenario=built_in("storm"), url=url, tag="tag")
    observer = Observer(plan, ServerRecord(url=url))
    observer.start()
    try:
        yield plan, observer
    finally:
        observer.stop()
        server.shutdown()
        server.server_close()
        thread.join()


def connection(name: str, *, in_pool: bool | None = True) -> dict[str, Any]:
    return {"name": name, "opened_at": 0.0, "in_pool": in_pool}


def until(condition: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_evictions_time_is_put_on_the_clock_of_the_run(patience: float) -> None:
    clock = time.time()
    eviction = {"number": 0, "client": "slow-1.tag", "reason": "send_timeout", "code": 1013}
    eviction |= {"at": LOOP_AHEAD - 2.0, "gone_at": LOOP_AHEAD - 1.0}
    eviction |= {"lag": {"messages": 5, "bytes": 1_500, "seconds": 0.5}, "error": None}
    answer = {"evictions": [eviction], "server": {"time": LOOP_AHEAD, "clock": clock}}
    with observed([answer]) as (plan, observer):
        until(lambda: bool(observer.record.evictions), patience)
    (seen,) = observer.record.evictions
    now = clock - plan.wall_offset - plan.origin
    assert seen.at == pytest.approx(now - 2.0, abs=1e-3)
    assert seen.gone_at == pytest.approx(now - 1.0, abs=1e-3)
    assert observer.dropped == {"slow": 1}
    assert (seen.lag_messages, seen.lag_bytes, seen.reason) == (5, 1_500, "send_timeout")


def test_clients_of_other_runs_are_none_of_ours(patience: float) -> None:
    others = [connection("slow-1.other"), connection("somebody")]
    with observed([{"connections": [*others, connection("slow-1.tag")]}]) as (_, observer):
        until(lambda: bool(observer.record.presences), patience)
    assert [presence.client for presence in observer.record.presences] == ["slow-1.tag"]
    assert observer.record.samples[-1].connections == 1


def test_who_leaves_the_pool_and_then_the_server_is_seen_twice(patience: float) -> None:
    answers: list[dict[str, Any]] = [
        {"connections": [connection("slow-1.tag")]},
        {"connections": [connection("slow-1.tag", in_pool=False)]},
        {"connections": []},
    ]
    with observed(answers) as (_, observer):
        until(
            lambda: any(p.gone_at is not None for p in observer.record.presences),
            patience,
        )
    (presence,) = observer.record.presences
    assert presence.out_of_pool_at is not None
    assert presence.gone_at is not None
    assert presence.seen_at < presence.out_of_pool_at < presence.gone_at
    assert observer.evicted == 1


def test_a_server_that_answers_nothing_is_refused_for_a_while(patience: float) -> None:
    plan = Plan(scenario=built_in("storm"), url="ws://127.0.0.1:9/ws")
    observer = Observer(plan, ServerRecord(url=plan.url))
    observer.start()
    try:
        until(lambda: observer.refused > 0.3, patience)
    finally:
        observer.stop()
    assert not observer.record.samples


def test_the_lag_of_the_client_furthest_behind_and_the_history_are_kept(patience: float) -> None:
    lags = [
        {"messages": 2, "bytes": 900, "seconds": 0.1},
        {"messages": 7, "bytes": 300, "seconds": 0.4},
    ]
    answer = {"per_client": [{"lag": lag} for lag in lags], "history": {"a": 3, "b": 4}}
    with observed([answer]) as (_, observer):
        until(lambda: observer.last is not None, patience)
    sample = observer.record.samples[0]
    assert (sample.lag_messages, sample.lag_bytes, sample.lag_seconds) == (7, 900, 0.4)
    assert sample.history == 7


def test_the_wait_for_a_core_is_asked_only_of_a_server_that_this_run_started(
    patience: float,
) -> None:
    answer = {"server": {"pid": os.getpid()}}
    with observed([answer]) as (_, observer):
        until(lambda: observer.last is not None, patience)
        assert observer.record.samples[0].waited is None
        observer.record.started_here = True
        seen = len(observer.record.samples)
        until(lambda: len(observer.record.samples) > seen + 1, patience)
    known = observer.record.samples[-1].waited is not None
    assert known == (sys.platform == "linux")


def test_the_last_look_is_taken_when_it_ends(patience: float) -> None:
    with observed([{"published": 1}]) as (_, observer):
        until(lambda: observer.last is not None, patience)
        seen = len(observer.record.samples)
        observer.stop()
        assert len(observer.record.samples) > seen
