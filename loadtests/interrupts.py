"""Ctrl-C and SIGTERM: the first ends a run with its report, the second ends everything at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Takes the signals that end a run, as a context manager; in the main thread only.

    The first raises KeyboardInterrupt, unless the run has come to its end by itself: then it would
    only lose the report. Every further one raises it wherever the program is.

    Attributes:
        count: how many came.
    """

    def __init__(self) -> None:
        self.count = 0
        self._ending = False
        self._before: dict[int, Any] = {}

    def end(self) -> None:
        """From here on the run is about to end, and the first signal changes nothing."""
        self._ending = True

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 or not self._ending:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            take: Callable[[int, FrameType | None], None] = self._take
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
