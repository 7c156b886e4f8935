"""An end for code that does not let go: a spin, or a wait of the whole thread.

Where Linux tells, the time in which a thread wanted a core and had none does not count: on a busy
machine nobody is accused of what the others did.

In the main thread it is a timer signal, which also ends ``time.sleep``. In another thread, and
where there is no such signal, an exception is put into the thread from outside; that ends a spin,
and a wait only when it is over.

What is watched is given as a function. At the end of a ``with`` the exception could arrive before
any line of the context manager runs: the watch would go on, and hit whoever comes next.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from simulators.starvation import starved

__all__ = ["LAST_RESORTS", "TookTooLong", "strike", "watched"]

_LOOKS = 4
_AGAIN = 0.1
_SWALLOWED = 50

_T = TypeVar("_T")

_HOPELESS = (
    "this manager computes without end and catches whatever stops it; nothing in this process can "
    "end it (the command flock-ws check can, by its own end); it is at"
)

LAST_RESORTS: list[Callable[[str], None]] = []
"""Called, the last one only, when code swallows the exception over and over, with where it is. It
should end the process: nothing else ends such code. Only the main thread calls it."""


class TookTooLong(KeyboardInterrupt):  # it names what happened
    """The thread was busy, or blocked, for longer than it may be.

    A `KeyboardInterrupt`, because asyncio lets only that and ``SystemExit`` end a loop from within.

    Attributes:
        where: the line that was running; empty where that is not known.
    """

    def __init__(self, where: str = "") -> None:
        super().__init__(where)
        self.where = where


class _Patience:
    """Decides when it is enough: a standstill of some seconds, or too long in all."""

    def __init__(self, standstill: float, *, most: float, progress: Callable[[], int]) -> None:
        self._standstill = standstill
        self._progress = progress
        self._thread = threading.get_native_id()
        self._seen = progress()
        self._since = self._now()
        self._end = self._since + most

    def _now(self) -> float:
        """Seconds of real time, without those in which the thread waited for a core."""
        return time.perf_counter() - (starved(self._thread) or 0.0)

    def is_over(self) -> bool:
        now, seen = self._now(), self._progress()
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._standstill or now >= self._end


def watched(
    work: Callable[[], _T],
    standstill: float,
    *,
    most: float = 60.0,
    progress: Callable[[], int] = lambda: 0,
) -> _T:
    """Call `work`, and raise `TookTooLong` in it if it makes no progress for a while.

    It is raised again every 0.1 s, for code that catches everything, and never after this
    function has ended.

    Args:
        work: what to call, in this thread.
        standstill: seconds of real time in which `progress` must change.
        most: seconds of real time that the work may take at all. Of both, those in which the
            thread was ready and had no core do not count, where the system tells.
        progress: any number that changes while things go on, such as the steps of a loop.

    Returns:
        What `work` returns.

    Raises:
        TookTooLong: `work` did not end by itself.
    """
    patience = _Patience(standstill, most=most, progress=progress)
    pause = standstill / _LOOKS
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _with_alarm(work, patience, pause)
    return _with_watcher(work, patience, pause)


def _with_alarm(work: Callable[[], _T], patience: _Patience, pause: float) -> _T:
    armed = True
    rings = 0

    def ring(_: int, frame: FrameType | None) -> None:
        nonlocal rings
        if armed and patience.is_over():
            rings += 1
            if rings > _SWALLOWED and LAST_RESORTS:
                # It takes its time, and must not be interrupted in turn.
                signal.setitimer(signal.ITIMER_REAL, 0)
                LAST_RESORTS[-1](_spot(frame))
            if rings == _SWALLOWED and sys.__stderr__ is not None:
                sys.__stderr__.write(f"flock-ws: {_HOPELESS} {_spot(frame)}\n")
                sys.__stderr__.flush()
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
            raise TookTooLong(_spot(frame))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, pause, pause)
    try:
        return work()
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _with_watcher(work: Callable[[], _T], patience: _Patience, pause: float) -> _T:
    # Bare locks: an exception in the middle of what is written in Python, such as
    # `threading.Event.set`, would leave it locked.
    stop, stopped = threading.Lock(), threading.Lock()
    stop.acquire()
    stopped.acquire()
    target = threading.get_ident()
    armed = over = False

    def watch() -> None:
        nonlocal over
        wait = pause
        while not stop.acquire(timeout=wait):
            if armed and patience.is_over():
                wait = _AGAIN
                strike(target)
        over = True
        stopped.release()

    def end() -> None:
        if stop.locked():
            stop.release()
        stopped.acquire(blocking=not over)

    threading.Thread(target=watch, name="flock-ws watchdog", daemon=True).start()
    try:
        armed = True
        return work()
    finally:
        # Nothing can come before this line, nor between it and the first `try`.
        armed = False
        try:
            try:
                end()
            except TookTooLong:  # it was in the thread already
                end()
        except TookTooLong:  # it was on its way
            end()


def strike(thread: int) -> None:
    """Have `TookTooLong` raised in a thread, when it next runs a line of Python.

    Args:
        thread: its identifier. Whether that thread still lives is the caller's to know: the
            system gives the number out again.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(TookTooLong)
    )


def _spot(frame: FrameType | None) -> str:
    if frame is None:
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
