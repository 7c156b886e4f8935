"""What each fault of a client does on a real socket.

`behave` begins all of a behaviour's faults, once the connection stands. Those of the handshake
and of the path are not here: `simulators.tcp.knocks` and `simulators.tcp.relay` do them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from simulators import faults
from simulators.acts import closing, death, inbound, liveness, reading
from simulators.tcp.actor import Actor

__all__ = ["ACTS", "behave"]

ACTS: Final[Mapping[type[faults.Fault], Callable[[Actor, Any], None]]] = MappingProxyType(
    {
        faults.SlowReader: reading.slow,
        faults.StalledReader: reading.stalled,
        faults.PulsingReader: reading.pulsing,
        faults.FinWithoutClose: death.fin_without_close,
        faults.Reset: death.reset,
        faults.CloseWithUnread: death.close_with_unread,
        faults.HalfClose: death.half_close,
        faults.HalfOpen: death.half_open,
        faults.DiesDuringBroadcast: death.during_broadcast,
        faults.DoubleDisconnect: death.double_disconnect,
        faults.NeverPongs: liveness.never_pongs,
        faults.LatePong: liveness.late_pong,
        faults.WrongPong: liveness.wrong_pong,
        faults.UnsolicitedPongs: liveness.unsolicited_pongs,
        faults.PingFlood: liveness.ping_flood,
        faults.SilentApplication: liveness.silent_application,
        faults.Flood: inbound.flood,
        faults.Oversize: inbound.oversize,
        faults.EndlessFragments: inbound.endless_fragments,
        faults.DeflateBomb: inbound.deflate_bomb,
        faults.Dribble: inbound.dribble,
        faults.WrongType: inbound.wrong_type,
        faults.BadJson: inbound.bad_json,
        faults.DeepJson: inbound.deep_json,
        faults.ProtocolViolation: inbound.violation,
        faults.IgnoresClose: closing.ignores_close,
        faults.SendsAfterClose: closing.sends_after_close,
        faults.SimultaneousClose: closing.simultaneous_close,
        faults.ClosesMidBroadcast: closing.mid_broadcast,
        faults.ClosesWhileBlocked: closing.while_blocked,
    }
)
"""The act for each kind of fault that has one."""


def behave(actor: Actor) -> None:
    """Begin what the behaviour's faults do, in their order, until one ends the connection."""
    for fault in actor.behaviour.faults:
        act = ACTS.get(type(fault))
        if act is not None and actor.connected:
            act(actor, fault)
