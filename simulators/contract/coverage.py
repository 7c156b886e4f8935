"""Which classes of mistakes are looked for where; numbered as in ``docs/contract.md``."""

from simulators.contract.registry import CHECKS

__all__ = ["ON_SOCKETS", "UNCOVERED", "covering"]

ON_SOCKETS: dict[int, str] = {
    10: "whether a message arrived whose send was cancelled differs between servers",
    15: "an oversized message closes its connection with 1009",
    21: "a connection whose peer does not read still stands after the eviction",
    26: "sends to a dead peer succeed until the kernel's buffers are full",
    30: "an endpoint that only sends never hears of the disconnect",
    31: "how soon a dead peer is noticed depends on how much is sent",
    40: "a ping waits behind megabytes in a full buffer",
    56: "a close right after a send discards what was not sent",
    57: "the close code as it is on the wire",
}
"""Classes that take a real socket, and what a check there has to show. In virtual time a check may
look for the same mistake where it can be seen."""

UNCOVERED: dict[int, str] = {
    59: "it takes several processes: a manager alone cannot know of the clients of other workers",
    60: "it takes a message broker, which is not part of a manager",
    61: "it takes a message broker, which is not part of a manager",
    63: "compression is the server's, and no manager can choose it for a client",
    64: "it is about where one tests, not about what a manager does: run the checks everywhere",
}
"""Classes that no check looks for, and why not."""


def covering(defect: int) -> tuple[str, ...]:
    """Return the ids of the checks that look for a class of mistakes."""
    return tuple(check.id for check in CHECKS.values() if defect in check.defects)
