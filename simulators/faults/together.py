"""Which faults one client cannot have together."""

from collections.abc import Sequence
from itertools import combinations

from simulators.faults.application import ApplicationFault, SendFault
from simulators.faults.fault import BehaviourError, ClientFault, Fault
from simulators.faults.handshake import Handshake
from simulators.faults.path import PathFault
from simulators.faults.reading import TinyWindow

__all__ = ["check_together"]

_SPEAKS_UP = (
    "fin_without_close reset close_with_unread half_close dies_during_broadcast double_disconnect"
    " ignores_close sends_after_close simultaneous_close closes_mid_broadcast closes_while_blocked"
)
_READS_BADLY = "slow_reader stalled_reader pulsing_reader half_open closes_while_blocked"

# Kinds on the left against kinds on the right, and why.
_RULES = (
    ("half_open", _SPEAKS_UP, "a vanished client can neither close nor reset"),
    ("black_hole", _READS_BADLY, "sends into a black hole never wait for a reader"),
    ("never_pongs", "late_pong wrong_pong", "it cannot both answer and never answer"),
    ("pulsing_reader", "stalled_reader", "it cannot both read again and stay stalled"),
    ("pulsing_reader", "half_open", "a vanished client does not read again"),
    ("ignores_close", "simultaneous_close", "it cannot both close and not close"),
    ("sends_after_close", "simultaneous_close", "after its own close frame it may send nothing"),
    ("paused_process", "half_open", "a vanished client has no process to wake"),
)
_IMPOSSIBLE = {
    frozenset((one, other)): reason
    for left, right, reason in _RULES
    for one in left.split()
    for other in right.split()
}

# What is so before a connection, around it, or in the server's own object.
_INDEPENDENT = (ApplicationFault, Handshake, PathFault, TinyWindow)


def check_together(name: str, faults: Sequence[Fault]) -> None:
    """Refuse faults that one client cannot have together.

    Args:
        name: of the behaviour, for the message.
        faults: of the behaviour.

    Raises:
        BehaviourError: it names both, and says why.
    """
    for fault in faults:
        if not isinstance(fault, Fault):
            raise BehaviourError(f"behaviour {name!r}: {fault!r} is no fault")
        if not isinstance(fault, ClientFault):
            raise BehaviourError(
                f"behaviour {name!r}: {fault.kind} is no fault of one client: it belongs to a "
                "population or to the server"
            )
    kinds = [fault.kind for fault in faults]
    if doubled := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise BehaviourError(f"behaviour {name!r} has {', '.join(doubled)} more than once")
    for one, other in combinations(faults, 2):
        if reason := _why_not(one, other):
            raise BehaviourError(
                f"behaviour {name!r} cannot have both {one.kind} and {other.kind}: {reason}"
            )


def _why_not(one: Fault, other: Fault) -> str | None:
    if reason := _IMPOSSIBLE.get(frozenset((one.kind, other.kind))):
        return reason
    if isinstance(one, SendFault) and isinstance(other, SendFault):
        first, second = sorted((one, other), key=lambda fault: fault.at)
        return f"send {second.at} cannot do both" if first.hits(second.at) else None
    for last, never in ((one, other), (other, one)):
        ends = isinstance(last, ClientFault) and last.last_word
        if ends and not (isinstance(never, _INDEPENDENT) and not never.last_word):
            return f"{last.kind} ends the connection at once, {never.kind} could never happen"
    return None
