"""While a check runs: the clock is virtual for everybody, and nothing reaches the terminal."""

import contextlib
import io
import logging
import random
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simulators.clock import SimLoop

__all__ = ["Noise", "quiet", "virtual_clock"]


class Noise(logging.Handler):
    """What a manager logged, printed or caused as warnings.

    Attributes:
        records: time, level and text of each log record.
        printed: what it printed.
        warnings: Python's warnings, such as a coroutine that was never awaited.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(logging.INFO)
        self.records: list[tuple[float, int, str]] = []
        self.printed = io.StringIO()
        self.warnings: list[str] = []
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if record.name != "asyncio":
            self.records.append((self._clock(), record.levelno, record.getMessage()))

    def lines(self) -> list[str]:
        """Return everything as lines, with the newest last."""
        return [
            *(
                f"{when:g} s {logging.getLevelName(level)} {text}"
                for when, level, text in self.records
            ),
            *self.printed.getvalue().splitlines(),
        ]


@contextmanager
def quiet(clock: Callable[[], float], *, seed: int = 0) -> Iterator[Noise]:
    """Keep what is logged, printed or warned of; and seed the global random numbers."""
    noise = Noise(clock)
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, logging.root.manager.disable
    chance = random.getstate()
    random.seed(seed)
    root.handlers[:] = [noise]
    root.setLevel(logging.INFO)
    logging.disable(logging.NOTSET)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            contextlib.redirect_stdout(noise.printed),
            contextlib.redirect_stderr(noise.printed),
        ):
            warnings.simplefilter("always")
            try:
                yield noise
            finally:
                noise.warnings += [str(warning.message) for warning in caught]
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
        random.setstate(chance)


@contextmanager
def virtual_clock(loop: SimLoop) -> Iterator[list[float]]:
    """Let `time.sleep`, `time.time` and `time.monotonic` mean virtual time in this thread.

    A ``time.sleep`` then moves the clock while nothing else runs, as it does to a real loop. Names
    that were imported from `time` before are not reached, nor is `datetime`.

    Yields:
        The sleeps, in seconds.
    """
    thread = threading.get_ident()
    real_sleep, real_time, real_monotonic = time.sleep, time.time, time.monotonic
    slept: list[float] = []
    epoch = real_time()

    def here() -> bool:
        return threading.get_ident() == thread and loop.is_running()

    def sleep(seconds: Any, /) -> None:
        if not here():
            real_sleep(seconds)
            return
        slept.append(seconds)
        loop._now += max(0.0, seconds)  # noqa: SLF001  # the thread sleeps: time passes and nothing runs

    def wall() -> float:
        return epoch + loop.time() if here() else real_time()

    def monotonic() -> float:
        return loop.time() if here() else real_monotonic()

    time.sleep, time.time, time.monotonic = sleep, wall, monotonic
    try:
        yield slept
    finally:
        time.sleep, time.time, time.monotonic = real_sleep, real_time, real_monotonic
