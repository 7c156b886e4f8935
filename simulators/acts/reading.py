"""Reading slowly, now and then, or not at all."""

from simulators.faults import PulsingReader, SlowReader, StalledReader
from simulators.tcp.actor import Actor

__all__ = ["pulsing", "slow", "stalled"]


def slow(actor: Actor, fault: SlowReader) -> None:
    """Read at a steady low rate."""
    gate = actor.gate
    if gate is None:
        return
    if fault.after_seconds:
        actor.after(fault.after_seconds, gate.narrow, fault)
    else:
        gate.narrow(fault)


def stalled(actor: Actor, fault: StalledReader) -> None:
    """Stop reading at the first limit that is reached; after `resume` no other one counts."""
    done = False

    def stall() -> None:
        nonlocal done
        if done:
            return
        done = True
        actor.stall()
        if fault.resume_after is not None:
            actor.after(fault.resume_after, actor.resume)

    if fault.at_once:
        stall()
        return
    if fault.after_messages is not None:
        actor.at_messages(fault.after_messages, stall)
    if fault.after_bytes is not None:
        actor.at_bytes(fault.after_bytes, stall)
    if fault.after_seconds is not None:
        actor.after(fault.after_seconds, stall)


def pulsing(actor: Actor, fault: PulsingReader) -> None:
    """Read for a while, do not for a while, and so on."""

    def pause() -> None:
        actor.stall()
        actor.after(fault.off, go_on)

    def go_on() -> None:
        actor.resume()
        actor.after(fault.on, pause)

    actor.after(fault.after_seconds + fault.on, pause)
