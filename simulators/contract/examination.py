"""The door for Python code: `check_manager`."""

import asyncio
import difflib
import functools
import importlib.metadata
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from simulators.clock import SimLoop
from simulators.contract.adapters import Adapter, Names, Subject
from simulators.contract.detection import detect
from simulators.contract.loader import load
from simulators.contract.profile import Profile
from simulators.contract.quiet import quiet, virtual_clock
from simulators.contract.registry import CHECKS, Check, select_checks
from simulators.contract.results import Report, Result
from simulators.contract.runner import Budget, run_bounded, run_check
from simulators.contract.signatures import AdapterError
from simulators.contract.sites import ManagerSite
from simulators.contract.tcp_runner import run_on_sockets
from simulators.contract.watchdog import TookTooLong
from simulators.errors import OptionError, SimulatorError

__all__ = [
    "adapt",
    "against",
    "check_manager",
    "check_one",
    "expected_of",
    "off_loop",
    "subject_of",
    "telling",
    "versions_of",
]

T = TypeVar("T")

_DETECTION = 2.0


def check_manager(
    factory: Callable[..., Any] | Subject | str,
    *,
    profile: Profile | None = None,
    expected_failures: Mapping[str, str] | None = None,
    select: Iterable[str] | str | None = None,
    seed: int = 0,
    seeds: int = 3,
    names: Names | None = None,
    name: str | None = None,
    sockets: bool = False,
    protocol: str = "auto",
    progress: Callable[[Result], object] | None = None,
) -> Report:
    """Check which promises a manager keeps. Synchronous; may be called wherever code runs.

    What a manager does to the process as a whole (signals, files, threads of its own) is not
    undone. One that computes without end *and* catches ``BaseException`` cannot be stopped from
    within its process: after some seconds a line on standard error says so, and the call does not
    return. ``flock-ws check`` ends its own process then, with the report and exit code 1.

    Args:
        factory: makes a manager: a class, or a function. Called for each check with
            ``heartbeat_interval`` and ``enable_heartbeat`` where it takes them. Or a text,
            ``module:name``.
        profile: the numbers of its promises; the original's by default.
        expected_failures: ids of checks that may fail, each with the reason. One that passes all
            the same fails.
        select: which checks, see `select_checks`; all by default.
        seed: repeats a run.
        seeds: under how many seeds those checks run that depend on chance.
        names: what joins, leaves and broadcasts, where it cannot be told.
        name: how the report calls the manager.
        sockets: whether the checks on real sockets run as well; they take real time.
        protocol: uvicorn's WebSocket protocol for them: ``auto``, ``websockets-sansio``,
            ``wsproto``, or a class as ``module:Class``.
        progress: called with each result.

    Raises:
        AdapterError: it cannot be told how the manager is used; the message says what to add.
        OptionError: an option means nothing.

    Example:
        >>> from flock_ws import WebSocketManager
        >>> check_manager(WebSocketManager, select="delivery.order").verdict
        'pass'
    """
    profile = profile or Profile()
    expected = expected_of(expected_failures)
    checks = select_checks(select, sockets=sockets)
    if seeds < 1:
        raise OptionError(f"seeds must be at least 1, not {seeds!r}")
    subject = subject_of(factory, name=name)
    return off_loop(
        lambda: _examine(
            subject,
            checks,
            profile=profile,
            expected=expected,
            seed=seed,
            seeds=seeds,
            names=names,
            protocol=protocol,
            progress=progress,
        )
    )


def check_one(
    check_id: str,
    factory: Callable[..., Any] | Subject | str,
    *,
    adapter: Adapter | None = None,
    profile: Profile | None = None,
    expected_failures: Mapping[str, str] | None = None,
    seed: int = 0,
    seeds: int = 3,
    names: Names | None = None,
    protocol: str = "auto",
) -> Result:
    """Run one check.

    Args:
        check_id: which.
        factory: makes a manager, as for `check_manager`.
        adapter: from `adapt`, to save the detection.
        profile: the same as there.
        expected_failures: the same.
        seed: the same.
        seeds: the same.
        names: the same.
        protocol: the same.
    """
    profile = profile or Profile()
    (check,) = select_checks([check_id])
    expected = expected_of(expected_failures)
    subject = subject_of(factory)

    def run() -> Result:
        used = adapter or _detect(subject, names)
        if check.tier == "sockets":
            (result,) = _on_sockets([check], used, profile=profile, seed=seed, protocol=protocol)
        else:
            result = run_check(check, used, profile=profile, seed=seed, seeds=seeds)
        return against(result, expected.get(check.id))

    return off_loop(run)


def adapt(factory: Callable[..., Any] | Subject | str, *, names: Names | None = None) -> Adapter:
    """Find out how a manager is used.

    Raises:
        AdapterError: something could not be told; the message asks for exactly that.
    """
    subject = subject_of(factory)
    return off_loop(lambda: _detect(subject, names))


def subject_of(factory: Callable[..., Any] | Subject | str, *, name: str | None = None) -> Subject:
    """Return what makes a manager, with a name for people.

    Raises:
        OptionError: it makes nothing.
    """
    if isinstance(factory, Subject):
        subject = factory
    elif isinstance(factory, str):
        subject = load(factory)
    elif callable(factory):
        subject = Subject(_name_of(factory), factory)
    else:
        raise OptionError(
            f"a factory must be callable, not {factory!r}: give the class, or lambda: manager"
        )
    return subject if name is None else replace(subject, name=name)


def _examine(
    subject: Subject,
    checks: tuple[Check, ...],
    *,
    profile: Profile,
    expected: Mapping[str, str],
    seed: int,
    seeds: int,
    names: Names | None,
    protocol: str,
    progress: Callable[[Result], object] | None,
) -> Report:
    started = time.perf_counter()
    adapter = _detect(subject, names)
    budget = Budget()
    results = []

    tell = telling(progress, expected)
    for check in (check for check in checks if check.tier == "virtual"):
        results.append(
            run_check(check, adapter, profile=profile, seed=seed, seeds=seeds, budget=budget)
        )
        tell(results[-1])
    results += _on_sockets(
        [check for check in checks if check.tier == "sockets"],
        adapter,
        profile=profile,
        seed=seed,
        protocol=protocol,
        progress=tell,
    )
    return Report(
        manager=subject.name,
        adapter="\n".join(adapter.describe()),
        profile=profile.as_dict(),
        results=tuple(against(result, expected.get(result.check_id)) for result in results),
        seed=seed,
        versions=versions_of(),
        elapsed=round(time.perf_counter() - started, 3),
    )


def _on_sockets(
    checks: Sequence[Check],
    adapter: Adapter,
    *,
    profile: Profile,
    seed: int,
    protocol: str,
    progress: Callable[[Result], object] = lambda _: None,
) -> list[Result]:
    if not checks:
        return []
    return run_on_sockets(
        checks,
        lambda: ManagerSite(adapter, protocol=protocol),
        profile=profile,
        seed=seed,
        progress=progress,
    )


def _detect(subject: Subject, names: Names | None) -> Adapter:
    """Find out how a manager is used, by trying; without trying where that never ends."""
    error: BaseException | None = None
    for tries in (True, False):
        adapter, error = _detect_on_loop(subject, names, tries=tries)
        if adapter is not None:
            return adapter
        if isinstance(error, AdapterError):
            raise error
        if not isinstance(error, TookTooLong | SimulatorError | SystemExit | KeyboardInterrupt):
            break
    raise AdapterError(
        f"{subject.name} could not be made: {type(error).__name__}: {error}"
    ) from error


def _detect_on_loop(
    subject: Subject, names: Names | None, *, tries: bool
) -> tuple[Adapter | None, BaseException | None]:
    loop = SimLoop(max_steps=400_000)
    with quiet(loop.time, seed=loop.seed):
        loop.set_exception_handler(lambda *_: None)
        try:
            with virtual_clock(loop):
                return run_bounded(loop, detect(subject, names, tries=tries), limit=_DETECTION)
        finally:
            loop.close()


def against(result: Result, reason: str | None) -> Result:
    """Judge a result against what was expected of it."""
    if reason is None:
        return result
    if result.verdict == "pass":
        return replace(
            result,
            verdict="fail",
            expected=reason,
            stale=True,
            message=f"it was expected to fail ({reason}), and passed: take it from the expected "
            f"failures ({result.message})",
        )
    return replace(result, expected=reason)


def telling(
    progress: Callable[[Result], object] | None, expected: Mapping[str, str]
) -> Callable[[Result], object]:
    """Return what tells of a result, judged against what was expected of it."""
    if progress is None:
        return lambda _: None
    return lambda result: progress(against(result, expected.get(result.check_id)))


def expected_of(expected: Mapping[str, str] | None) -> dict[str, str]:
    """Return the expected failures.

    Raises:
        OptionError: one is no check, or has no reason.
    """
    # What comes from a file may be anything.
    given: Mapping[str, object] = expected or {}
    for check_id, reason in given.items():
        if check_id not in CHECKS:
            near = difflib.get_close_matches(check_id, CHECKS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise OptionError(f"expected_failures: there is no check {check_id!r}{meant}")
        if not (isinstance(reason, str) and reason.strip()):
            raise OptionError(f"expected_failures: {check_id} needs a reason, as a text")
    return dict(expected or {})


def off_loop(work: Callable[[], T]) -> T:
    """Run something that runs loops of its own: in another thread if one runs in this."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run, name="flock-ws contract")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _name_of(factory: Callable[..., Any]) -> str:
    inner = getattr(factory, "func", factory)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return str(name)


def versions_of() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("flock-ws", "starlette", "pydantic", "uvicorn", "websockets"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "unknown"
    return versions
