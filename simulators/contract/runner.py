"""Runs one check: alone on a fresh loop, bounded in every way, and down to the fewest clients."""

import asyncio
import contextlib
import ctypes
import functools
import gc
import signal
import threading
import time
import traceback
from collections.abc import Coroutine, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from simulators.clock import Interleaving, SimLoop
from simulators.contract.adapters import Adapter
from simulators.contract.bench import Bench, told
from simulators.contract.profile import Profile
from simulators.contract.quiet import Noise, quiet, virtual_clock
from simulators.contract.registry import Broken, Check, NotOffered, Unmet
from simulators.contract.results import Evidence, Result, Verdict
from simulators.contract.watchdog import TookTooLong, watched
from simulators.errors import (
    OptionError,
    SimDeadlock,
    SimHorizonReached,
    SimRefused,
    SimStepLimit,
)

__all__ = [
    "Budget",
    "judge",
    "noise_lines",
    "not_offered",
    "result_of",
    "run_bounded",
    "run_check",
]

_SHRINK_RUNS = 24
_SHRINK_SECONDS = 1.5
_PATIENT_TIMES = 3
_IMPATIENT = 0.5
_FEW_STEPS = 50_000
_ENDING = 1.0
# A large heap takes a while to be collected on a busy machine.
_COLLECTING = 4.0
_LINES = 12
_LACKING = {
    "async broadcast": "its broadcast is not async",
    "heartbeat": "no heartbeat with an interval that can be set was found",
    "history": "no history of events was found",
    "json": "what it broadcasts is encoded before it gets it",
    "leave": "nothing that removes a client was found",
    "own message": "its messages are made by the payload that was given",
    "pages": "its history is not read in parts",
    "said": "nothing that is told what clients say was found",
    "shutdown": "nothing that ends it was found",
    "switch": "its heartbeat has no switch",
    "text": "it broadcasts bytes",
    "threads": "nothing that broadcasts from another thread was found",
    "accepts": "its caller accepts the connection",
}
_HIDDEN = {
    "endpoint": "its manager cannot be reached from outside",
    "cancel": "its manager cannot be reached from outside",
    "server": "the server's side of its connections cannot be seen from here",
}


class Budget:
    """How often checks on one manager may run into a limit: after three times, patience is short.

    Attributes:
        blocked: how often one was stopped from outside.
    """

    def __init__(self) -> None:
        self.blocked = 0

    def limit(self, check: Check) -> float:
        """Return the seconds of real time for the next run of a check."""
        return check.limit if self.blocked < _PATIENT_TIMES else min(check.limit, _IMPATIENT)

    def steps(self, check: Check) -> int:
        """Return how many callbacks the next run of a check may take."""
        return check.steps if self.blocked < _PATIENT_TIMES else min(check.steps, _FEW_STEPS)


@dataclass(slots=True)
class _Run:
    """What one run of a check came to."""

    verdict: Verdict
    message: str
    seed: int
    evidence: Evidence | None = None
    blocked: bool = False


def run_check(
    check: Check,
    adapter: Adapter,
    *,
    profile: Profile,
    seed: int = 0,
    seeds: int = 3,
    budget: Budget | None = None,
) -> Result:
    """Run one check and say what it found. It never raises for what a manager does.

    Args:
        check: which.
        adapter: how the manager is used.
        profile: what it promises.
        seed: the first seed.
        seeds: how many seeds a check takes whose outcome depends on chance.
        budget: shared by the checks on one manager.
    """
    budget = budget or Budget()
    if (reason := not_offered(check, adapter.can, profile)) is not None:
        return result_of(check, "not_offered", reason, seed=seed)
    runs: list[tuple[int, Interleaving]] = [(seed, "fifo")]
    if check.schedules:
        more = range(seed, seed + seeds)
        runs = (
            [*runs, *((number, "random") for number in more)]
            if check.interleaving == "random"
            else [(number, "fifo") for number in more]
        )
    last = _Run("unknown", "it did not run", seed)
    for number, interleaving in runs:
        last = _run(
            check,
            adapter,
            profile,
            seed=number,
            interleaving=interleaving,
            sizes=check.default_sizes(),
            budget=budget,
        )
        if last.verdict == "fail" and check.sizes and not last.blocked:
            last = _shrink(check, adapter, profile, last, interleaving=interleaving, budget=budget)
        if last.verdict != "pass":
            break
    if last.verdict != "pass":
        # Cycles of what broke would complain later, in somebody else's time.
        # They may also swallow their own end as garbage, for ever, as long as nothing interrupts.
        rest = SimLoop()
        with (
            contextlib.closing(rest),
            quiet(rest.time),
            contextlib.suppress(TookTooLong),
        ):
            watched(gc.collect, _COLLECTING)
    if last.verdict == "pass" and len(runs) > 1:
        last.message += f"; {len(runs)} runs"
    return result_of(check, last.verdict, last.message, seed=last.seed, evidence=last.evidence)


def not_offered(check: Check, can: AbstractSet[str], profile: Profile) -> str | None:
    """Return why a check has nothing to look at; None where it has.

    Args:
        check: which.
        can: what the manager can do.
        profile: what it promises.
    """
    if check.promise is not None:
        promised = getattr(profile, check.promise)
        if promised is None or promised is False or promised == "none":
            return f"the profile makes no promise of {check.promise}"
    missing = sorted(check.needs - can)
    for hidden, reason in _HIDDEN.items():
        if hidden in missing:
            return reason
    return "; ".join(_LACKING.get(name, f"it has no {name}") for name in missing) or None


def result_of(
    check: Check, verdict: Verdict, message: str, *, seed: int, evidence: Evidence | None = None
) -> Result:
    """Return what a check found, with what the check says of itself."""
    return Result(
        check_id=check.id,
        level=check.level,
        verdict=verdict,
        message=message,
        seed=seed,
        defects=check.defects,
        why=check.why,
        mend=check.mend,
        tier=check.tier,
        evidence=evidence,
    )


def _shrink(
    check: Check,
    adapter: Adapter,
    profile: Profile,
    failed: _Run,
    *,
    interleaving: Interleaving,
    budget: Budget,
) -> _Run:
    """Find the fewest clients and events with which it still fails, greedily."""
    sizes = check.default_sizes()
    until = time.perf_counter() + _SHRINK_SECONDS
    runs = 0
    smaller = True
    while smaller:
        smaller = False
        for name, (_, fewest) in check.sizes.items():
            for size in dict.fromkeys((fewest, (sizes[name] + fewest) // 2, sizes[name] - 1)):
                if not fewest <= size < sizes[name]:
                    continue
                if runs >= _SHRINK_RUNS or time.perf_counter() > until:
                    break
                runs += 1
                tried = {**sizes, name: size}
                run = _run(
                    check,
                    adapter,
                    profile,
                    seed=failed.seed,
                    interleaving=interleaving,
                    sizes=tried,
                    budget=budget,
                )
                if run.verdict == "fail" and not run.blocked:
                    failed, sizes, smaller = run, tried, True
                    break
    shown = ", ".join(
        f"{count} {name.removesuffix('s') if count == 1 else name}" for name, count in sizes.items()
    )
    seed = f"; seed {failed.seed}" if check.schedules else ""
    failed.message += f" [{shown}{seed}]"
    return failed


def _run(
    check: Check,
    adapter: Adapter,
    profile: Profile,
    *,
    seed: int,
    interleaving: Interleaving,
    sizes: dict[str, int],
    budget: Budget,
) -> _Run:
    """Run a check once, on a loop of its own."""
    loop = SimLoop(
        seed=seed,
        interleaving=interleaving,
        horizon=check.horizon,
        max_steps=budget.steps(check),
    )
    bench = Bench(adapter=adapter, profile=profile, loop=loop)
    run = _Run("fail", "", seed)
    with quiet(loop.time, seed=loop.seed) as noise:
        bench.noise = noise
        loop.set_exception_handler(lambda _, context: _note(bench, context))
        try:
            with virtual_clock(loop) as slept:
                bench.slept = slept
                message, error = run_bounded(
                    loop, check.body(bench, **sizes), limit=budget.limit(check)
                )
        finally:
            loop.close()
    run.blocked = isinstance(error, TookTooLong | SimStepLimit)
    budget.blocked += run.blocked
    run.verdict, run.message = judge(error, message)
    if run.verdict in {"fail", "unknown"}:
        run.evidence = bench.evidence(more=[*noise_lines(noise), *_naps(slept)])
    return run


def run_bounded(
    loop: SimLoop, work: Coroutine[Any, Any, Any], *, limit: float
) -> tuple[Any, BaseException | None]:
    """Run a coroutine on a loop to its end, or to a limit, and end what is left.

    Args:
        loop: a fresh loop.
        work: the coroutine.
        limit: seconds of real time in which at least one callback must run.

    Returns:
        Its result, and what it raised.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C. One that a manager raises is returned.
    """
    result: Any = None
    error: BaseException | None = None
    task: asyncio.Task[Any] | None = None
    with _interrupts() as interrupted:
        try:
            task = loop.create_task(work)
            run = functools.partial(loop.run_until_complete, task)
            result = watched(run, limit, progress=lambda: loop.steps)
        except BaseException as raised:  # noqa: BLE001  # a manager may raise anything; Ctrl-C comes below
            error = raised
        # What a manager leaves behind may spin or block as well.
        with contextlib.suppress(BaseException):
            watched(functools.partial(_end, loop), min(limit, _ENDING))
        if task is None:
            work.close()
        _keep(loop)
    if interrupted:
        raise KeyboardInterrupt
    return result, error


def _end(loop: SimLoop) -> None:
    """Cancel what is left, and give it a moment."""
    left = loop.tasks()
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_ENDING))
    loop.run_until_complete(loop.shutdown_asyncgens())
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()


def _keep(loop: SimLoop) -> None:
    """Keep the tasks that would not end, for good.

    Freeing one would throw GeneratorExit into it: one that catches everything would then run on
    in the middle of a garbage collection, where no watchdog sees it.
    """
    for task in loop.tasks():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))


@contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """Tell a real Ctrl-C from a KeyboardInterrupt that a manager raises."""
    seen: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(True)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def judge(  # noqa: PLR0911  # one for each way to end
    error: BaseException | None, message: Any
) -> tuple[Verdict, str]:
    """Return what the end of a check means.

    Args:
        error: what it raised; None when it returned.
        message: what it returned.
    """
    match error:
        case None:
            return "pass", str(message)
        case Broken():
            return "fail", str(error)
        case Unmet():
            return "unknown", str(error)
        case NotOffered():
            return "not_offered", str(error)
        case SimRefused():
            return "unknown", f"virtual time cannot run it: {error}"
        case SimDeadlock() | SimHorizonReached() | SimStepLimit():
            return "fail", f"it never ends: {error}"
        case OptionError():
            raise error
        case TookTooLong():
            where = f" at {error.where}" if error.where else ""
            return "fail", f"it blocks the whole thread, or computes without end{where}"
        case SystemExit() | KeyboardInterrupt():
            return "fail", f"it raised {told(error)}, which would end the server"
        case asyncio.CancelledError():
            return "fail", "a call ended in CancelledError, though nobody cancelled it"
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {frame[0].filename}:{frame[0].lineno}" if frame else ""
    return "fail", f"it raised {told(error)}{where}"


def _note(bench: Bench, context: dict[str, Any]) -> None:
    error = context.get("exception")
    shown = f": {told(error)}" if isinstance(error, BaseException) else ""
    if len(bench.lines) < _LINES:
        bench.lines.append(f"{context.get('message', 'something failed')}{shown}")


def noise_lines(noise: Noise) -> list[str]:
    """Return what a manager logged, printed and was warned of, as lines for the evidence."""
    lines = noise.lines()
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"… and {len(lines) - _LINES} lines more"]
    return [f"log: {line[:200]}" for line in lines] + [
        f"warning: {warning[:200]}" for warning in dict.fromkeys(noise.warnings)
    ]


def _naps(slept: list[float]) -> list[str]:
    if not slept:
        return []
    return [f"time.sleep blocked the loop {len(slept)} times, {sum(slept):g} s in all"]
