"""A server process that has no file descriptor left for another connection."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from simulators.errors import OptionError, SimulatorError
from simulators.faults import FdExhaustion

__all__ = ["few_descriptors"]


@contextlib.contextmanager
def few_descriptors(process_id: int, fault: FdExhaustion | None = None) -> Iterator[int]:
    """Lower the soft limit of open files of another process, and restore it at the end.

    Only its soft limit changes, so nothing needs privileges beyond owning the process; what it has
    open stays open. Linux only.

    Args:
        process_id: of the server. Never this process, whose every library would suffer.
        fault: how many descriptors it may still open; none by default.

    Yields:
        The limit that holds.

    Raises:
        OptionError: the process is this one.
        SimulatorError: this is not Linux, or the process is gone or somebody else's.
    """
    if process_id == os.getpid():
        raise OptionError("few_descriptors is for another process: give the server one of its own")
    try:
        from resource import RLIMIT_NOFILE, prlimit  # noqa: PLC0415 - not on every system

        taken = {int(entry.name) for entry in Path(f"/proc/{process_id}/fd").iterdir()}
        soft, hard = prlimit(process_id, RLIMIT_NOFILE)
        limit, spare = 0, (fault or FdExhaustion()).spare
        # The limit is on the number of a descriptor, and the lowest free one is taken.
        while limit in taken or spare:
            spare -= limit not in taken
            limit += 1
        prlimit(process_id, RLIMIT_NOFILE, (limit, hard))
    except (ImportError, OSError) as error:
        raise SimulatorError(
            f"cannot limit the open files of process {process_id}: {error!r}; it takes Linux and "
            "a process of one's own"
        ) from error
    try:
        yield limit
    finally:
        with contextlib.suppress(OSError):
            prlimit(process_id, RLIMIT_NOFILE, (soft, hard))
