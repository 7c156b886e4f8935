"""Runs checks on real sockets: each on a server of its own, a few beside each other, bounded."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from simulators.contract.profile import Profile
from simulators.contract.quiet import quiet
from simulators.contract.registry import Broken, Check, Unmet
from simulators.contract.results import Evidence, Result, Verdict
from simulators.contract.runner import judge, not_offered, result_of
from simulators.contract.serving import ServeFailed, ServerDied, why_not_served
from simulators.contract.sites import Site
from simulators.contract.socket_bench import SocketBench

__all__ = ["Hunger", "Job", "run_jobs_on_sockets", "run_on_sockets"]

_MOST = 20.0
_TOGETHER = 4
_LINES = 12
# Seconds in all by which this process was late: from here on a failure may be the machine's, or
# that of the checks beside it.
_LATE = 0.5
_PATIENT_TIMES = 4.0
# For all that is tried once more: one that hangs in every call must come to an end as well.
_AGAIN = 15.0
_TICK = 0.02
_TOO_BUSY = "this machine is too busy to tell: nothing ran for {late:.1f} s in all, and "
_LEFT_BEHIND = "not run: before it the manager left a thread behind that nobody can stop"


@dataclass(frozen=True, slots=True)
class Job:
    """Checks to run on something that is served.

    Attributes:
        checks: which; their tier is ``sockets``.
        make_site: makes what is served, once for each check.
        profile: what it promises.
    """

    checks: Sequence[Check]
    make_site: Callable[[], Site]
    profile: Profile


def run_on_sockets(
    checks: Sequence[Check],
    make_site: Callable[[], Site],
    *,
    profile: Profile,
    seed: int = 0,
    together: int = _TOGETHER,
    progress: Callable[[Result], object] = lambda _: None,
) -> list[Result]:
    """Run checks on real sockets, and say what they found, in their order.

    It never raises for what a manager does. They mostly wait, so some run beside each other; each
    takes at most 20 s of real time. What fails while the loop was late, because other programs had
    the cores or the checks beside it were busy, is tried once more, alone and with four times the
    patience, as long as that takes no more than 15 s in all. If other programs have the cores
    still, it is *unknown*.

    Args:
        checks: which; their tier is ``sockets``.
        make_site: makes what is served, once for each check.
        profile: what it promises.
        seed: for the global random numbers only: sockets keep their own time.
        together: how many run beside each other.
        progress: called with each result as soon as it is certain, in no order.

    Raises:
        OptionError: an option means nothing, such as the server's protocol.
    """
    job = Job(checks, make_site, profile)
    (results,) = run_jobs_on_sockets([job], seed=seed, together=together, progress=progress)
    return results


def run_jobs_on_sockets(
    jobs: Sequence[Job],
    *,
    seed: int = 0,
    together: int = _TOGETHER,
    progress: Callable[[Result], object] = lambda _: None,
) -> list[list[Result]]:
    """Run checks on several managers beside each other, as `run_on_sockets` does on one.

    Args:
        jobs: which checks, and on what.
        seed: the same as there.
        together: how many checks run beside each other, of all jobs.
        progress: the same.

    Returns:
        The results of each job.
    """
    logs = _Logs()
    with quiet(time.monotonic, seed=seed):
        logging.getLogger().addHandler(logs)
        turns = asyncio.Semaphore(together)

        async def run() -> list[list[Result]]:
            return await asyncio.gather(
                *(
                    _run_all(job, seed=seed, logs=logs, turns=turns, progress=progress)
                    for job in jobs
                )
            )

        return asyncio.run(run())


class Hunger:
    """How long this process would have run, and did not, since others had the cores.

    Seen by a task that wants to wake up at short intervals. What this process computes itself does
    not count: a manager that spins makes everything late as well.

    Attributes:
        seconds: in all, up to now.
        late: the same with what this process computed itself.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.late = 0.0

    async def watch(self) -> None:
        """Look, until it is cancelled."""
        while True:
            wall, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(_TICK)
            late = time.perf_counter() - wall - _TICK
            self.note(late=late, used=time.process_time() - used)

    def note(self, *, late: float, used: float) -> None:
        """Add what one look has shown.

        Args:
            late: seconds by which it came too late.
            used: seconds that this process computed in the meantime.
        """
        self.seconds += max(0.0, late - used)
        self.late += max(0.0, late)


class _Logs(logging.Handler):
    """What is logged, by the thread of the server in which that was."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[tuple[int | None, float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "asyncio":
            text = f"{record.levelname} {record.getMessage()}"
            self.records.append((record.thread, time.monotonic(), text))

    def lines(self, thread: int | None, *, since: float) -> list[str]:
        found = [
            f"log: {max(0.0, when - since):.2f} s {text[:200]}"
            for ident, when, text in self.records
            if ident == thread and when >= since
        ]
        if len(found) > _LINES:
            return [*found[:_LINES], f"log: … and {len(found) - _LINES} lines more"]
        return found


async def _run_all(
    job: Job,
    *,
    seed: int,
    logs: _Logs,
    turns: asyncio.Semaphore,
    progress: Callable[[Result], object],
) -> list[Result]:
    checks, make_site, profile = job.checks, job.make_site, job.profile
    left_behind = False
    hunger = Hunger()
    watching = asyncio.create_task(hunger.watch())

    async def attempt(check: Check, site: Site, *, patience: float) -> tuple[Result, bool]:
        """Run a check; say whether it may have found what it did because it came too late."""
        nonlocal left_behind
        before = hunger.late
        (verdict, message, evidence), waited = await _run(
            check, site, profile, logs=logs, patience=patience
        )
        if site.server is not None and site.server.left_running:
            left_behind = True
        result = result_of(check, verdict, message, seed=seed, evidence=evidence)
        return result, waited and hunger.late - before > _LATE

    async def first(check: Check) -> tuple[Result, bool]:
        if left_behind:
            return result_of(check, "unknown", _LEFT_BEHIND, seed=seed), False
        site = make_site()
        reason = why_not_served() if site.server is not None else None
        reason = reason or not_offered(check, site.can, profile)
        if reason is not None:
            return result_of(check, "not_offered", reason, seed=seed), False
        return await attempt(check, site, patience=1.0)

    async def one(check: Check) -> Result:
        async with turns:
            result, late = await first(check)
        if late:
            again.append(check)
        else:
            progress(result)
        return result

    again: list[Check] = []
    try:
        results = await asyncio.gather(*map(one, checks))
        began = time.monotonic()
        for check in again:
            if left_behind or time.monotonic() - began > _AGAIN:
                progress(results[checks.index(check)])
                continue
            before = hunger.seconds
            result, late = await attempt(check, make_site(), patience=_PATIENT_TIMES)
            hungry = hunger.seconds - before
            if late and hungry > _LATE * _PATIENT_TIMES:
                message = _TOO_BUSY.format(late=hungry) + result.message
                result = replace(result, verdict="unknown", message=message)
            results[checks.index(check)] = result
            progress(result)
    finally:
        watching.cancel()
    return results


async def _run(
    check: Check, site: Site, profile: Profile, *, logs: _Logs, patience: float
) -> tuple[tuple[Verdict, str, Evidence | None], bool]:
    """Run a check once; return what it found, and whether it failed for what it waited for."""
    began = time.monotonic()
    bench = SocketBench(site, profile=profile, patience=patience)
    waited, most = False, _MOST * min(patience, 2.0)
    try:
        async with asyncio.timeout(most):
            verdict, message = judge(None, await check.body(bench))
    except (ServerDied, ServeFailed) as error:
        verdict, message = "fail", str(error)
    except TimeoutError:
        verdict, message = "fail", f"it did not come to an end within {most:g} s"
        waited = True
    except asyncio.CancelledError:
        # Somebody pressed Ctrl-C: nothing may go on being served.
        await bench.end()
        raise
    except Exception as error:  # noqa: BLE001  # a manager may raise anything
        verdict, message = judge(error, "")
        waited = isinstance(error, Broken | Unmet)
    evidence = bench.evidence()
    thread = site.server.ident if site.server is not None else None
    await bench.end()
    if site.server is not None and site.server.left_running:
        verdict, waited = "fail", False
        message = (
            "it computes without end, or blocks its whole thread, and lets nobody stop it: the "
            "thread is left behind"
        )
    if verdict not in {"fail", "unknown"}:
        return (verdict, message, None), waited
    lines = (*evidence.lines, *logs.lines(thread, since=began))
    return (verdict, message, replace(evidence, lines=lines)), waited
