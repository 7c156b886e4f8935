"""``flock-ws check`` as it is typed."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flock_ws.cli import main
from simulators.contract.__main__ import main as run_package

GOOD = "flock_ws:WebSocketManager"
TUTORIAL = """
class ConnectionManager:
    def __init__(self):
        self.active_connections = []

    async def connect(self, websocket):
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket):
        self.active_connections.remove(websocket)

    async def broadcast(self, message: str):
        for connection in self.active_connections:
            await connection.send_text(message)


from starlette.applications import Starlette
from starlette.routing import WebSocketRoute


async def chat(websocket):
    await websocket.accept()
    chatting.append(websocket)
    while (message := await websocket.receive())["type"] == "websocket.receive":
        for other in chatting:
            await other.send_text(message["text"])
    chatting.remove(websocket)


chatting = []
site = Starlette(routes=[WebSocketRoute("/chat", chat)])


class Hub:
    def __init__(self):
        self.everybody = []

    async def enter(self, visitor):
        self.everybody.append(visitor)

    async def tell(self, what: str):
        for visitor in self.everybody:
            await visitor.send_text(what)


class Stubborn(ConnectionManager):
    async def broadcast(self, message: str):
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass


class Interrupted(ConnectionManager):
    made = 0

    def __init__(self):
        super().__init__()
        Interrupted.made += 1
        if Interrupted.made == 60:
            import signal

            signal.raise_signal(signal.SIGINT)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write an application in the working directory and return its module's name."""
    name = f"checked_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(TUTORIAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return name


def test_kept_promises_are_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", GOOD, "--select", "delivery.order"]) == 0
    assert "WebSocketManager" in capsys.readouterr().out


def test_a_broken_promise_is_exit_code_1_and_the_first_screen_says_what_to_mend(
    app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--select", "evict,delivery", "--no-sockets"]
    assert main(["check", f"{app}:ConnectionManager", *words]) == 1
    screen = capsys.readouterr().out.splitlines()[:40]
    assert "FAIL" in screen[0]
    assert any("Put every send under a deadline" in line for line in screen)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name a manager"),
        (["nowhere:Manager"], "there is no module 'nowhere'"),
        (["flock_ws:WebSocketManger"], "did you mean 'WebSocketManager'"),
        (["flock_ws"], "expected MODULE:NAME"),
        (["flock_ws/app.py:App"], "give the module, as an import has it, flock_ws.app:App"),
        (["127.0.0.1:8000/ws"], "a running server is ws://127.0.0.1:8000/ws"),
        (["http://127.0.0.1/ws"], "ws://HOST:PORT/PATH"),
        ([GOOD, "--select", ""], "the selection is empty"),
        ([GOOD, "--select", "nothing"], "no check is meant by 'nothing'"),
        ([GOOD, "--expect", "delivery.order"], "give the reason as well"),
        ([GOOD, "--config", "not-there.toml"], "not-there.toml cannot be read"),
        ([GOOD, "--seeds", "0"], "seeds must be at least 1"),
        (["ws://127.0.0.1:9/ws", "--say", "{message}"], "nothing listens at 127.0.0.1:9"),
        (["ws://127.0.0.1:9/ws", "--say", "hello"], "put {message} where the text goes"),
        (["flock_ws.app:create_app()", "--publish", "x"], "is no request"),
        ([GOOD, "--say", "{message}"], "is a manager: --say means nothing for it"),
        (["flock_ws.app:create_app()", "--join", "a"], "is an application: --join means nothing"),
        (["ws://127.0.0.1:9/ws", "--path", "/ws"], "is a server: --path means nothing for it"),
        ([GOOD, "--protocol", "nothing:Here", "--select", "sockets"], "--protocol nothing:Here"),
        ([GOOD, "--select", "delivery.unicode", "--json", "no/such/folder/x"], "--json"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "ended the program: SystemExit(3)"),
        ("1 / 0", ".py, line 1)"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_exit_code_2_and_one_line(
    text: str, complaint: str, app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(f"broken_{app}.py").write_text(text)
    assert main(["check", f"broken_{app}:Manager"]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_an_unknown_option_is_named_below_one_line_of_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", GOOD, "--bogus"])
    assert ended.value.code == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage == "usage: flock-ws check [options] MODULE:NAME ..."
    assert "--bogus" in error


def test_ctrl_c_shows_what_was_found_so_far(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{app}:Interrupted", "--no-sockets"]) == 130
    screen, error = capsys.readouterr()
    assert re.search(r"as far as it was asked: \d+ checks did not run", " ".join(screen.split()))
    assert re.search(rf"interrupted after \d+ of 77 checks on {app}:Interrupted\n", error)


def test_what_is_not_understood_asks_for_the_words_to_type(
    app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    select = ["--select", "delivery.text_frames"]
    assert main(["check", f"{app}:Hub", *select]) == 2
    assert "--join 'enter(websocket)'" in capsys.readouterr().err
    words = ["--join", "enter(websocket)", "--broadcast", "tell(message)"]
    assert main(["check", f"{app}:Hub", *select, *words]) == 0


def test_an_application_is_told_from_a_manager_by_what_it_is(
    app: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{app}:site", "--select", "delivery.reaches_everyone,delivery.send_deadline"]
    assert main(["check", *words, "-v"]) == 1
    screen = capsys.readouterr().out
    assert "clients connect to: /chat" in screen
    assert f"flock-ws check {app}:site --select delivery.send_deadline --seed 0" in screen


def test_what_makes_an_application_is_repeated_as_it_must_be_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--app", "flock_ws.app:create_app", "--select", "delivery.text_frames"]
    assert main(["check", *words]) == 0
    assert "flock-ws check 'flock_ws.app:create_app()'" in capsys.readouterr().out


@pytest.mark.sockets
def test_the_checks_on_sockets_run_unless_they_are_declined(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", GOOD, "--select", "D57"]) == 0
    assert "5 checks" in capsys.readouterr().out
    assert main(["check", GOOD, "--select", "D57", "--no-sockets"]) == 0
    assert "3 checks" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.sockets
def test_a_terminal_shows_how_far_it_is_on_sockets_too_and_is_left_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    chosen = "delivery.text_frames,sockets.shutdown_code,sockets.shutdown_loses_nothing"
    assert main(["check", GOOD, "--select", chosen]) == 0
    shown = screen.getvalue().split("\r\x1b[K")
    assert shown[:3] == [
        "",
        f"{GOOD}: finding out how it is used",
        f"{GOOD}: 1 of 3, delivery.text_frames",
    ]
    assert shown[3].startswith(f"{GOOD}: 2 of 3, sockets.shutdown_")
    assert shown[4:] == [""]


def test_an_error_stands_in_the_place_of_how_far_it_is(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["check", f"{app}:Hub", "--select", "delivery.text_frames"]) == 2
    assert isinstance(sys.stderr, Terminal)
    before, error = sys.stderr.getvalue().rsplit("\r\x1b[K", 1)
    assert before.endswith("finding out how it is used")
    assert error.startswith("flock-ws: ")


def test_a_file_says_the_same(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("flock-check.toml").write_text(
        'join = "enter"\nbroadcast = "tell"\nselect = "delivery.send_deadline,delivery.unicode"\n'
        '[expect]\n"delivery.send_deadline" = "no deadline yet"\n[profile]\nsend_timeout = 2.0\n'
    )
    assert main(["check", f"{app}:Hub", "--config", "flock-check.toml"]) == 0
    assert "no deadline yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense = 1", "unknown nonsense"),
        ("[profile]\nsend_timeouts = 1", "unknown send_timeouts"),
        ("join = 3", "join must be a text"),
        ("join = ", "is no TOML"),
        ("[profile]\nsend_timeout = -1", "send_timeout must be a number above 0"),
        ("[profile]\nslack = 'long'", "slack must be a number of seconds"),
        ("[profile]\nclose_codes = 1013", "close_codes must be a list of numbers"),
        ("[expect]\n'delivery.order' = ''", "delivery.order needs a reason"),
        ("[expect]\n'delivery.order' = 3", "delivery.order needs a reason"),
    ],
)
def test_a_file_that_says_what_nobody_knows_is_named(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "check.toml"
    path.write_text(text)
    assert main(["check", GOOD, "--config", str(path)]) == 2
    assert complaint in capsys.readouterr().err


def test_reports_are_written(tmp_path: Path) -> None:
    names = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "html")}
    words = [word for kind, path in names.items() for word in (f"--{kind}", str(path))]
    assert main(["check", GOOD, GOOD, "--select", "delivery.order", *words]) == 0
    assert len(json.loads(names["json"].read_text())["reports"]) == 2
    assert "<testsuite" in names["junit"].read_text()
    assert "<svg" in names["html"].read_text() or "<table" in names["html"].read_text()


def test_a_file_says_how_an_application_is_used(app: str) -> None:
    Path("flock-check.toml").write_text('path = "/chat"\nsay = "hey {message}"\n')
    words = ["--config", "flock-check.toml", "--select", "delivery.text_frames"]
    assert main(["check", f"{app}:site", *words]) == 0


def test_the_checks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--list", "--select", "D34"]) == 0
    listed = capsys.readouterr().out
    assert "heartbeat.survives_the_last_client  MUST    D34 D36" in listed


def test_the_package_runs_as_the_command_and_teaches_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulators.contract", "--help"])
    with pytest.raises(SystemExit):
        run_package()
    assert "examples:\n  flock-ws check myapp.ws:ConnectionManager" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["simulators.contract", GOOD, "--select", "delivery.order"])
    assert run_package() == 0
    assert f"PASS  {GOOD}" in capsys.readouterr().out


# A process that ends itself takes one of its own, and patience is shortened in there.
IMPATIENT = """
import dataclasses
import sys
from flock_ws.cli import main
from simulators.contract import CHECKS, examination, watchdog

watchdog._AGAIN = 0.005
examination._DETECTION = 0.2
check = CHECKS["delivery.text_frames"]
CHECKS[check.id] = dataclasses.replace(check, limit=0.2)
sys.exit(main(["check", sys.argv[1], "--select", check.id]))
"""


def test_code_that_cannot_be_stopped_is_reported_and_the_command_ends(app: str) -> None:
    done = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", IMPATIENT, f"{app}:Stubborn"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "computes without end" in done.stdout
