"""Whole runs against servers of other kinds: what they tell is judged, what not is said so."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flock_ws.cli import main

pytestmark = pytest.mark.sockets

SERVERS = Path(__file__).with_name("servers")
CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"
FLOCK = [sys.executable, "-m", "flock_ws"]
LIMIT = 90.0
SCENARIO = """\
name = "feed"
proves = "every viewer gets every tick"
rate = 100
size_bytes = 300
duration = 2
ramp = 0.2
baseline = 1
thresholds = ["healthy.latency.p99 < 5", "healthy.lost == 0"]

# What is asked here does not depend on how busy the machine is.
[limits]
generator_lag = 5
generator_cpu = 5

[[cohorts]]
name = "healthy"
user = "viewer"
count = 3
"""
ENTRY = [
    *("--header", "X-Api-Key: open-sesame", "--subprotocol", "feed.v2"),
    *("--message", '{"subscribe": "ticks"}'),
]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "feed.toml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(SERVERS / "feed.py"), str(CERTIFICATE)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


class Run:
    """One run of the command."""

    def __init__(self, *words: str, scenario: Path) -> None:
        output = scenario.with_name("run.json")
        output.unlink(missing_ok=True)
        command = [*FLOCK, "load", *words, "--scenario", str(scenario)]
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, "--output", str(output)],
            cwd=SERVERS,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        self.code, self.told = done.returncode, done.stderr
        self.text = output.read_text() if output.exists() else "{}"
        self.form: dict[str, Any] = json.loads(self.text)
        self.answers = {one["key"]: one for one in self.form.get("answers", [])}

    def verdict(self, key: str) -> str:
        return str(self.answers[key]["verdict"])


@pytest.fixture(scope="module")
def known(feed: str, scenario: Path) -> Run:
    paths = ["--sequence-path", "data.seq", "--time-path", "data.ts"]
    return Run(feed, *ENTRY, *paths, "--ca", str(CERTIFICATE), scenario=scenario)


def test_a_feed_over_tls_is_judged_by_its_own_numbers_and_times(known: Run) -> None:
    assert known.code == 0, known.form.get("line", known.told)
    clients = known.form["record"]["results"]["clients"]
    assert len(clients) == 3
    # 2 s at 100 a second, and what came before and after.
    assert all(client["received"] >= 180 for client in clients)
    assert known.verdict("healthy.complete") == "PASS"
    assert known.verdict("healthy.latency.p99 < 5") == "PASS"


def test_what_cannot_be_seen_from_outside_is_not_offered(known: Run) -> None:
    assert known.verdict("zombies") == "NOT OFFERED"
    assert known.verdict("publisher") == "NOT OFFERED"


def test_what_lets_one_in_is_not_written_down(known: Run) -> None:
    assert "open-sesame" not in known.text
    assert "X-Api-Key: ***" in known.form["record"]["command"]


@pytest.fixture(scope="module")
def unknown(scenario: Path) -> Run:
    return Run("--app", "chat:app", "--path", "/chat", scenario=scenario)


def test_of_events_without_number_and_time_nothing_is_claimed(unknown: Run) -> None:
    assert unknown.code == 0, unknown.form.get("line", unknown.told)
    assert unknown.verdict("healthy.lost == 0") == "NOT OFFERED"
    assert unknown.verdict("healthy.latency.p99 < 5") == "NOT OFFERED"
    assert unknown.verdict("healthy.complete") == "NOT OFFERED"


def test_an_application_of_somebody_elses_is_served_and_its_messages_counted(unknown: Run) -> None:
    clients = unknown.form["record"]["results"]["clients"]
    assert all(client["others"] > 20 for client in clients)
    assert unknown.form["record"]["server"]["started_here"]


def test_a_server_that_dies_in_the_middle_and_tells_nothing_is_a_failure_that_says_when(
    scenario: Path,
) -> None:
    output = scenario.with_name("death.json")
    with (
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(SERVERS / "feed.py")], stdout=subprocess.PIPE, text=True
        ) as server,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(server.kill)
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        words = ["load", url, *ENTRY, "--sequence-path", "data.seq", "--scenario", str(scenario)]
        run = stack.enter_context(
            subprocess.Popen(  # noqa: S603 - our own program
                [*FLOCK, *words, "--duration", "60", "--output", str(output)],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(run.kill)
        assert run.stdout is not None
        assert any("listening begins" in line for line in run.stdout)
        server.kill()
        run.communicate(timeout=LIMIT)
    assert run.returncode == 1
    line = json.loads(output.read_text())["line"]
    assert "FAIL: the server died" in line
    assert "into the run: nothing listens any more" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--app", "chat:app", "--path", "/nowhere"], "HTTP 403 Forbidden"),
        (["--app", "chat:nothing"], "has no attribute 'nothing'"),
        (["--app", "chat:app", "--path", "chat"], "--path begins with a slash"),
        (["--app", "chat:app", "--manager", "a:B"], "leave out --manager"),
        (["ws://h/ws", "--app", "chat:app"], "leave out the URL"),
        (["ws://h/ws", "--insecure"], "--insecure is for wss:// addresses"),
        (["wss://h/ws", "--ca", "missing.pem"], "missing.pem: No such file"),
        (["ws://h/ws", "--header", "nothing"], "expected 'Name: value'"),
    ],
)
def test_a_wrong_way_in_is_one_line_and_exit_code_2(
    words: list[str],
    message: str,
    scenario: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The application is looked for in the working directory.
    monkeypatch.chdir(SERVERS)
    output = ["--output", str(scenario.with_name("nothing.json"))]
    assert main(["load", *words, "--scenario", str(scenario), *output]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert not scenario.with_name("nothing.json").exists()
