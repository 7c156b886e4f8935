"""Dying, each in its own way."""

import socket
from collections.abc import Callable

from simulators.faults import (
    CloseWithUnread,
    Death,
    DiesDuringBroadcast,
    DoubleDisconnect,
    FinWithoutClose,
    HalfClose,
    HalfOpen,
    Reset,
)
from simulators.tcp.actor import Actor
from simulators.tcp.connection import reset_on_close, unread_bytes

__all__ = [
    "at_part",
    "close_with_unread",
    "double_disconnect",
    "during_broadcast",
    "fin_without_close",
    "half_close",
    "half_open",
    "reset",
]

_LOOK_AGAIN = 0.01
# When nothing more arrived for this long, what the client left unread is all that fits.
_STILL = 0.1
# A kernel counts its own bookkeeping too: of a buffer's size, this much is data at least.
_FULL = 1 / 4


def _once(actor: Actor, fault: Death, action: Callable[[], None]) -> None:
    """Do something once, at the first limit that is reached."""
    done = False

    def act() -> None:
        nonlocal done
        if not done:
            done = True
            action()

    if fault.at_once:
        act()
        return
    if fault.after_messages is not None:
        actor.at_messages(fault.after_messages, act)
    if fault.after_seconds is not None:
        actor.after(fault.after_seconds, act)


def at_part(
    actor: Actor, part: float, ready: Callable[[], bool], action: Callable[[], None]
) -> None:
    """Do something when this part of a message has been read, and nothing behind it.

    Args:
        actor: the client. It reads in small pieces from now on.
        part: of the message; 0 is its head alone.
        ready: whether the message that is beginning is the one.
        action: what to do, once.
    """

    def look() -> None:
        gate = actor.gate
        if gate is None or actor.on_part is None:
            return
        begun = gate.reader.beginning()
        if not begun.size_bytes:
            gate.chunk_bytes = begun.lacking_bytes
            return
        have = begun.size_bytes - begun.lacking_bytes
        wanted = round(begun.size_bytes * part)
        if begun.opcode < 8 and ready() and have >= wanted:  # noqa: PLR2004 - below are messages
            actor.on_part = None
            gate.chunk_bytes = None
            action()
        elif begun.opcode < 8 and ready():  # noqa: PLR2004 - the same
            gate.chunk_bytes = wanted - have
        else:
            gate.chunk_bytes = begun.lacking_bytes or None

    actor.on_part = look
    look()


def fin_without_close(actor: Actor, fault: FinWithoutClose) -> None:
    """Close the socket without a close frame."""

    def fin() -> None:
        # Before the close, which with anything unread is a reset.
        actor.finish()
        actor.break_off("closed by this client without a close frame")

    _once(actor, fault, fin)


def reset(actor: Actor, fault: Reset) -> None:
    """Die with a TCP reset."""
    if fault.when == "mid_frame":
        due = False

        def ready() -> None:
            nonlocal due
            due = True
            if actor.on_part is not None:
                actor.on_part()

        at_part(actor, 0.5, lambda: due, actor.die)
        _once(actor, fault, ready)
    elif fault.when == "during_send":
        _once(actor, fault, lambda: _when_full(actor))
    elif fault.when == "idle":
        _once(actor, fault, actor.die)


def _when_full(actor: Actor) -> None:
    """Stop reading, and die when nothing more arrives: then a send waits."""
    actor.stall()
    last, since = 0, actor.loop.time()

    def look() -> None:
        nonlocal last, since
        sock = actor.socket
        if sock is None or sock.fileno() < 0:
            return
        now, unread = actor.loop.time(), unread_bytes(sock)
        if unread != last:
            last, since = unread, now
        full = unread >= sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) * _FULL
        if full and now - since >= _STILL:
            actor.die()
        else:
            actor.after(_LOOK_AGAIN, look)

    look()


def close_with_unread(actor: Actor, fault: CloseWithUnread) -> None:
    """Close the socket while something is unread."""

    def look() -> None:
        sock, gate = actor.socket, actor.gate
        if sock is None or gate is None:
            return
        if gate.reader.buffered_bytes or unread_bytes(sock):
            # What only this client's own buffer holds, the kernel takes for read.
            reset_on_close(sock)
            actor.break_off("closed by this client with something unread")
        else:
            actor.after(_LOOK_AGAIN, look)

    def stop() -> None:
        actor.stall()
        look()

    _once(actor, fault, stop)


def half_close(actor: Actor, fault: HalfClose) -> None:
    """End this side of the connection, and go on reading."""

    def finish() -> None:
        actor.died_at = actor.loop.time()
        actor.finish()

    _once(actor, fault, finish)


def half_open(actor: Actor, fault: HalfOpen) -> None:
    """Neither read nor send, and keep the connection."""

    def vanish() -> None:
        actor.hush()
        actor.stall()

    _once(actor, fault, vanish)


def during_broadcast(actor: Actor, fault: DiesDuringBroadcast) -> None:
    """Die when a message begins to arrive."""
    at_part(actor, 0, lambda: actor.received_messages >= fault.nth - 1, actor.die)


def double_disconnect(actor: Actor, fault: DoubleDisconnect) -> None:
    """Close, and reset right behind it."""

    def leave() -> None:
        actor.close(fault.code)
        actor.die()

    _once(actor, fault, leave)
