"""Answering pings late, wrongly or not at all, and pinging without need."""

from collections.abc import Callable

from simulators.faults import (
    LatePong,
    NeverPongs,
    PingFlood,
    SilentApplication,
    UnsolicitedPongs,
    WrongPong,
)
from simulators.tcp.actor import Actor
from simulators.tcp.frames import PING, PONG, encode_frame

__all__ = [
    "late_pong",
    "never_pongs",
    "ping_flood",
    "silent_application",
    "unsolicited_pongs",
    "wrong_pong",
]


def _nothing(*_: bytes) -> None:
    """Do nothing about it."""


def never_pongs(actor: Actor, fault: NeverPongs) -> None:
    """Answer no ping."""

    def fall_silent() -> None:
        actor.on_ping = actor.on_application_ping = _nothing

    if fault.after_seconds:
        actor.after(fault.after_seconds, fall_silent)
    else:
        fall_silent()


def late_pong(actor: Actor, fault: LatePong) -> None:
    """Answer each ping, but late."""

    def later(answer: Callable[..., None]) -> Callable[..., None]:
        return lambda *payload: actor.after(fault.delay, answer, *payload)

    actor.on_ping = later(actor.on_ping)
    actor.on_application_ping = later(actor.on_application_ping)


def wrong_pong(actor: Actor, fault: WrongPong) -> None:
    """Answer pings with what was not asked."""
    del fault
    actor.on_ping = lambda payload: actor.send(PONG, payload[:-1] + b"?")
    actor.on_application_ping = lambda: actor.answer_application(-1)


def silent_application(actor: Actor, fault: SilentApplication) -> None:
    """Answer the protocol's pings only."""
    del fault
    actor.on_application_ping = _nothing


def unsolicited_pongs(actor: Actor, fault: UnsolicitedPongs) -> None:
    """Send pongs that nobody asked for."""
    actor.steadily(
        fault.rate, lambda: encode_frame(PONG, b"unasked"), after_seconds=fault.after_seconds
    )


def ping_flood(actor: Actor, fault: PingFlood) -> None:
    """Send pings without end."""
    actor.steadily(
        fault.rate, lambda: encode_frame(PING, b"flood"), after_seconds=fault.after_seconds
    )
