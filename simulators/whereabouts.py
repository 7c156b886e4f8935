"""Where tasks wait, for errors that a person reads."""

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any

from simulators.errors import Waiting

__all__ = ["waiting"]

# Whoever reads an error looks for a line of their own: what these do below it says little.
_LIBRARIES = frozenset(
    {"anyio", "asyncio", "contextlib", "httpcore", "httpx", "httpx_ws", "simulators", "starlette"}
)


def waiting(tasks: Iterable[asyncio.Task[Any]]) -> tuple[Waiting, ...]:
    """Say of each task where it waits: file, line and function."""
    return tuple(Waiting(task.get_name(), _where(task)) for task in tasks)


def _where(task: asyncio.Task[Any]) -> str:
    """Say where a task waits: the innermost line of the caller's own code, and what it calls there.

    A task that only runs libraries waits at their innermost line outside asyncio.
    """
    frames: list[FrameType] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = next(
            (
                found
                for name in ("cr_frame", "gi_frame", "ag_frame")
                if (found := getattr(awaited, name, None)) is not None
            ),
            None,
        )
        if frame is None:
            break
        frames.append(frame)
        names = ("cr_await", "gi_yieldfrom", "ag_await")
        awaited = next((found for name in names if (found := getattr(awaited, name, None))), None)
    if not frames:
        return "its first step"
    packages = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame in frames]
    for foreign in (_LIBRARIES, {"asyncio"}):
        own = [place for place, package in enumerate(packages) if package not in foreign]
        if own:
            break
    place = own[-1] if own else len(frames) - 1
    called = f" ({_spot(frames[place + 1])})" if place + 1 < len(frames) else ""
    return f"{_spot(frames[place])}{called}"


def _spot(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
