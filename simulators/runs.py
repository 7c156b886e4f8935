"""The everyday ways into virtual time: `simulate`, `sim_test` and `sim_runner`."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from simulators.clock import DEFAULT_HORIZON, Interleaving, SimLoop
from simulators.errors import OptionError, SimulatorError

__all__ = ["sim_runner", "sim_test", "simulate"]

P = ParamSpec("P")
T = TypeVar("T")

# Their plugins would run, or complain about, a test that is synchronous now.
_ASYNC_MARKS = frozenset({"asyncio", "anyio", "trio"})


def simulate(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    interleaving: Interleaving = "fifo",
    start: float = 0.0,
    horizon: float | None = DEFAULT_HORIZON,
    max_steps: int | None = None,
) -> T:
    """Run ``main()`` to its end in virtual time and return its result.

    As `asyncio.run`, it starts a fresh loop, and at the end cancels the tasks that are left (in
    the order in which they were created) and closes asynchronous generators. It cannot be called
    while another event loop runs in this thread.

    Args:
        main: a coroutine function without arguments; use a lambda or `functools.partial` to give it
            some.
        seed: see `SimLoop`, as for the other options.
        interleaving: ``fifo`` or ``random``.
        start: what the clock shows at first, in seconds.
        horizon: seconds of virtual time that the run may take; None for no limit.
        max_steps: callbacks that may run; None for no limit.

    Raises:
        SimDeadlock: nothing can happen any more, and ``main()`` still waits.
        SimHorizonReached: it takes longer than `horizon`.
        SimStepLimit: it takes more than `max_steps`.
        OptionError: `main` is no coroutine function, or an option cannot be.
        BaseException: whatever ``main()`` raises, with a note that names the seed.

    Example:
        >>> async def main():
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> simulate(main)
        3600.0
    """
    if _is_loop_running():
        raise SimulatorError(
            "simulate() starts a loop of its own, but one is running in this thread: call it "
            "from synchronous code"
        )
    given: object = main
    if inspect.iscoroutine(given):
        given.close()
        raise OptionError(
            f"simulate() calls {given.__name__} itself: pass the function and not what it returns; "
            "with arguments, lambda: main(…)"
        )
    if not callable(given):
        raise OptionError(f"simulate() takes an async function, not {given!r}")
    loop = SimLoop(
        seed=seed, interleaving=interleaving, start=start, horizon=horizon, max_steps=max_steps
    )
    try:
        result = _run(loop, main)
    except BaseException as error:
        error.add_note(f"in virtual time at {loop.time():g} s, seed {seed}, {interleaving}")
        raise
    finally:
        loop.close()
    return result


def _run(loop: SimLoop, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    coroutine = main()
    returned: object = coroutine
    if not inspect.isawaitable(returned):
        function = getattr(main, "func", main)
        raise OptionError(
            f"{getattr(function, '__qualname__', function)} must be an async function without a "
            f"yield: it returned {returned!r}, which nobody can await"
        )
    try:
        result = loop.run_until_complete(coroutine)
    except BaseException as error:
        try:
            _end(loop)
        except Exception as trouble:  # noqa: BLE001  # the first error is the one to show
            error.add_note(f"and the tasks left did not end: {type(trouble).__name__}: {trouble}")
        raise
    _end(loop)
    return result


def _end(loop: SimLoop) -> None:
    """End what is left on a loop as `asyncio.run` does, but in order of creation."""
    left = loop.tasks()
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    for task in left:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception while the simulation ended",
                    "exception": error,
                    "task": task,
                }
            )
    loop.run_until_complete(loop.shutdown_asyncgens())


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def sim_runner(
    *,
    seed: int = 0,
    interleaving: Interleaving = "fifo",
    start: float = 0.0,
    horizon: float | None = DEFAULT_HORIZON,
    max_steps: int | None = None,
) -> asyncio.Runner:
    """Return an `asyncio.Runner` in virtual time, for several runs on one loop.

    Its end is asyncio's own: it cancels tasks that are left in no certain order. Options as for
    `SimLoop`.
    """
    return asyncio.Runner(
        loop_factory=functools.partial(
            SimLoop,
            seed=seed,
            interleaving=interleaving,
            start=start,
            horizon=horizon,
            max_steps=max_steps,
        )
    )


@overload
def sim_test(test: Callable[P, Coroutine[Any, Any, None]], /) -> Callable[P, None]: ...
@overload
def sim_test(
    *,
    seed: int = 0,
    interleaving: Interleaving = "fifo",
    start: float = 0.0,
    horizon: float | None = DEFAULT_HORIZON,
    max_steps: int | None = None,
) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, None]]: ...
def sim_test(
    test: Callable[..., Coroutine[Any, Any, None]] | None = None, /, **options: Any
) -> Callable[..., Any]:
    """Turn ``async def test_…`` into a synchronous test that runs in virtual time.

    Use it as ``@sim_test`` or ``@sim_test(seed=7)``; options as for `simulate`. Fixtures and
    parameters work as ever. To pytest the test is synchronous, so pytest-asyncio in either mode and
    anyio's plugin leave it alone, and neither is needed. An ``asyncio`` or ``anyio`` mark below the
    decorator is taken off; one above it, or for the whole module, still draws pytest-asyncio's
    warning. Asynchronous fixtures of those plugins run on a loop of their own, not on this one.

    Raises:
        OptionError: it is used with an argument that is no name of an option; when the test runs,
            that it is not asynchronous.

    Example:
        >>> @sim_test
        ... async def test_a_day_passes():
        ...     await asyncio.sleep(86_400)
    """
    if test is not None and not callable(test):
        raise OptionError(f"@sim_test takes options by name, as @sim_test(seed=7), not {test!r}")

    def decorate(function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> None:
            simulate(functools.partial(function, *arguments, **named), **options)

        marks = getattr(run, "pytestmark", None)
        if marks is not None:
            kept = [mark for mark in marks if getattr(mark, "name", None) not in _ASYNC_MARKS]
            vars(run)["pytestmark"] = kept
        return run

    return decorate if test is None else decorate(test)
