"""Processes that begin with their imports done: ``python -m`` for a tenth of what it costs.

Half a second of CPU is spent on imports before a server listens, and a suite starts many. A
`Nursery` is one interpreter that has done them; each of its children is a fork that goes on as
``python -m MODULE`` would, with standard output, standard error, signals and an exit code of its
own. It does not show that an interpreter finds its way to those imports: for that each module is
started by its name somewhere too.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

__all__ = ["Child", "Nursery"]

_PROGRAM = Path(__file__).with_name("nursery_program.py")
# What `flock-ws serve` and `load` and a small run of pytest import; what is not installed is left
# out.
_MODULES = (
    "flock_ws.server",
    "flock_ws.uvicorn_http",
    "flock_ws.uvicorn_protocol",
    "uvicorn.lifespan.on",
    "uvloop",
    "loadtests.command",
    "pytest",
)
_START_LIMIT = 60.0
_READ_BYTES = 65_536


class Child:
    """A process of a nursery. Leave it as a context: what still runs then is killed."""

    def __init__(self, nursery: "Nursery", pid: int, *, output: int, complaints: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._output = output
        self._complaints = complaints
        self._told = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def line(self, *, timeout: float = _START_LIMIT) -> str:
        """Return the next line of its standard output; nothing once it has ended."""
        while b"\n" not in self._told and self._read(timeout):
            pass
        line, _, self._told = self._told.partition(b"\n")
        return line.decode()

    def wait(self, *, timeout: float = _START_LIMIT) -> int:
        """Wait until it and whoever writes where it writes have ended; return the exit code."""
        while self._read(timeout):
            pass
        return self._ended()

    @property
    def output(self) -> str:
        """What it wrote to standard output since the last line that was taken."""
        return self._told.decode()

    @property
    def complaints(self) -> str:
        """What it wrote to standard error until now."""
        return self._complaints.read_text()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it, unless it is known to have ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.send_signal(signal.SIGKILL)
        self._ended()
        if self._output >= 0:
            os.close(self._output)
            # Its number may be another file's by the next time.
            self._output = -1

    def _read(self, timeout: float) -> bool:
        readable, _, _ = select.select([self._output], [], [], timeout)
        if not readable:
            raise TimeoutError(f"nothing from {self.pid} within {timeout:g} s: {self.complaints}")
        data = os.read(self._output, _READ_BYTES)
        self._told += data
        return bool(data)

    def _ended(self) -> int:
        if self.returncode is None:
            self.returncode = self._nursery.code_of(self.pid)
        return self.returncode


class Nursery:
    """An interpreter that has imported what most of our processes do, and forks."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._children = 0
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(_PROGRAM), *_MODULES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def start(
        self,
        module: str,
        *words: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Run a module as ``python -m`` would.

        Args:
            module: its name.
            words: what follows it.
            cwd: where it runs; where this process runs when None.
            environment: further variables, which what is imported already may have read before.
        """
        self._children += 1
        output = Path(self._folder.name) / f"{self._children}.out"
        complaints = output.with_suffix(".err")
        os.mkfifo(output)
        pid = self._ask(
            argv=[module, *words],
            cwd=str(cwd or Path.cwd()),
            environment={**os.environ, **(environment or {})},
            output=str(output),
            complaints=str(complaints),
        )
        return Child(self, pid, output=os.open(output, os.O_RDONLY), complaints=complaints)

    def code_of(self, pid: int) -> int:
        """Wait for the end of a child, and return its exit code, less than 0 for a signal."""
        return self._ask(ended=pid)

    def _ask(self, **question: object) -> int:
        asked, told = _pipes(self._process)
        asked.write(f"{json.dumps(question)}\n")
        asked.flush()
        return int(told.readline())


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
