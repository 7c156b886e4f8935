"""Processes that end with whoever started them."""

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.child import Child

LIMIT = 20.0
# What answers no signal that asks, and lets nobody else have a turn for long.
DEAF = """\
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    pass
"""
STARTER = """\
import queue, sys, threading
from loadtests.child import Child
lines = queue.Queue()
child = Child(sys.argv[1], on_line=lines.put)
lines.get()
print(child.pid, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root]))
    return tmp_path


@contextlib.contextmanager
def running(folder: Path, code: str) -> Iterator[tuple[Child, "queue.Queue[str]"]]:
    (folder / "the_module.py").write_text(code)
    lines: queue.Queue[str] = queue.Queue()
    child = Child("the_module", "a", "b c", on_line=lines.put)
    try:
        yield child, lines
    finally:
        child.kill()


def test_a_module_runs_as_the_main_one_with_its_arguments_and_nothing_to_read(
    folder: Path,
) -> None:
    code = "import sys, json; print(json.dumps([__name__, sys.argv[1:], sys.stdin.read()]))"
    with running(folder, code) as (child, lines):
        assert json.loads(lines.get(timeout=LIMIT)) == ["__main__", ["a", "b c"], ""]
        assert child.wait(LIMIT)
        assert child.death() == "its process ended with exit code 0"


def test_what_it_leaves_behind_is_collected_once_it_runs(folder: Path) -> None:
    with running(folder, "import gc; print(gc.isenabled())") as (_, lines):
        assert lines.get(timeout=LIMIT) == "True\n"


def test_its_last_words_are_kept(folder: Path) -> None:
    code = "import sys; print('early', file=sys.stderr); sys.exit('the end is near')"
    with running(folder, code) as (child, _):
        assert child.wait(LIMIT)
        assert child.death() == "its process ended with exit code 1: the end is near"


def test_it_lives_until_it_is_stopped(folder: Path) -> None:
    code = "import threading; print('ready', flush=True); threading.Event().wait()"
    with running(folder, code) as (child, lines):
        lines.get(timeout=LIMIT)
        assert child.death() is None
        child.stop()
        assert child.death() == f"its process ended with signal {signal.SIGTERM.value}"


def test_what_does_not_listen_is_stopped_by_force(folder: Path) -> None:
    with running(folder, DEAF) as (child, lines):
        lines.get(timeout=LIMIT)
        child.stop(within=0.1)
        assert child.death() == f"its process ended with signal {signal.SIGKILL.value}"


def test_it_ends_when_the_pipe_of_its_parent_ends(folder: Path) -> None:
    code = "import threading; print('ready', flush=True); threading.Event().wait()"
    (folder / "the_module.py").write_text(code)
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests.attached", "the_module"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=LIMIT) == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel kills it as well")
def test_it_ends_when_its_parent_is_killed_even_where_no_thread_gets_a_turn(folder: Path) -> None:
    (folder / "deaf.py").write_text(DEAF)
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", STARTER, "deaf"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        handle = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([handle], [], [], LIMIT)[0], "it lived on"
    finally:
        os.close(handle)
