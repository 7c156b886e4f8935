"""The load generator: locust, headless, in a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadtests.errors import LoadTestError
from loadtests.histogram import Histogram
from loadtests.plan import Plan
from loadtests.record import GeneratorRecord, GeneratorResults

__all__ = ["Generator"]

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_START_LIMIT = 30.0
_FINISH_LIMIT = 15.0


class Generator:
    """One locust process that carries out a plan.

    Args:
        plan: must name a folder; everything the process writes lands there.
    """

    def __init__(self, plan: Plan) -> None:
        if plan.folder is None:
            raise LoadTestError("the plan of a generator needs a folder")
        self._folder = plan.folder
        self._log = plan.folder / "locust.log"
        path = plan.folder / "plan.json"
        plan.write(path)
        scenario = plan.scenario
        # Options in the environment would change what locust does behind the scenario's back.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")}
        environment["FLOCK_LOAD_PLAN"] = str(path)
        command = [
            *(sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless"),
            *("--users", str(scenario.clients)),
            *("--spawn-rate", f"{scenario.clients / scenario.ramp:g}"),
            *("--host", plan.url, "--only-summary", "--loglevel", "WARNING"),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the parent, which then ends its children in order.
                start_new_session=True,
            )

    def wait_started(self) -> float:
        """Wait until its engine runs; return when it began, on the monotonic clock.

        Raises:
            LoadTestError: it does not come up; the message holds its last words.
        """
        deadline = time.monotonic() + _START_LIMIT
        while True:
            if started := self.progress().get("started_at"):
                return float(started)
            if self.death() is not None:
                raise LoadTestError(f"the load generator did not start: {self.death()}")
            if time.monotonic() > deadline:
                raise LoadTestError(f"the load generator did not start within {_START_LIMIT:g} s")
            time.sleep(0.05)

    def progress(self) -> dict[str, Any]:
        """Return what it told last; empty before."""
        try:
            told = json.loads((self._folder / "progress.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def death(self) -> str | None:
        """Say how it ended by itself; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        words = [line.strip() for line in lines if line.strip()]
        last = f": {words[-1]}" if words else ""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}{last}"

    def finish(self) -> GeneratorResults:
        """End it in order and return what it saw; never raises for what went wrong over there."""
        death = self.death()
        if death is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=_FINISH_LIMIT)
            except subprocess.TimeoutExpired:
                death = f"it did not end within {_FINISH_LIMIT:g} s"
                self.kill()
        try:
            text = (self._folder / "results.json").read_text(encoding="utf-8")
            results = GeneratorResults.model_validate_json(text)
        except (OSError, ValidationError):
            death = death or self.death() or "it wrote no results"
            results = GeneratorResults(
                clients=[], series={}, spread=Histogram(), generator=GeneratorRecord()
            )
        if death is not None:
            results.generator.error = death
        return results

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
