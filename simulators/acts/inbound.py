"""Sending what upsets a server."""

import functools
import itertools
import random
import zlib
from collections.abc import Callable
from typing import Final

from simulators.faults import (
    BadJson,
    DeepJson,
    DeflateBomb,
    Dribble,
    EndlessFragments,
    Flood,
    Inbound,
    Oversize,
    ProtocolViolation,
    WrongType,
)
from simulators.tcp.actor import Actor
from simulators.tcp.frames import BINARY, CONTINUATION, TEXT, encode_frame
from simulators.tcp.violations import RULES

__all__ = [
    "bad_json",
    "bomb",
    "deep_json",
    "deflate_bomb",
    "dribble",
    "endless_fragments",
    "flood",
    "oversize",
    "violation",
    "wrong_type",
]

# Legal, and masking megabytes with it costs nothing.
_NO_MASK: Final = b"\0\0\0\0"
_BLOCK_BYTES: Final = 1024 * 1024
# What deflate makes of a block of zeros, and of random text of 7 bits.
_BEST_RATIO: Final = 1_030
_TEXT_SHRINKS_TO: Final = 0.875


def _when_due(actor: Actor, fault: Inbound, action: Callable[[], None]) -> None:
    def act() -> None:
        action()
        if fault.every is not None:
            actor.after(fault.every, act)

    if fault.after_seconds:
        actor.after(fault.after_seconds, act)
    else:
        act()


def flood(actor: Actor, fault: Flood) -> None:
    """Send text messages without end."""
    frame = encode_frame(TEXT, b"x" * fault.message_bytes)
    actor.steadily(fault.rate, lambda: frame, after_seconds=fault.after_seconds)


def oversize(actor: Actor, fault: Oversize) -> None:
    """Send a message that is too large."""
    frame = functools.partial(encode_frame, TEXT, b"x" * fault.message_bytes, mask=_NO_MASK)
    _when_due(actor, fault, lambda: actor.write(frame()))


def endless_fragments(actor: Actor, fault: EndlessFragments) -> None:
    """Send a message in fragments and do not finish it."""
    payload = b"x" * fault.fragment_bytes
    first = encode_frame(TEXT, payload, final=False)
    next_one = encode_frame(CONTINUATION, payload, final=False)
    begun = False

    def send() -> None:
        nonlocal begun
        opening, begun = (() if begun else (first,)), True
        rest = itertools.repeat(next_one, fault.fragments - len(opening))
        actor.pour(itertools.chain(opening, rest))

    _when_due(actor, fault, send)


def deflate_bomb(actor: Actor, fault: DeflateBomb) -> None:
    """Send a small message that is large when it is inflated, if the server takes compression."""
    if not actor.compresses:
        actor.unmet[fault.kind] = "the server did not agree to permessage-deflate"
        return
    _when_due(actor, fault, lambda: actor.write(bomb(fault.message_bytes, fault.ratio)))


@functools.lru_cache(maxsize=4)
def bomb(message_bytes: int, ratio: float) -> bytes:
    """Return a compressed frame that inflates to so many bytes, about `ratio` times its own."""
    hard_bytes = round(max(0, _BLOCK_BYTES / ratio - _BLOCK_BYTES / _BEST_RATIO) / _TEXT_SHRINKS_TO)
    text = bytes(byte & 0x7F for byte in random.Random(0).randbytes(min(hard_bytes, _BLOCK_BYTES)))
    block = text + bytes(_BLOCK_BYTES - len(text))
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)

    def deflated(data: bytes) -> bytes:
        # After a full flush no block refers to one before it: one can stand for all.
        return compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)

    whole, rest = divmod(message_bytes, _BLOCK_BYTES)
    payload = (deflated(block) * whole if whole else b"") + (
        deflated(block[:rest]) if rest else b""
    )
    return encode_frame(TEXT, payload.removesuffix(b"\0\0\xff\xff"), mask=_NO_MASK, compressed=True)


def dribble(actor: Actor, fault: Dribble) -> None:
    """Send a message byte by byte."""
    payload = b"x" * fault.message_bytes
    _when_due(actor, fault, lambda: actor.dribble(encode_frame(TEXT, payload), fault.interval))


def wrong_type(actor: Actor, fault: WrongType) -> None:
    """Send a binary message."""
    _when_due(actor, fault, lambda: actor.send(BINARY, b"\x00\xff not a text"))


def bad_json(actor: Actor, fault: BadJson) -> None:
    """Send text that is no JSON."""
    _when_due(actor, fault, lambda: actor.send(TEXT, b'{"type": "pong", "timestamp": '))


def deep_json(actor: Actor, fault: DeepJson) -> None:
    """Send deeply nested JSON."""
    payload = b"[" * fault.depth + b"]" * fault.depth
    _when_due(actor, fault, lambda: actor.write(encode_frame(TEXT, payload, mask=_NO_MASK)))


def violation(actor: Actor, fault: ProtocolViolation) -> None:
    """Break the protocol once."""
    rule = RULES[fault.violation]

    def send() -> None:
        actor.write(rule.data)
        actor.hush()
        if rule.finishes:
            actor.finish()

    actor.after(fault.after_seconds, send)
