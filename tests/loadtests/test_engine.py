import socket
import time
from itertools import count
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from loadtests.catalogue import built_in
from loadtests.engine import Engine
from loadtests.errors import LoadTestError
from loadtests.merging import totals
from loadtests.plan import Plan

pytestmark = pytest.mark.sockets


def test_every_finding_of_a_stream_is_in_its_clients_record(bench: Any, patience: float) -> None:
    numbers = [0, 1, 3, 2, 2, 6]
    with (
        bench.server(bench.sending(*map(bench.event, numbers))) as url,
        bench.engine(url) as running,
    ):
        bench.connected(running)
        client = bench.when(running, lambda one: one.expected == 7, patience)
    assert (client.first, client.received) == (0, 5)
    assert (client.gaps, client.duplicates, client.disordered) == (2, 1, 1)


def test_latency_is_counted_by_the_second_in_which_an_event_was_due(
    bench: Any, patience: float
) -> None:
    with bench.server(bench.sending(bench.event(0))) as url, bench.engine(url) as running:
        bench.connected(running)
        bench.when(running, lambda one: one.received == 1, patience)
        results = running.results()
    ((_, histogram),) = results.series["viewer"].items()
    assert histogram.count == 1
    assert 0 <= histogram.maximum < patience
    assert results.spread.count == 1


def test_other_messages_are_told_apart(bench: Any, patience: float) -> None:
    others = ["no json", "[]", '{"type": "ping"}', bench.event(5, run_id="another"), bench.event(0)]
    with bench.server(bench.sending(*others)) as url, bench.engine(url) as running:
        bench.connected(running)
        client = bench.when(running, lambda one: one.received == 1, patience)
    assert (client.others, client.pings, client.gaps) == (3, 1, 0)


def test_who_only_listens_follows_each_run_by_itself(bench: Any, patience: float) -> None:
    messages = [bench.event(0, run_id="a"), bench.event(7, run_id="b"), bench.event(1, run_id="a")]
    with bench.server(bench.sending(*messages)) as url, bench.engine(url, run_id=None) as running:
        bench.connected(running)
        client = bench.when(running, lambda one: one.received == 3, patience)
    assert (client.gaps, client.disordered) == (0, 0)


def test_a_close_by_the_server_is_not_the_clients_own(bench: Any, patience: float) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.close(1013, "too slow")

    with bench.server(handler) as url, bench.engine(url) as running:
        member = bench.connected(running)
        client = bench.when(running, lambda one: one.closed_at is not None, patience)
        assert member.ended
    assert (client.closed_code, client.closed_reason, client.released) == (1013, "too slow", False)


def test_a_released_client_left_by_itself(bench: Any, patience: float) -> None:
    with bench.server(bench.sending()) as url, bench.engine(url) as running:
        member = bench.connected(running)
        running.release(member)
        client = bench.when(running, lambda one: one.closed_at is not None, patience)
        assert not member.ended
    assert client.released


def test_a_failed_connect_is_an_error_of_the_client_and_no_exception(bench: Any) -> None:
    with bench.engine("ws://127.0.0.1:9/ws") as running:
        member = bench.connected(running)
    assert member.error is not None
    assert "nothing listens" in member.error


def test_a_stalled_client_that_looks_again_finds_the_end_it_slept_through(
    bench: Any, patience: float
) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.send(bench.event(0))
        # Closing it alone says nothing while another thread reads from it (websockets before 17.3).
        connection.socket.shutdown(socket.SHUT_RDWR)
        connection.socket.close()

    with bench.server(handler) as url, bench.engine(url) as running:
        bench.connected(running, "stalled")
        assert running.results().clients[0].closed_at is None
        running.look_again(limit=patience)
        client = running.results().clients[0]
    assert client.looked_again
    assert client.closed_at is not None


def test_pushes_are_handed_over_once(bench: Any, patience: float) -> None:
    with (
        bench.server(bench.sending(bench.event(0), bench.event(1))) as url,
        bench.engine(url) as running,
    ):
        bench.connected(running)
        bench.when(running, lambda one: one.received == 2, patience)
        assert running.take_news().pushes["viewer"].latency.count == 2
        assert running.take_news().pushes["viewer"].latency.count == 0


def test_an_engine_that_was_stopped_says_so(bench: Any) -> None:
    with bench.engine("ws://127.0.0.1:9/ws") as running:
        pass
    with pytest.raises(LoadTestError, match="does not run: stopped"):
        running.results()


def test_the_generators_own_lag_is_measured_once_it_has_clients(
    bench: Any, patience: float
) -> None:
    with bench.server(bench.sending()) as url, bench.engine(url) as running:
        bench.connected(running)
        deadline = time.monotonic() + patience
        while not running.results().generator.lag.count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert running.results().generator.cpu > 0


def test_an_end_that_the_server_brought_about_is_news_once(bench: Any, patience: float) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.close(1013, "too slow")

    with bench.server(handler) as url, bench.engine(url) as running:
        member = bench.connected(running)
        bench.when(running, lambda one: one.closed_at is not None, patience)
        assert running.take_news().ended == [member]
        assert running.take_news().ended == []


def test_names_of_several_generators_do_not_collide() -> None:
    plans = [Plan(scenario=built_in("storm"), url="ws://x", share=(part, 2)) for part in (0, 1)]
    engines = [Engine(plan, start_thread=lambda _: None) for plan in plans]
    names = [one.new_name("healthy").partition(".")[0] for one in engines for _ in range(2)]
    assert names == ["healthy-1", "healthy-3", "healthy-2", "healthy-4"]


def test_progress_counts_each_cohort_by_state(bench: Any, patience: float) -> None:
    with bench.server(bench.sending(bench.event(0))) as url, bench.engine(url) as running:
        bench.connected(running)
        bench.connected(running, "dead", turns=0.05)
        deadline = time.monotonic() + patience
        while not running.progress()["cohorts"]["dead"]["left"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        told = running.progress()
    assert told["cohorts"]["viewer"]["connected"] == 1
    assert told["cohorts"]["viewer"]["turned"] == 0
    assert told["cohorts"]["dead"]["connected"] == 0
    assert told["cohorts"]["dead"]["turned"] == 1
    assert told["expected"] == 1


def test_all_news_together_are_what_the_results_hold_while_events_still_come(
    bench: Any, patience: float
) -> None:
    def forever(connection: ServerConnection) -> None:
        for number in count():
            connection.send(bench.event(number))

    with bench.server(forever) as url, bench.engine(url) as running:
        bench.connected(running)
        bench.when(running, lambda client: client.received > 100, patience)
        news = [running.take_news()]
        last, results = running.conclude()
        told = sum(one.pushes["viewer"].latency.count for one in (*news, last))
        kept = totals(results)
        assert kept == {"viewer": told}
        bench.when(running, lambda client: client.received > told + 100, patience)
        assert totals(results) == kept, "what came later got into it"
