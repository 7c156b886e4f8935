"""What stands in the way of a run: a clear line, and nothing left behind or lost."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flock_ws.cli import main
from tests.nursery import Child, Nursery

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

FLOCK = [sys.executable, "-m", "flock_ws"]
LIMIT = 90.0
LINES = 100
SCENARIO = """\
name = "viewers"
proves = "that a run comes through"
rate = 50
size_bytes = 300
duration = 1
ramp = 0.1
baseline = 0.5

[[cohorts]]
name = "healthy"
user = "viewer"
count = 4

[limits]
generator_lag = 5
generator_cpu = 5
publisher_late = 5
"""


@pytest.fixture(scope="module")
def viewers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a scenario that costs as little as one can."""
    (path := tmp_path_factory.mktemp("scenario") / "viewers.toml").write_text(SCENARIO)
    return str(path)


Start = Callable[..., contextlib.AbstractContextManager[Child]]


@pytest.fixture(scope="module")
def started(nursery: Nursery) -> Start:
    """Return what starts a run and lets it come to its publishing."""

    @contextlib.contextmanager
    def start(*words: str) -> Iterator[Child]:
        with nursery.start("flock_ws", "load", *words, "--duration", "60") as run:
            come_to(run, " begins")
            yield run

    return start


def come_to(run: Child, text: str) -> None:
    # A line that is empty is not yet the end.
    if any(text in run.line(timeout=LIMIT) for _ in range(LINES)):
        return
    raise AssertionError(f"{text!r} did not come in: {run.complaints}")


def children_of(parent: int) -> dict[int, str]:
    """Return the command lines of the children of a process, by their numbers."""
    found = {}
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in children.read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes()
            found[int(child)] = words.replace(b"\0", b" ").decode()
    return found


class all_end:  # noqa: N801 - reads as a statement
    """Checks that processes end, whoever is their parent then.

    Enter it while they live.
    """

    def __init__(self, *processes: int, within: float) -> None:
        self._processes, self._within = processes, within

    def __enter__(self) -> None:
        self._handles = {os.pidfd_open(process): process for process in self._processes}

    def __exit__(self, *_: object) -> None:
        try:
            for handle, process in self._handles.items():
                ended = select.select([handle], [], [], self._within)[0]
                assert ended, f"process {process} lived on"
        finally:
            for handle in self._handles:
                os.close(handle)


def limited(limit: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command under a limit of the shell."""
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", f'{limit}; exec "$@"', "sh", *FLOCK, "load", *words],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_too_few_descriptors_are_found_before_anything_is_started() -> None:
    done = limited("ulimit -n 150", "--output", "/dev/null")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "too few file descriptors: 70 sockets take about 198" in done.stderr


def test_a_full_disk_is_found_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--output", "/dev/full"]) == 2
    assert capsys.readouterr() == (
        "",
        "flock-ws: cannot write /dev/full: No space left on device; give another --output\n",
    )


def test_a_run_needs_no_disk_at_all(viewers: str) -> None:
    # No file may grow: every write of a byte to one fails, as on a full disk.
    done = limited("ulimit -f 0", "--scenario", viewers, "--output", "/dev/null")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout


def test_ctrl_c_ends_a_run_within_five_seconds_with_what_there_is(
    viewers: str, started: Start, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    with started("--scenario", viewers, "--output", str(output)) as run:
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=LIMIT) == 3
        assert time.monotonic() - began < 5
    assert "the run was interrupted" in json.loads(output.read_text())["line"]


def test_a_record_that_finds_no_place_at_the_end_is_kept_elsewhere(
    viewers: str, started: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    with started("--scenario", viewers, "--output", str(folder / "run.json")) as run:
        folder.rmdir()
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=LIMIT) == 2
        told = run.complaints.strip()
    kept = re.search(r"No such file or directory; the record is in (\S+)$", told)
    assert kept is not None, told
    try:
        assert "the run was interrupted" in Path(kept[1]).read_text()
    finally:
        Path(kept[1]).unlink()


def test_a_run_that_is_killed_leaves_no_server_and_no_generator_behind(
    viewers: str, started: Start, tmp_path: Path
) -> None:
    words = ["--scenario", viewers, "--output", str(tmp_path / "run.json")]
    with started("--workers", "1", *words) as run:
        children = children_of(run.pid)
        # The server, locust's master and its worker.
        assert len(children) == 3, children
        with all_end(*children, within=10):
            run.kill()


def test_the_second_ctrl_c_ends_everything_at_once(
    viewers: str, started: Start, tmp_path: Path
) -> None:
    words = ["--scenario", viewers, "--output", str(tmp_path / "run.json")]
    with started(*words) as run:
        children = children_of(run.pid)
        server = next(one for one, words in children.items() if " serve " in words)
        # A server that hangs, so that an orderly end takes its time.
        subprocess.run(["/bin/kill", "-STOP", str(server)], check=True)  # noqa: S603 - a number
        with all_end(*children, within=10):
            run.send_signal(signal.SIGINT)
            come_to(run, "interrupted")
            began = time.monotonic()
            run.send_signal(signal.SIGINT)
            assert run.wait(timeout=LIMIT) == 130
            # An orderly end waits 5 s for the server alone.
            assert time.monotonic() - began < 4.5
    assert not (tmp_path / "run.json").exists()


def test_a_worker_that_is_killed_ends_the_run_which_then_could_not_tell(
    viewers: str, started: Start, tmp_path: Path
) -> None:
    output = tmp_path / "run.json"
    with started("--scenario", viewers, "--workers", "2", "--output", str(output)) as run:
        workers = [one for one, words in children_of(run.pid).items() if "--worker" in words]
        os.kill(max(workers), signal.SIGKILL)
        assert run.wait(timeout=LIMIT) == 3
    form = json.loads(output.read_text())
    assert "worker 2 of 2: its process ended with signal 9" in form["line"]
    assert "s into the run" in form["line"]
    # What the other one saw is there.
    assert any(client["received"] for client in form["record"]["results"]["clients"])
