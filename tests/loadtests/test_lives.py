import http
import socket
import sys
import threading
from typing import Any

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.sockets


def test_a_flapping_member_comes_back_under_its_name_and_is_served(
    bench: Any, patience: float
) -> None:
    paths: list[str] = []

    def handler(connection: ServerConnection) -> None:
        number = len(paths)
        paths.append(connection.request.path if connection.request else "")
        connection.send(bench.event(number * 10))
        connection.send(bench.event(number * 10 + 1))

    with bench.server(handler) as url, bench.engine(url) as running:
        bench.connected(running, "flapping", up=0.05, down=0.02, turns=0.05)
        client = bench.when(
            running, lambda one: len([r for r in one.returns if r.served_at]) >= 2, patience
        )
        news = running.take_news()
    assert set(paths) == {"/ws?client=flapping-1"}
    first = client.returns[0]
    assert first.dropped_at + 0.01 <= first.back_at <= first.served_at
    # What passed while it was away is not missing, and what it had before is not forgotten.
    assert client.gaps == 0
    assert client.received > 2
    assert len(news.returned) >= 2
    assert not news.ended


def test_a_flapping_member_that_is_refused_tries_again(bench: Any, patience: float) -> None:
    asked: list[Request] = []

    def refuse_the_second(connection: ServerConnection, request: Request) -> Response | None:
        asked.append(request)
        if len(asked) == 2:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "later\n")
        return None

    with (
        bench.server(bench.sending(), process_request=refuse_the_second) as url,
        bench.engine(url) as running,
    ):
        bench.connected(running, "flapping", up=60.0, down=0.01)
        client = bench.when(
            running, lambda one: bool(one.returns and one.returns[0].back_at), patience
        )
    assert client.refused == 1
    assert client.error is None


def test_a_flapping_member_may_leave_politely(bench: Any, patience: float) -> None:
    codes: list[int | None] = []

    def handler(connection: ServerConnection) -> None:
        for _ in connection:
            pass
        codes.append(connection.close_code)

    with bench.server(handler) as url, bench.engine(url) as running:
        bench.connected(running, "flapping", up=0.01, down=0.01, ends="close")
        bench.when(running, lambda one: len(one.returns) >= 2 and bool(codes), patience)
    assert codes[0] == 1000


def test_a_member_leaves_when_its_time_has_come(bench: Any, patience: float) -> None:
    with bench.server(bench.sending()) as url, bench.engine(url) as running:
        bench.connected(running, leaves=0.05)
        client = bench.when(running, lambda one: one.closed_at is not None, patience)
        assert not running.take_news().ended
    assert (client.released, client.closed_code) == (True, 1000)


def test_what_the_server_says_after_its_close_frame_is_counted(bench: Any, patience: float) -> None:
    def handler(connection: ServerConnection) -> None:
        connection.send(bench.event(0))
        close, more = b"\x88\x02\x03\xf5", b"\x81\x02hi"
        connection.socket.sendall(close + more + more)

    with bench.server(handler) as url, bench.engine(url) as running:
        bench.connected(running)
        client = bench.when(running, lambda one: one.after_close > 1, patience)
    assert (client.closed_code, client.after_close, client.received) == (1013, 2, 1)


def test_who_reads_badly_cannot_hide_behind_the_systems_own_buffer(bench: Any) -> None:
    room: dict[str, int] = {}
    with bench.server(bench.sending()) as url, bench.engine(url) as running:
        for kind in ("viewer", "stalled", "slow", "half_open", "pulsing"):
            sock = bench.connected(running, kind, turns=60.0).client.socket
            room[kind] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    asked = running.plan.scenario.receive_buffer_bytes
    # The kernel may double what it is asked for.
    assert max(room["stalled"], room["slow"], room["half_open"]) <= 2 * asked
    assert room["stalled"] < room["pulsing"] <= 16 * asked < room["viewer"]


def test_members_say_what_the_plan_says(bench: Any, patience: float) -> None:
    seen: list[Any] = []

    def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.headers["X-Team"])
        seen.append(connection.subprotocol)
        seen.append(connection.request.path)
        seen.append(connection.recv())
        seen.append(connection.recv())
        connection.send(bench.event(0))

    with (
        bench.server(handler, subprotocols=["feed.v2"]) as url,
        bench.engine(
            url,
            headers={"X-Team": "bench"},
            subprotocols=("feed.v1", "feed.v2"),
            messages=("subscribe", '{"to": "all"}'),
            tells_names=False,
        ) as running,
    ):
        bench.connected(running)
        bench.when(running, lambda one: one.received == 1, patience)
    assert seen == ["bench", "feed.v2", "/ws", "subscribe", '{"to": "all"}']


def test_a_flooder_counts_what_it_sent(bench: Any, patience: float) -> None:
    came = threading.Semaphore(0)

    def handler(connection: ServerConnection) -> None:
        for _ in connection:
            came.release()

    with bench.server(handler) as url, bench.engine(url) as running:
        bench.connected(running, "flooder", rate=1_000.0)
        assert all(came.acquire(timeout=patience) for _ in range(20))
        assert running.results().clients[0].sent >= 20


def test_who_falls_silent_answered_pings_before(bench: Any, patience: float) -> None:
    answered: list[bool] = []

    def handler(connection: ServerConnection) -> None:
        silent = connection.request is not None and "silent" in connection.request.headers
        answered.append(connection.ping().wait(0.2 if silent else patience))
        connection.send(bench.event(0))

    for headers, turns in (({}, 60.0), ({"silent": "yes"}, 0.0)):
        with bench.server(handler) as url, bench.engine(url, headers=headers) as running:
            bench.connected(running, "never_pongs", turns=turns)
            bench.when(running, lambda one: one.received == 1, patience)
    assert answered == [True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a socket be deaf")
def test_a_half_open_member_takes_nothing_until_it_looks_again(bench: Any, patience: float) -> None:
    turned = threading.Event()

    def handler(connection: ServerConnection) -> None:
        assert turned.wait(patience)
        connection.send(bench.event(0))

    with bench.server(handler) as url, bench.engine(url) as running:
        member = bench.connected(running, "half_open")
        assert member.client.unmet == {}
        turned.set()
        client = bench.when(running, lambda one: one.faulty_at is not None, patience)
        assert (client.received, client.looked_again) == (0, False)
        running.look_again(limit=0)
        client = bench.when(running, lambda one: one.received == 1, patience)
    # It has not seen an end, and its silence before proves nothing.
    assert not client.looked_again
