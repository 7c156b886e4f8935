import contextlib
import http.server
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.board import LIVE, REPORT_FILE, Board
from loadtests.errors import LoadTestError
from loadtests.live import Progress
from loadtests.web import rows

pytestmark = pytest.mark.sockets


def step(time: float) -> Progress:
    return Progress(
        time=time,
        clients=2,
        asked=2,
        published=1,
        received=2,
        evicted=0,
        p99=0.001,
        blocked=0.0,
        told={"cohorts": {"healthy": {"connected": 2}}},
    )


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with contextlib.closing(Board(tmp_path, port=0)) as board:
        yield board


def test_what_is_told_can_be_read_from_the_folder_at_any_time(board: Board, tmp_path: Path) -> None:
    assert json.loads((tmp_path / LIVE).read_text())["charts"] == []
    board.progress(step(1.0))
    told = json.loads((tmp_path / LIVE).read_text())
    assert told["over"] is None
    assert rows(told) == [
        {"cohort": "healthy", "connected": 2, "turned": 0, "ended": 0, "left": 0, "failed": 0}
    ]


def test_the_end_puts_up_the_report_before_it_says_so(board: Board, tmp_path: Path) -> None:
    board.progress(step(1.0))
    board.finish("PASS: all", html="<!doctype html>")
    assert (tmp_path / REPORT_FILE).read_text() == "<!doctype html>"
    assert json.loads((tmp_path / LIVE).read_text())["over"] == "PASS: all"


def test_it_listens_on_this_machine_alone(board: Board) -> None:
    assert board.words == ["--web-host", "127.0.0.1", "--web-port", str(board.port)]
    assert board.url == f"http://127.0.0.1:{board.port}"


@pytest.mark.skipif(sys.platform != "linux", reason="a port can be held for locust there alone")
def test_nobody_takes_its_port_before_locust_listens(board: Board) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", board.port))


def test_a_port_that_is_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LoadTestError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address"):
            Board(tmp_path, port=port)


def test_a_port_that_cannot_be_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"cannot listen on 127\.0\.0\.1:70000"):
        Board(tmp_path, port=70_000)


def test_stopping_asks_locust_in_the_name_of_the_run(board: Board) -> None:
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    assert not board.stop()
    with http.server.HTTPServer(("127.0.0.1", board.port), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert board.stop()
        thread.join()
    assert asked == ["/stop?by=run"]
