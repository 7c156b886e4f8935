"""Closing badly, or not letting oneself be closed."""

from simulators.acts.death import at_part
from simulators.faults import (
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    IgnoresClose,
    SendsAfterClose,
    SimultaneousClose,
)
from simulators.tcp.actor import Actor
from simulators.tcp.frames import TEXT, parse_close

__all__ = [
    "ignores_close",
    "mid_broadcast",
    "sends_after_close",
    "simultaneous_close",
    "while_blocked",
]


def ignores_close(actor: Actor, fault: IgnoresClose) -> None:
    """Read the close frame, and keep the connection."""

    def ignore(payload: bytes) -> None:
        actor.heed_close(payload)
        actor.hush()
        if fault.hold is not None:
            actor.after(fault.hold, actor.hang_up, *parse_close(payload))

    actor.on_close = ignore


def sends_after_close(actor: Actor, fault: SendsAfterClose) -> None:
    """Send some messages when told to close, and only then answer."""
    answer = actor.on_close

    def go_on(left: int, payload: bytes) -> None:
        if left:
            actor.send(TEXT, b"one more thing")
            actor.after(1 / fault.rate, go_on, left - 1, payload)
        else:
            answer(payload)

    def on_close(payload: bytes) -> None:
        actor.heed_close(payload)
        go_on(fault.messages, payload)

    actor.on_close = on_close


def simultaneous_close(actor: Actor, fault: SimultaneousClose) -> None:
    """Close with a code of one's own when the server does."""

    def on_close(payload: bytes) -> None:
        actor.close(fault.code)
        actor.hang_up(*parse_close(payload))

    actor.on_close = on_close


def mid_broadcast(actor: Actor, fault: ClosesMidBroadcast) -> None:
    """Leave properly when a message begins to arrive."""
    at_part(
        actor,
        0,
        lambda: actor.received_messages >= fault.nth - 1,
        lambda: actor.close(fault.code),
    )


def while_blocked(actor: Actor, fault: ClosesWhileBlocked) -> None:
    """Stop reading, and close while a send waits for it; what follows is not read either."""

    def stop() -> None:
        actor.stall()
        actor.after(fault.hold, actor.close, fault.code)

    if fault.after_messages:
        actor.at_messages(fault.after_messages, stop)
    else:
        stop()
