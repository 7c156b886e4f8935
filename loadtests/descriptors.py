"""Whether there are enough file descriptors for a run, found out before it."""

from loadtests.errors import LoadTestError

__all__ = ["BASE", "ensure_descriptors"]

BASE = 128
"""What a process of a run opens beside its clients, with room to spare: 60 were counted."""


def ensure_descriptors(clients: int) -> int:
    """See to it that one process can hold this many sockets; processes started later inherit it.

    The soft limit is raised to the hard one when it is too low. Where the system has no such
    limit, nothing is done.

    Args:
        clients: sockets that will be open at the same time.

    Returns:
        The limit that holds; 0 where there is none.

    Raises:
        LoadTestError: even the hard limit is too low.
    """
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return 0
    needed = clients + BASE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _enough(soft, needed):
        return soft
    if not _enough(hard, needed):
        raise LoadTestError(
            f"too few file descriptors: {clients} sockets take about {needed}, and the hard limit"
            f" of open files is {hard}: raise it (ulimit -Hn), or take fewer clients"
        )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        raise LoadTestError(
            f"too few file descriptors: {clients} sockets take about {needed}, the limit of open"
            f" files is {soft} and cannot be raised to {hard} ({error}): try ulimit -n {needed}"
        ) from None
    return hard


def _enough(limit: int, needed: int) -> bool:
    # Below zero stands for no limit.
    return limit < 0 or limit >= needed
