"""What a generator tells the run that started it: over a pipe, which no full disk holds up."""

import contextlib
import os
import threading

__all__ = ["VARIABLE", "Channel", "tell"]

VARIABLE = "FLOCK_LOAD_CHANNEL"
"""Holds the number of the descriptor that a generator writes to; unset where nobody listens."""


def tell(kind: str, text: str) -> bool:
    """Hand a text to whoever started this process; return whether somebody took it.

    Args:
        kind: one word. Of each kind only the latest text is kept.
        text: without line breaks, as JSON is.
    """
    number = os.environ.get(VARIABLE)
    if number is None:
        return False
    rest = memoryview(f"{kind} {text}\n".encode())
    try:
        while rest:
            rest = rest[os.write(int(number), rest) :]
    except BrokenPipeError:
        return False
    return True


class Channel:
    """The listening end.

    Attributes:
        descriptor: the end for the generator to inherit; close it here with `handed_over`.
    """

    def __init__(self) -> None:
        reading, self.descriptor = os.pipe()
        self._open = True
        self._ended = False
        self._told: dict[str, str] = {}
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    def handed_over(self) -> None:
        """Close this process's copy of the writing end, or the reading would never end."""
        if self._open:
            self._open = False
            os.close(self.descriptor)

    def latest(self, kind: str) -> str | None:
        """Return the last text of a kind; None before the first."""
        return self._told.get(kind)

    def wait(self, kind: str, timeout: float) -> bool:
        """Wait for the first text of a kind; return whether it came before the end."""
        with self._news:
            self._news.wait_for(lambda: kind in self._told or self._ended, timeout)
        return kind in self._told

    def drain(self, timeout: float) -> None:
        """Wait until all is read that the generator, which has ended, wrote."""
        self._thread.join(timeout)

    def _read(self, reading: int) -> None:
        self._take(reading)
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, reading: int) -> None:
        with contextlib.suppress(OSError), os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                kind, _, text = line.rstrip("\n").partition(" ")
                # Half a line: it was killed while it wrote.
                if line.endswith("\n"):
                    with self._news:
                        self._told[kind] = text
                        self._news.notify_all()
