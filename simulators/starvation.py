"""How long a thread was ready to run and had no core: the machine's part in what was late."""

from pathlib import Path

__all__ = ["starved"]

_NANOSECONDS = 1e9


def starved(pid: int | None = None) -> float | None:
    """Return the seconds that a process has waited for a core since it began, or a thread.

    Linux tells it, of a process for its first thread; elsewhere, and of a process that is gone or
    somebody else's, nothing is known. The kernel counts the time in its queue of runnable threads,
    whoever held the cores.

    Args:
        pid: of the process, or the native number of a thread; None for the thread that asks.
    """
    path = Path("/proc/thread-self" if pid is None else f"/proc/{pid}") / "schedstat"
    try:
        return int(path.read_text(encoding="ascii").split()[1]) / _NANOSECONDS
    except (OSError, ValueError, IndexError):
        return None
