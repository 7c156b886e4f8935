"""Whole runs, as a person starts them: real server, real locust, exit code and all."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sockets

MANAGERS = Path(__file__).with_name("managers")
# Twice the default rate fills the pipe in half the time.
SMALL = ["--rate", "200", "--healthy", "8", "--slow", "2", "--stalled", "2", "--dead", "2"]
FLOCK = [sys.executable, "-m", "flock_ws"]
LIMIT = 90.0


def load(*words: str, output: Path) -> tuple[int, str, str, dict[str, Any]]:
    done = subprocess.run(  # noqa: S603 - our own program
        [*FLOCK, "load", *words, "--output", str(output)],
        cwd=MANAGERS,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    form = json.loads(output.read_text()) if output.exists() else {}
    return done.returncode, done.stdout, done.stderr, form


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [*FLOCK, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} did not come in:\n{seen}")


def test_the_reference_passes_and_locust_counted_every_push(tmp_path: Path) -> None:
    code, shown, _, form = load(*SMALL, "--duration", "6", output=tmp_path / "run.json")
    assert code == 0, shown
    assert shown.splitlines()[-2].startswith("PASS: 12 questions")
    assert (form["format"], form["verdict"]) == ("flock-ws-run/1", "PASS")
    results = form["record"]["results"]
    entries = {entry["name"]: entry for entry in results["statistics"]}
    assert entries["connect"]["num_requests"] == 14
    healthy = [client for client in results["clients"] if client["cohort"] == "healthy"]
    received = sum(client["received"] for client in healthy)
    assert received == 8 * 1_200
    assert entries["push healthy"]["num_requests"] == received
    reasons = {
        one["client"].partition("-")[0]: one for one in form["record"]["server"]["evictions"]
    }
    assert reasons["stalled"]["reason"] == reasons["slow"]["reason"] == "send_timeout"


def test_a_manager_that_waits_for_all_fails_and_the_last_line_says_why(tmp_path: Path) -> None:
    manager = ["--manager", "waits_for_all:SequentialManager"]
    code, shown, _, form = load(*SMALL, *manager, "--duration", "6", output=tmp_path / "run.json")
    assert code == 1, shown
    first, second, third, *_ = form["reasons"]
    assert first == "stalled clients were never evicted"
    assert second == "slow clients were never evicted"
    assert third.startswith("the publisher was blocked for")
    assert "healthy clients missed up to" in form["line"]


def test_a_run_too_short_to_fill_the_pipe_is_inconclusive(tmp_path: Path) -> None:
    code, shown, _, form = load("--duration", "2", output=tmp_path / "run.json")
    assert code == 3, shown
    assert "after stalled clients stopped reading, and 6.0 s are needed" in form["line"]
    assert "try --duration" in form["line"]


def test_an_absent_server_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    code, shown, told, form = load("ws://127.0.0.1:9/ws", output=tmp_path / "run.json")
    assert (code, shown, form) == (2, "", {})
    assert told.count("\n") == 1
    assert "nothing listens at 127.0.0.1:9" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenario", "strom"], "no scenario 'strom' (there are: storm)"),
        (["--healthy", "0"], "healthy must be at least 1"),
        (["ws://h/ws", "--manager", "a:B"], "leave out the URL"),
        (["--no-publish"], "--no-publish needs the URL"),
        (["--manager", "nowhere:Manager"], "the server did not start: there is no module"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path
) -> None:
    code, _, told, _ = load(*words, output=tmp_path / "run.json")
    assert code == 2
    assert told.count("\n") == 1
    assert message in told


def test_an_output_that_cannot_be_written_is_found_before_the_run(tmp_path: Path) -> None:
    code, shown, told, _ = load(output=tmp_path / "missing" / "run.json")
    assert (code, shown) == (2, "")
    assert "there is no folder" in told


def test_a_server_that_dies_in_the_middle_fails_with_the_time(tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    with started("serve", "--port", "0") as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        words = ["load", url, *SMALL, "--duration", "60", "--output", str(output)]
        with started(*words) as run:
            read_until(run, "publishing begins")
            server.kill()
            read_until(run, "the server is gone")
            assert run.wait(timeout=LIMIT) == 1
    line = json.loads(output.read_text())["line"]
    assert "FAIL: the server died" in line
    assert "nothing listens any more" in line


def test_ctrl_c_ends_a_run_within_five_seconds_with_what_there_is(tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    with started("load", *SMALL, "--duration", "60", "--output", str(output)) as run:
        read_until(run, "publishing begins")
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=LIMIT) == 3
        assert time.monotonic() - began < 5
    assert "the run was interrupted" in json.loads(output.read_text())["line"]
