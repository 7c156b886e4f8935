import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from flock_ws import server
from flock_ws.app import create_app
from flock_ws.cli import main
from flock_ws.doors import Doors
from flock_ws.server import ServeError, listening_socket
from tests.nursery import Child, Nursery

START_LIMIT = 20.0
TOKEN = "a-token-of-some-length"  # noqa: S105 - of no server

SEQUENTIAL = """
class Sequential:
    def __init__(self): self.clients = []
    async def add_client(self, websocket): self.clients.append(websocket)
    async def remove_client(self, websocket): self.clients.remove(websocket)
    async def broadcast(self, event):
        for websocket in list(self.clients):
            await websocket.send_text(event.model_dump_json())

class Stubborn(Sequential):
    async def shutdown(self):
        import asyncio
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
"""


class Serving:
    """A server in a process of its own, from its first line to its end."""

    def __init__(self, process: Child) -> None:
        self.process = process

    def __enter__(self) -> Self:
        line = self.process.line(timeout=START_LIMIT)
        assert line, f"the server did not start: {self.process.complaints}"
        self.told: dict[str, Any] = json.loads(line)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.told['port']}", timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.kill()

    @property
    def complaints(self) -> str:
        return self.process.complaints

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=START_LIMIT)

    def post(self, count: int, *, timeout: float = 10) -> None:
        body = [posted(number) for number in range(count)]
        self.http.post("/api/events", json=body, timeout=timeout).raise_for_status()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """A client that never reads, with all buffers on its way full."""
        with contextlib.closing(socket.socket()) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", self.told["port"]))
            raw.sendall(
                b"GET /ws?client=stalled HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            assert raw.recv(12) == b"HTTP/1.1 101"
            while not self.http.get("/api/stats").json()["clients"]:
                pass
            with contextlib.suppress(httpx.TimeoutException):  # a foreign manager waits for it
                self.post(1000, timeout=0.2)
            yield


def posted(number: int) -> dict[str, Any]:
    event = {
        "correlation_id": "c",
        "agent_name": "writer",
        "run_id": "r",
        "output_type": "log",
        "content": "." * 300,
        "sequence": number,
    }
    return {"kind": "StreamingOutputEvent", "event": event}


Serve = Callable[..., Serving]


@pytest.fixture(scope="module")
def serve(nursery: Nursery) -> Serve:
    def start(*options: str, cwd: Path | None = None) -> Serving:
        return Serving(nursery.start("flock_ws", "serve", "--port", "0", *options, cwd=cwd))

    return start


@pytest.fixture(scope="module")
def serving(serve: Serve) -> Iterator[Serving]:
    with serve("--events", "100") as serving:
        yield serving


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    (tmp_path / "theirs.py").write_text(SEQUENTIAL)
    return tmp_path


# Serving


@pytest.mark.sockets
def test_the_first_line_tells_the_address(serving: Serving) -> None:
    port = serving.told["port"]
    assert serving.told == {
        "event": "listening",
        "host": "127.0.0.1",
        "port": port,
        "url": f"ws://127.0.0.1:{port}/ws",
        "pid": serving.process.pid,
        "manager": "flock_ws.manager:WebSocketManager",
        "protocol": "flock",
    }


@pytest.mark.sockets
def test_it_answers_as_soon_as_the_line_is_out(serving: Serving) -> None:
    assert serving.http.get("/healthz").json() == {"status": "ok"}


@pytest.mark.sockets
def test_a_posted_event_reaches_a_client(serving: Serving) -> None:
    with connect(serving.told["url"]) as client:
        serving.post(1)
        while json.loads(client.recv(timeout=10))["agent_name"] != "writer":
            pass


@pytest.mark.sockets
def test_synthetic_events_come_with_a_running_sequence(serving: Serving) -> None:
    with connect(serving.told["url"]) as client:
        events = [json.loads(client.recv(timeout=10)) for _ in range(10)]
    numbers = [event["sequence"] for event in events if event["agent_name"] == "synthetic"]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.sockets
def test_compression_is_not_negotiated(serving: Serving) -> None:
    with connect(serving.told["url"], compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


@pytest.mark.sockets
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an option may not be inherited")
def test_accepted_connections_inherit_the_tuned_options() -> None:
    with (
        contextlib.closing(listening_socket("127.0.0.1", 0)) as listener,
        contextlib.closing(socket.create_connection(listener.getsockname())),
        contextlib.closing(listener.accept()[0]) as accepted,
    ):
        # The kernel doubles the size it is given for its own bookkeeping.
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 16_384
        assert accepted.getsockopt(socket.IPPROTO_TCP, 25) == 16_384
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 4096
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.sockets
def test_an_option_that_the_manager_does_not_take_is_told(
    theirs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(theirs)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as taken:  # so it does not begin
        port = str(taken.getsockname()[1])
        main(["serve", "--port", port, "--manager", "theirs:Sequential", "--send-timeout", "1"])
    assert capsys.readouterr().err.splitlines()[0] == (
        "flock-ws: warning: theirs:Sequential takes no send_timeout: --send-timeout has no effect"
    )


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("doors", "warning"),
    [
        (Doors(), "anybody there may read and publish: --read-token-file locks the door"),
        (Doors(publish_token=TOKEN), "anybody there may read: --read-token-file locks the door"),
        (Doors(read_token=TOKEN), None),
    ],
    ids=["open", "to readers", "locked"],
)
def test_an_address_beyond_this_machine_is_warned_of_in_one_line(
    doors: Doors, warning: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("0.0.0.0", 0))  # noqa: S104 - bound, and never listening
        assert server._address(bound)["url"].startswith("ws://127.0.0.1:")
        server._warn_if_exposed(bound, doors)
    told = f"0.0.0.0 can be reached from other machines, and {warning}\n"
    assert capsys.readouterr().err == (f"flock-ws: warning: {told}" if warning else "")


@pytest.mark.sockets
def test_the_warning_is_given_by_the_command_itself(serve: Serve) -> None:
    with serve("--host", "0.0.0.0") as serving:  # noqa: S104 - for a moment, and without events
        serving.stop()
    assert serving.complaints.startswith("flock-ws: warning: 0.0.0.0 can be reached from other")
    assert serving.complaints.count("\n") == 1


@pytest.mark.sockets
@pytest.mark.parametrize("protocol", ["auto", "plain"])
def test_a_token_opens_the_door_and_is_in_no_log_at_any_level(
    protocol: str, tmp_path: Path, serve: Serve
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    options = ("--read-token-file", str(file), "--protocol", protocol, "--log-level", "trace")
    key = {"Authorization": f"Bearer {TOKEN}"}
    with serve(*options) as serving:
        assert serving.http.get("/api/stats").status_code == 401
        assert serving.http.get("/api/stats", headers=key).status_code == 200
        with connect(serving.told["url"], additional_headers=key):
            pass
        serving.stop()
    assert "authorization: [not logged]" in serving.complaints
    assert TOKEN not in serving.complaints


# The end


@pytest.mark.sockets
@pytest.mark.parametrize(
    "options",
    [
        ("--loop", "auto"),
        ("--loop", "asyncio"),
        ("--protocol", "plain"),
        ("--protocol", "plain", "--manager", "theirs:Sequential", "--events", "100"),
    ],
    ids=["default", "asyncio", "plain", "plain, foreign"],
)
def test_sigterm_ends_it_in_time_with_a_client_that_never_reads(
    options: tuple[str, ...], theirs: Path, serve: Serve
) -> None:
    with serve(*options, cwd=theirs) as serving, serving.stalled():
        code = serving.stop()
    assert code == 0, f"not in time by its own clock: {serving.complaints}"


@pytest.mark.sockets
def test_a_manager_that_will_not_end_is_left_by_force(theirs: Path, serve: Serve) -> None:
    with serve("--manager", "theirs:Stubborn", cwd=theirs) as serving:
        code = serving.stop()
    assert code == 1
    assert "did not end in 2.5 s: leaving by force" in serving.complaints


@pytest.mark.sockets
def test_an_interpreter_of_its_own_serves_and_ends_at_sigterm() -> None:
    command = [sys.executable, "-m", "flock_ws", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["pid"] == process.pid
        process.terminate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def interrupted(serve: Serve) -> Iterator[tuple[Serving, ClientConnection]]:
    """A server after Ctrl-C, and who was connected to it."""
    with serve() as serving, connect(serving.told["url"]) as client:
        serving.stop(signal.SIGINT)
        yield serving, client


@pytest.mark.sockets
def test_ctrl_c_ends_it_with_130_and_in_silence(
    interrupted: tuple[Serving, ClientConnection],
) -> None:
    serving, _ = interrupted
    assert (serving.process.returncode, serving.complaints) == (130, "")


@pytest.mark.sockets
def test_a_client_that_reads_is_told_with_1012(
    interrupted: tuple[Serving, ClientConnection],
) -> None:
    _, client = interrupted
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=10)
    assert client.close_code == 1012


# What cannot begin


@pytest.mark.sockets
def test_a_port_in_use_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in complaint


def test_an_unknown_host_is_one_clear_line() -> None:
    with pytest.raises(ServeError, match=r"host 'not a host'"):
        listening_socket("not a host", 0)


def test_a_wrong_manager_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--manager", "flock_ws.manager:WebsocketManager"]) == 2
    assert capsys.readouterr().err == (
        "flock-ws: 'flock_ws.manager' has no 'WebsocketManager'; did you mean 'WebSocketManager'?\n"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--port", "65536"),
        ("--port", "http"),
        ("--events", "-1"),
        ("--events", "nan"),
        ("--heartbeat-interval", "0"),
        ("--pong-timeout", "inf"),
        ("--max-clients", "0"),
    ],
)
def test_a_nonsensical_number_is_refused_with_what_was_expected(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: expected a " in capsys.readouterr().err


def test_without_our_protocol_it_serves_plainly_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "flock_ws.uvicorn_protocol", None)
    assert server._flock_protocols(create_app(), Doors()) is None
    assert "serving without flock_ws.uvicorn_protocol" in capsys.readouterr().err
