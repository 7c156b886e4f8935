"""The load generator: locust, headless, in one process or in several."""

import argparse
import json
import math
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from pydantic import ValidationError

from loadtests.board import VARIABLE as BOARD
from loadtests.board import Board
from loadtests.channel import VARIABLE as CHANNEL
from loadtests.channel import Channel
from loadtests.child import Child
from loadtests.errors import LoadTestError
from loadtests.histogram import Histogram
from loadtests.plan import VARIABLE as PLAN
from loadtests.plan import Plan
from loadtests.record import GeneratorRecord, GeneratorResults

__all__ = ["LOCUSTFILE", "Crew", "Generator", "add_arguments", "work_for"]

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
"""The users of the plan."""

_START_LIMIT = 30.0
_JOIN_LIMIT = 120.0
_FINISH_LIMIT = 15.0
_LEAVE_LIMIT = 2.0
_STEP = 0.05
_HIGHEST_PORT = 65_535
_ANY_ADDRESS = ("*", "0.0.0.0", "[::]")  # noqa: S104 - nothing is bound to it here


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How many processes share the users of a run.

    Attributes:
        workers: worker processes to start on this machine; without any, and without `guests`, one
            process does everything.
        guests: workers to wait for that are started elsewhere.
        bind: where the master listens for workers, as ``host:port``; port 0 is any.

    Raises:
        LoadTestError: a number or an address that cannot be.
    """

    workers: int = 0
    guests: int = 0
    bind: str = "127.0.0.1:0"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, count in (("workers", self.workers), ("remote-workers", self.guests)):
            if count < 0:
                raise LoadTestError(f"--{name} must be at least 0, not {count}")
        _address("--bind", self.bind)
        if self.guests and self.bind.endswith(":0"):
            raise LoadTestError("--remote-workers needs --bind HOST:PORT, where they find this one")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Read it from a command line.

        Raises:
            LoadTestError: it cannot be.
        """
        return cls(workers=arguments.workers, guests=arguments.remote_workers, bind=arguments.bind)

    @property
    def reached_at(self) -> str:
        """Where workers on other machines find the master, as far as it is known here."""
        host, port = _address("--bind", self.bind)
        return f"{socket.gethostname() if host in _ANY_ADDRESS else host}:{port}"

    @property
    def distributed(self) -> bool:
        """Whether there is more than one process."""
        return bool(self.workers or self.guests)

    def crowding(self, *, servers: int, cores: int | None) -> str:
        """Say that the workers here take one another's cores; empty when there are enough.

        Args:
            servers: how many tested servers run on this machine as well.
            cores: those that there are; None where the system does not tell.
        """
        if cores is None or not self.workers or self.workers + servers <= cores:
            return ""
        busy = f"{self.workers} workers" if self.workers > 1 else "1 worker"
        busy += " and the server" if servers else ""
        there = f"{cores} cores" if cores > 1 else "1 core"
        return (
            f"{busy} share {there}: they carry no more than fewer would, and what is late may be"
            " their doing"
        )


def work_for(address: str) -> NoReturn:
    """Become a worker of the run that listens at an address.

    Raises:
        LoadTestError: it is no address, or locust cannot be started.
    """
    host, port = _address("--join", address)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", PLAN))}
    words = ["--locustfile", str(LOCUSTFILE), "--worker", "--loglevel", "INFO"]
    words += ["--master-host", host, "--master-port", str(port)]
    try:
        os.execve(sys.executable, [sys.executable, "-m", "locust", *words], environment)  # noqa: S606 - our own program
    except OSError as error:
        raise LoadTestError(f"locust cannot be started: {error.strerror}") from None


def _address(option: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise LoadTestError(f"{option} takes HOST:PORT, like 10.0.0.5:5557, not {text!r}")
    return host, int(port)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for several processes."""
    group = parser.add_argument_group("several processes")
    add = group.add_argument
    add(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="share the clients between N processes on this machine [one does it all]",
    )
    add(
        "--remote-workers",
        type=int,
        default=0,
        metavar="N",
        help="wait for N processes that are started on other machines with --join",
    )
    add(
        "--join",
        metavar="HOST:PORT",
        help="be such a process, for the run that listens there; its plan is that run's",
    )
    add(
        "--bind",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="where those find this one; who reaches it can read the plan [%(default)s]",
    )


class Generator:
    """Locust's processes that carry out a plan: one, or a master and its workers.

    It writes nothing to a disk: a full one cannot lose a run.

    Args:
        plan: what to do.
        crew: how many processes there are; one by default.
        locustfile: the users; ours by default.
        board: with one, locust's web UI is there; the users come when somebody starts them in it.

    Raises:
        LoadTestError: no process can be started.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        crew: Crew | None = None,
        locustfile: Path | None = None,
        board: Board | None = None,
    ) -> None:
        self._board = board
        self._crew = crew = crew or Crew()
        self._workers: list[Child] = []
        self._channel = Channel()
        # Options in the environment would change what locust does behind the scenario's back.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")}
        self._environment = environment | {PLAN: json.dumps(plan.to_json())}
        self._words = ["--locustfile", str(locustfile or LOCUSTFILE), "--loglevel", "WARNING"]
        if board is None:
            self._words.append("--headless")
        else:
            self._environment[BOARD] = str(board.folder)
        clients, ramp = plan.scenario.clients, plan.scenario.ramp
        words = ["--users", str(clients), "--spawn-rate", f"{clients / ramp:g}"]
        words += ["--host", plan.url, "--only-summary"]
        words += board.words if board is not None else []
        if crew.distributed:
            host, _, port = crew.bind.rpartition(":")
            words += ["--master", "--expect-workers", str(crew.workers + crew.guests)]
            words += ["--master-bind-host", host, "--master-bind-port", port]
        self._main = self._start(
            *words, channels={CHANNEL: self._channel.descriptor}, environment=self._environment
        )
        self._channel.handed_over()

    def _start(
        self, *words: str, environment: dict[str, str], channels: dict[str, int] | None = None
    ) -> Child:
        channels = channels or {}
        try:
            return Child(
                "locust",
                *self._words,
                *words,
                environment=environment | {name: str(n) for name, n in channels.items()},
                channels=tuple(channels.values()),
            )
        except OSError as error:
            reason = error.strerror or error
            raise LoadTestError(f"the load generator cannot be started: {reason}") from None

    def wait_started(self) -> float:
        """Wait until its engine runs; return when it began, on the monotonic clock.

        Raises:
            LoadTestError: it does not come up; the message holds its last words.
        """
        limit = _JOIN_LIMIT if self._crew.guests else _START_LIMIT
        # Somebody presses a button, sooner or later.
        deadline = time.monotonic() + limit if self._board is None else math.inf
        while True:
            if started := self.progress().get("started_at"):
                return float(started)
            if self.death() is not None:
                raise LoadTestError(f"the load generator did not start: {self.death()}")
            if time.monotonic() > deadline:
                missing = ": not all workers came" if self._crew.distributed else ""
                raise LoadTestError(f"the load generator did not start within {limit:g} s{missing}")
            self._start_workers()
            time.sleep(_STEP)

    def _start_workers(self) -> None:
        port = self._channel.latest("port")
        if port is None or self._workers:
            return
        host = self._crew.bind.rpartition(":")[0]
        host = "127.0.0.1" if host in _ANY_ADDRESS else host
        self._workers = [
            self._start(
                *("--worker", "--master-host", host, "--master-port", port),
                environment=self._environment,
            )
            for _ in range(self._crew.workers)
        ]

    def progress(self) -> dict[str, Any]:
        """Return what it told last; empty before."""
        try:
            told = json.loads(self._channel.latest("progress") or "{}")
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    def death(self) -> str | None:
        """Say how a process of it ended by itself; None while all live."""
        if (death := self._main.death()) is not None:
            return death
        for number, worker in enumerate(self._workers, start=1):
            if (death := worker.death()) is not None:
                return f"worker {number} of {len(self._workers)}: {death}"
        return None

    def finish(self, *, within: float = _FINISH_LIMIT, politely: bool = True) -> GeneratorResults:
        """End it in order and return what it saw; never raises for what went wrong over there.

        Args:
            within: seconds that its results may take.
            politely: whether its clients may still say goodbye, which may take 2 s more.
        """
        results = self.take_results(within=within)
        if self._board is None and politely:
            self.stop()
        elif self._board is None:
            self.kill()
        return results

    @property
    def stop_asked(self) -> bool:
        """Whether somebody wants to end the run, in locust's web UI."""
        return self._channel.latest("stop") is not None

    def take_results(self, *, within: float = _FINISH_LIMIT) -> GeneratorResults:
        """Ask for what it saw, and return that; afterwards its processes end by themselves."""
        death = self.death()
        if self._board is None or not self._board.stop():
            self._main.terminate()
        if not self._channel.wait("done", within) and death is None:
            what = "only a part" if self._channel.latest("results") else "none"
            death = self._main.death() or f"of its results, {what} came within {within:g} s"
        try:
            text = self._channel.latest("results") or ""
            results = GeneratorResults.model_validate_json(text)
        except ValidationError:
            results = GeneratorResults(
                clients=[], series={}, spread=Histogram(), generator=GeneratorRecord()
            )
            death = death or "its results cannot be read"
        if death is not None:
            told = results.generator.error
            results.generator.error = f"{death}; {told}" if told else death
        return results

    def stop(self) -> None:
        """Let all its processes end, by force if they take longer than 2 s."""
        deadline = time.monotonic() + _LEAVE_LIMIT
        for child in (self._main, *self._workers):
            child.terminate()
        for child in (self._main, *self._workers):
            child.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        for child in (self._main, *self._workers):
            child.kill()
