"""A run in locust's web UI, as a person has it: started, watched and ended over HTTP."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sockets

SCENARIO = """\
name = "watched"
proves = "that a run is seen while it lasts"
rate = 50
size_bytes = 300
duration = 60
ramp = 0.1
baseline = 10

[[cohorts]]
name = "healthy"
user = "viewer"
count = 4

[limits]
# A busy machine would be the first reason not to tell.
generator_lag = 5
generator_cpu = 5
publisher_late = 5
"""
LIMIT = 60.0


class Watched:
    """The process and the pages of a run.

    Attributes:
        lines: what it has written so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def until(self, text: str) -> str:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            over = not self._reader.is_alive()
            for line in list(self.lines):
                if text in line:
                    return line
            if over:
                break
            time.sleep(0.05)
        raise AssertionError(f"{text!r} did not come in:\n{''.join(self.lines)}")

    @property
    def url(self) -> str:
        return self.until("web: start it at").split()[4].rstrip(",")

    def ask(self, path: str, body: bytes | None = None) -> str:
        # Locust listens a moment after the address is known.
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                with urllib.request.urlopen(self.url + path, body, timeout=10) as answer:  # noqa: S310 - on this machine
                    text: str = answer.read().decode()
                    return text
            except urllib.error.HTTPError as error:
                error.close()
                return f"{error.code}"
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def live(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.ask("/flock/live.json"))
        return told


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A run that waits to be started in the UI."""
    (scenario := tmp_path / "watched.toml").write_text(SCENARIO)
    files = {"output": "run.json", "html": "run.html", "junit": "run.xml", "markdown": "run.md"}
    options = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    command = [sys.executable, "-m", "flock_ws", "load", "--web", "--scenario"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*command, str(scenario), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Watched(process)
        finally:
            if process.poll() is None:
                process.kill()


def test_a_run_is_started_watched_and_ended_in_the_web_ui(watched: Watched, tmp_path: Path) -> None:
    assert watched.live()["charts"] == []
    assert watched.ask("/flock/report") == "404"
    assert "charts of this load test" in watched.ask("/")

    assert json.loads(watched.ask("/swarm", b"user_count=4&spawn_rate=100"))["success"]
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        told = watched.live()
        charts = {chart["name"]: chart for chart in told["charts"]}
        if any(charts.get("latency", {"times": []})["times"]):
            break
        time.sleep(0.2)
    assert {"latency", "rates", "clients", "lag", "memory"} <= charts.keys()
    table = json.loads(watched.ask("/stats/requests"))["extended_stats"][0]["data"]
    assert {row["cohort"]: row["connected"] for row in table}["healthy"] == 4
    page = watched.ask("/flock")
    assert 'data-chart="latency"' in page
    assert "/flock/live.json" in page

    assert json.loads(watched.ask("/stop", b""))["message"] == "the run comes to its end"
    watched.until("until Ctrl-C")
    shown = "".join(watched.lines)
    assert "INCONCLUSIVE: the run was interrupted" in shown, shown
    assert "missed up to" not in shown
    assert watched.live()["over"].startswith("INCONCLUSIVE: the run was interrupted")
    assert "<h1>Load test watched: INCONCLUSIVE</h1>" in watched.ask("/flock/report")
    assert not json.loads(watched.ask("/swarm", b"user_count=1&spawn_rate=1"))["success"]

    assert "INCONCLUSIVE" in (tmp_path / "run.html").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("run.json", "run.html", "run.xml", "run.md", "watched.toml")
    }

    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(timeout=LIMIT) == 3
