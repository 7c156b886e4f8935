"""One run in several locust processes: the master shares out the plan and gathers what was seen.

Locust's own reports lose the tail of a run: its master waits half a second for the last of them,
however long the users take to stop. Here the master asks for the results when a run comes to its
end, before any user is stopped. Each worker hands in locust's statistics and its own results with
their totals; the master waits for all, merges and compares. What is missing is an error of the
generator, which makes a verdict INCONCLUSIVE, never a smaller number.

It works by locust's own messages, so the workers may be on other machines. Then each has a clock
of its own, and latencies are as right as those agree.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from pydantic import ValidationError

from loadtests.channel import tell
from loadtests.errors import LoadTestError
from loadtests.merging import differences, merge_progress, merge_results, totals
from loadtests.plan import Plan
from loadtests.record import GeneratorResults

__all__ = ["Follower", "Leader"]

_PLAN, _PROGRESS, _COLLECT, _RESULTS = (
    "flock-plan",
    "flock-progress",
    "flock-collect",
    "flock-results",
)
_LIMIT = 8.0
_PATIENCE = 1.0


class Leader:
    """What the master does.

    Args:
        environment: of a master.
        plan: for all workers; each gets its share.
        on_results: called once with what all of them saw, and with the names of the cohorts that
            behave from beginning to end.
        limit: seconds that the workers may take for their results.

    Attributes:
        plan: as it was shared out; then its clock has begun.
    """

    def __init__(
        self,
        environment: Environment,
        plan: Plan,
        *,
        on_results: Callable[[GeneratorResults, set[str]], None],
        limit: float = _LIMIT,
    ) -> None:
        runner = environment.runner
        if not isinstance(runner, MasterRunner):
            raise LoadTestError(f"a {type(runner).__name__} leads no workers")
        self.plan = plan
        self._environment, self._runner = environment, runner
        self._on_results, self._limit = on_results, limit
        self._shares: dict[str, int] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._results: dict[str, GeneratorResults] = {}
        self._viewers: set[str] = set()
        self._wrong: list[str] = []
        self._collecting = False
        self._came = Event()
        runner.register_message(_PROGRESS, self._take_progress)
        runner.register_message(_RESULTS, self._take_results)
        hooks: Any = environment.events
        hooks.test_start.add_listener(self._share_out)
        hooks.test_stopping.add_listener(self.collect)
        # After SIGTERM locust fires this before it stops anything.
        hooks.quitting.add_listener(self.collect)
        tell("port", str(runner.server.port))

    def _share_out(self, **_: Any) -> None:
        """Hand out the plan. The messages that spawn users come after it on the same way."""
        runner = self._runner
        self.plan = replace(self.plan, begun_at=time.monotonic())
        workers = [*runner.clients.ready, *runner.clients.running, *runner.clients.spawning]
        self._shares = {worker.id: number for number, worker in enumerate(workers)}
        self._progress, self._results, self._wrong = {}, {}, []
        options = self._environment.parsed_options
        wanted = options.expect_workers if options is not None else 0
        if len(workers) < wanted:
            # Whoever presses the button of the web UI does not wait.
            self._wrong.append(f"the run began with {len(workers)} of {wanted} workers")
        self._collecting = False
        self._came.clear()
        for name, number in self._shares.items():
            share = replace(self.plan, share=(number, len(workers)))
            runner.send_message(_PLAN, share.to_json(), client_id=name)

    def _take_progress(self, msg: Message, **_: Any) -> None:
        self._progress[msg.node_id] = msg.data
        if self._progress.keys() >= self._shares.keys():
            tell("progress", json.dumps(merge_progress(list(self._progress.values()))))

    def _take_results(self, msg: Message, **_: Any) -> None:
        name = self._name(msg.node_id)
        try:
            results = GeneratorResults.model_validate_json(msg.data["results"])
        except ValidationError as error:
            self._wrong.append(
                f"the results of {name} cannot be read: {error.error_count()} errors"
            )
            return
        if totals(results) != msg.data["totals"]:
            counted = msg.data["totals"]
            self._wrong.append(f"{name} counted {counted} pushes and sent {totals(results)}")
        self._results[msg.node_id] = results
        self._viewers.update(msg.data["viewers"])
        self._came.set()

    def collect(self, **_: Any) -> None:
        """Gather what everybody saw. The first call does it; locust may stop more than once."""
        if self._collecting or not self._shares:
            return
        self._collecting = True
        deadline = time.monotonic() + self._limit
        self._runner.send_message(_COLLECT)
        told, patience = 0, time.monotonic() + _PATIENCE
        while self._waiting_for() and time.monotonic() < deadline:
            self._came.clear()
            self._came.wait(timeout=0.1)
            if told < len(self._results) and time.monotonic() > patience:
                # Whoever started this may be in a hurry: better a part than nothing.
                told = len(self._results)
                tell("results", self._merged().model_dump_json())
        self._on_results(self._merged(), self._viewers)

    def _merged(self) -> GeneratorResults:
        """Return what has come so far; what is wrong with it is its generator's error."""
        # Copies: merging one alone returns it as it is.
        results = merge_results([part.model_copy(deep=True) for part in self._results.values()])
        problems = [*self._wrong, *self._missing(), *self._unreconciled(results)]
        if results.generator.error:
            problems.append(results.generator.error)
        results.generator.error = "; ".join(problems) or None
        return results

    def _waiting_for(self) -> list[str]:
        """Return who is alive and has not answered."""
        clients = self._runner.clients
        return [
            worker
            for worker in self._shares.keys() - self._results.keys()
            if worker in clients and clients[worker].state != STATE_MISSING
        ]

    def _missing(self) -> list[str]:
        lost = [worker for worker in self._shares if worker not in self._results]
        if not lost:
            return []
        names = " and ".join(self._name(worker) for worker in lost)
        return [f"no results came from {names}"]

    def _unreconciled(self, results: GeneratorResults) -> list[str]:
        """Hold locust's statistics, which came by another way, against the results."""
        if len(self._results) < len(self._shares):
            # Of one who was lost, locust has what it had reported before.
            return []
        entries = self._environment.stats.entries.values()
        return differences(results, {entry.name: entry.num_requests for entry in entries})

    def _name(self, worker: str) -> str:
        return f"worker {self._shares.get(worker, -1) + 1} of {len(self._shares)}"


class Follower:
    """What a worker does.

    Args:
        environment: of a worker.
        on_plan: called with its share of the plan before any user is spawned.
        results: returns what it saw, with locust's statistics up to date, and the names of the
            cohorts that behave from beginning to end.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        on_plan: Callable[[Plan], None],
        results: Callable[[], tuple[GeneratorResults, set[str]]],
    ) -> None:
        runner = environment.runner
        if not isinstance(runner, WorkerRunner):
            raise LoadTestError(f"a {type(runner).__name__} has no master")
        self._runner = runner
        self._on_plan, self._ask = on_plan, results
        runner.register_message(_PLAN, self._take_plan)
        # Aside: it waits for clients, and locust's own messages must go on meanwhile.
        runner.register_message(_COLLECT, self._hand_in, concurrent=True)

    def tell(self, progress: dict[str, Any]) -> None:
        """Tell the master how it goes."""
        self._runner.send_message(_PROGRESS, progress)

    def _take_plan(self, msg: Message, **_: Any) -> None:
        self._on_plan(Plan.from_json(msg.data).here())

    def _hand_in(self, **_: Any) -> None:
        results, viewers = self._ask()
        # Locust's own report first: on one way, the master has it when the results come.
        self._runner._send_stats()  # noqa: SLF001 - the only way to send it now
        form = {
            "results": results.model_dump_json(),
            "totals": totals(results),
            "viewers": sorted(viewers),
        }
        self._runner.send_message(_RESULTS, form)
