"""Runs checks on real sockets: each on a server of its own, a few beside each other, bounded."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from simulators.contract.profile import Profile
from simulators.contract.quiet import quiet
from simulators.contract.registry import Check
from simulators.contract.results import Evidence, Result, Verdict
from simulators.contract.runner import judge, not_offered, result_of
from simulators.contract.serving import ServeFailed, ServerDied, why_not_served
from simulators.contract.sites import Site
from simulators.contract.socket_bench import SocketBench

__all__ = ["run_on_sockets"]

_MOST = 20.0
_TOGETHER = 4
_LINES = 12
_LEFT_BEHIND = "not run: before it the manager left a thread behind that nobody can stop"


def run_on_sockets(
    checks: Sequence[Check],
    make_site: Callable[[], Site],
    *,
    profile: Profile,
    seed: int = 0,
    together: int = _TOGETHER,
) -> list[Result]:
    """Run checks on real sockets, and say what they found, in their order.

    It never raises for what a manager does. They mostly wait, so some run beside each other; each
    takes at most 20 s of real time.

    Args:
        checks: which; their tier is ``sockets``.
        make_site: makes what is served, once for each check.
        profile: what it promises.
        seed: for the global random numbers only: sockets keep their own time.
        together: how many run beside each other.

    Raises:
        OptionError: an option means nothing, such as the server's protocol.
    """
    logs = _Logs()
    with quiet(time.monotonic, seed=seed):
        logging.getLogger().addHandler(logs)
        turns = asyncio.Semaphore(together)
        return asyncio.run(
            _run_all(checks, make_site, profile=profile, seed=seed, logs=logs, turns=turns)
        )


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
    checks: Sequence[Check],
    make_site: Callable[[], Site],
    *,
    profile: Profile,
    seed: int,
    logs: _Logs,
    turns: asyncio.Semaphore,
) -> list[Result]:
    left_behind = False

    async def one(check: Check) -> Result:
        nonlocal left_behind
        async with turns:
            if left_behind:
                return result_of(check, "unknown", _LEFT_BEHIND, seed=seed)
            site = make_site()
            reason = why_not_served() if site.server is not None else None
            reason = reason or not_offered(check, site.can, profile)
            if reason is not None:
                return result_of(check, "not_offered", reason, seed=seed)
            verdict, message, evidence = await _run(check, site, profile, logs=logs)
            if site.server is not None and site.server.left_running:
                left_behind = True
            return result_of(check, verdict, message, seed=seed, evidence=evidence)

    return await asyncio.gather(*map(one, checks))


async def _run(
    check: Check, site: Site, profile: Profile, *, logs: _Logs
) -> tuple[Verdict, str, Evidence | None]:
    began = time.monotonic()
    bench = SocketBench(site, profile=profile)
    try:
        async with asyncio.timeout(_MOST):
            verdict, message = judge(None, await check.body(bench))
    except (ServerDied, ServeFailed) as error:
        verdict, message = "fail", str(error)
    except TimeoutError:
        verdict, message = "fail", f"it did not come to an end within {_MOST:g} s"
    except asyncio.CancelledError:
        # Somebody pressed Ctrl-C: nothing may go on being served.
        await bench.end()
        raise
    except Exception as error:  # noqa: BLE001  # a manager may raise anything
        verdict, message = judge(error, "")
    evidence = bench.evidence()
    thread = site.server.ident if site.server is not None else None
    await bench.end()
    if site.server is not None and site.server.left_running:
        verdict = "fail"
        message = (
            "it computes without end, or blocks its whole thread, and lets nobody stop it: the "
            "thread is left behind"
        )
    if verdict not in {"fail", "unknown"}:
        return verdict, message, None
    lines = (*evidence.lines, *logs.lines(thread, since=began))
    return verdict, message, replace(evidence, lines=lines)
