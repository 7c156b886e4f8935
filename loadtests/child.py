"""A process that a run starts: it never outlives the run, and its last words are kept."""

import contextlib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO

__all__ = ["Child"]

_STOP_LIMIT = 5.0
_KEPT_LINES = 40


class Child:
    """``python -m module words…``, which ends when this process does, however that ends.

    What it writes is read by threads, or one that writes much would stand still. On Linux it is
    also killed when the thread ends that started it.

    Args:
        module: what it runs.
        words: the arguments.
        environment: all of its environment; this process's own when None.
        on_line: called in a thread with each line of its standard output.
        channels: descriptors that it inherits, under the same numbers.

    Raises:
        OSError: no process can be started.
    """

    def __init__(
        self,
        module: str,
        *words: str,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        channels: tuple[int, ...] = (),
    ) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "loadtests.attached", module, *words],
            # Whoever holds the other end is alive; nothing is ever written to it.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
            errors="replace",
            pass_fds=channels,
            # Ctrl-C is for the parent, which then ends its children in order.
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, told), daemon=True)
            for stream, told in (
                (self._process.stdout, on_line or self._lines.append),
                (self._process.stderr, self._lines.append),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def death(self) -> str | None:
        """Say how it ended; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        words = self.last_words()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}" + (f": {words}" if words else "")

    def last_words(self) -> str:
        """Return the last line that it wrote; empty without one."""
        if self._process.poll() is not None:
            for reader in self._readers:
                reader.join(timeout=1.0)
        lines = [line.strip() for line in self._lines if line.strip()]
        return lines[-1] if lines else ""

    def wait(self, timeout: float) -> bool:
        """Wait for its end; return whether it came."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self, *, within: float = _STOP_LIMIT) -> None:
        """End it, by force if it takes longer than `within` seconds."""
        self.terminate()
        if not self.wait(within):
            self.kill()
        self._close()

    def kill(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        for reader in self._readers:
            reader.join(timeout=1.0)

    def _read(self, stream: IO[str], told: Callable[[str], None]) -> None:
        with contextlib.suppress(ValueError, OSError), stream:
            for line in stream:
                told(line)
