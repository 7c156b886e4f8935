"""The program of `tests.nursery`: reads a question a line, and forks."""

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import sys
from typing import Any


def fork_when_asked() -> dict[str, Any]:
    """Return in each child, with what it is to be. The parent never returns."""
    while line := sys.stdin.readline():
        asked: dict[str, Any] = json.loads(line)
        if "ended" in asked:
            _, status = os.waitpid(asked["ended"], 0)
            tell(os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if not pid:
            return asked
        tell(pid)
    sys.exit()


def tell(number: int) -> None:
    """Answer a question."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def become(asked: dict[str, Any]) -> None:
    """Put everything in its place that a process of its own would begin with."""
    complaints = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for path, mode, number in (
        (os.devnull, os.O_RDONLY, 0),
        (asked["complaints"], complaints, 2),
        (asked["output"], os.O_WRONLY, 1),  # until now nobody could know that it is there
    ):
        opened = os.open(path, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[0] = asked["cwd"]
    sys.argv[:] = asked["argv"]
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    # Ctrl-C is for the tests, which end this process by closing its standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` does
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    become(fork_when_asked())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
