"""Where tasks wait, for errors that a person reads."""

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any

from simulators.errors import Waiting

__all__ = ["waiting"]


def waiting(tasks: Iterable[asyncio.Task[Any]]) -> tuple[Waiting, ...]:
    """Say of each task where it waits: file, line and function."""
    return tuple(Waiting(task.get_name(), _where(task)) for task in tasks)


def _where(task: asyncio.Task[Any]) -> str:
    """Say where a task waits: the innermost frame outside asyncio, then the innermost of all."""
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
    own = next((frame for frame in reversed(frames) if not _is_asyncio(frame)), frames[-1])
    inner = f" ({_spot(frames[-1])})" if own is not frames[-1] else ""
    return f"{_spot(own)}{inner}"


def _is_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "asyncio"


def _spot(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
