"""``flock-ws load``: the command line of load tests."""

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from loadtests.errors import LoadTestError
from loadtests.record import Record
from loadtests.run import execute
from loadtests.scenario import SCENARIOS
from loadtests.terminal import Terminal
from loadtests.verdict import Judgement, judge

__all__ = ["FORMAT", "add_arguments", "run"]

FORMAT = "flock-ws-run/1"
"""Names the form of ``run.json``."""

_EPILOG = """\
exit codes:
  0  every promise was kept
  1  a promise was broken; the last line says which
  2  wrong usage, or the server is not there
  3  the run could not tell: too short, interrupted, or the generator was the bottleneck

examples:
  flock-ws load
      the reference server in a process of its own
  flock-ws load --manager yourapp.ws:ConnectionManager
      your manager in the reference application
  flock-ws load ws://127.0.0.1:8000/ws --duration 60
      a server that is there already; what cannot be seen from outside is not offered
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws load``."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "url",
        nargs="?",
        metavar="URL",
        help="ws://host:port/path of a server that is there already [one is started]",
    )
    add("--scenario", default="storm", metavar="NAME", help="see --list [%(default)s]")
    add("--list", action="store_true", help="list the scenarios and what each proves")
    add(
        "--manager",
        metavar="MODULE:FACTORY",
        help="the manager of the started server [the reference]",
    )
    add(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="how long events are published; about 8 s for the start and the end come on top",
    )
    for cohort in ("healthy", "slow", "stalled", "dead"):
        add(f"--{cohort}", type=int, metavar="N", help=f"{cohort} clients")
    add("--rate", type=float, metavar="PER_SECOND", help="events published each second")
    add("--size", type=int, metavar="BYTES", help="bytes of one event")
    add(
        "--no-publish",
        action="store_true",
        help="only listen: judge what somebody else publishes",
    )
    add(
        "--output",
        type=Path,
        default=Path("run.json"),
        metavar="PATH",
        help="where the record of the run is written [%(default)s]",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run ``flock-ws load`` and return its exit code.

    Raises:
        LoadTestError: it cannot be run as asked.
        KeyboardInterrupt: Ctrl-C before the run had begun.
    """
    terminal = Terminal()
    if arguments.list:
        terminal.scenarios()
        return 0
    if arguments.scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        raise LoadTestError(f"no scenario {arguments.scenario!r} (there are: {known})")
    if arguments.url is not None and arguments.manager is not None:
        raise LoadTestError("--manager is for a server started here: leave out the URL")
    if arguments.no_publish and arguments.url is None:
        raise LoadTestError("--no-publish needs the URL of a server where somebody publishes")
    scenario = SCENARIOS[arguments.scenario].changed(
        duration=arguments.duration,
        healthy=arguments.healthy,
        slow=arguments.slow,
        stalled=arguments.stalled,
        dead=arguments.dead,
        rate=arguments.rate,
        size_bytes=arguments.size,
    )
    _check_writable(arguments.output)
    with _ended_by_sigterm():
        record = execute(
            scenario,
            url=arguments.url,
            manager=arguments.manager,
            publish=not arguments.no_publish,
            command=_command(),
            on_begun=terminal.begun,
            on_progress=terminal.progress,
        )
    judgement = judge(record)
    terminal.judgement(judgement)
    _write(arguments.output, record, judgement)
    terminal.say(f"record: {arguments.output}", style="dim")
    return judgement.exit_code


def _command() -> str:
    words = sys.argv[1:]
    return shlex.join(["flock-ws", *words] if words[:1] == ["load"] else ["flock-ws", "load"])


def _check_writable(path: Path) -> None:
    """Find out before the run, not after it; what is there already stays until then."""
    folder = path.parent
    if path.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        reason = "permission denied"
    else:
        return
    raise LoadTestError(f"cannot write {path}: {reason}; give another --output")


def _write(path: Path, record: Record, judgement: Judgement) -> None:
    form: dict[str, Any] = {
        "format": FORMAT,
        **judgement.to_json(),
        "record": record.model_dump(mode="json"),
    }
    try:
        path.write_text(json.dumps(form, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise LoadTestError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
