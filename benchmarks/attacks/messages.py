"""Attacks by what a client sends over a WebSocket: too much, too large, without end, inflating."""

import zlib

from attacks.attack import MIB, Attack, Served, behaving, deaf, many
from simulators.behaviours import Behaviour
from simulators.faults import (
    DeflateBomb,
    EndlessFragments,
    Flood,
    Oversize,
    PingFlood,
    UnsolicitedPongs,
)
from simulators.tcp.frames import CONTINUATION, PING, TEXT, encode_frame

_RATE = "1 000 messages/s, and 100 frames/s beside them"


async def flood(served: Served) -> str:
    """Send more messages than anybody types."""
    behaviour = Behaviour(name="flood", faults=(Flood(rate=50_000),))
    return await many(5, lambda _: behaving(served, behaviour))


async def empty_frames(served: Served) -> str:
    """Send empty messages by the megabyte."""
    data = encode_frame(TEXT, b"") * 10_000
    return await many(5, lambda _: deaf(served, data, times=100))


async def ping_flood(served: Served) -> str:
    """Ask for pongs."""
    behaviour = Behaviour(name="pings", faults=(PingFlood(rate=50_000),))
    return await many(5, lambda _: behaving(served, behaviour))


async def deaf_pings(served: Served) -> str:
    """Ask for pongs and do not read them."""
    data = encode_frame(PING, b"x" * 125) * 500
    return await many(5, lambda _: deaf(served, data, times=1_000))


async def pong_flood(served: Served) -> str:
    """Answer what was not asked."""
    behaviour = Behaviour(name="pongs", faults=(UnsolicitedPongs(rate=50_000),))
    return await many(5, lambda _: behaving(served, behaviour))


async def oversize(served: Served) -> str:
    """Send a message of 16 MiB."""
    behaviour = Behaviour(name="oversize", faults=(Oversize(),))
    return await many(5, lambda _: behaving(served, behaviour))


async def endless(served: Served) -> str:
    """Send a message that never ends."""
    fault = EndlessFragments(fragments=400, fragment_bytes=1_000)
    behaviour = Behaviour(name="endless", faults=(fault,))
    return await many(5, lambda _: behaving(served, behaviour))


async def empty_fragments(served: Served) -> str:
    """Send a message that never ends, and never grows."""
    data = encode_frame(CONTINUATION, b"", final=False) * 10_000
    first = encode_frame(TEXT, b"", final=False)
    return await many(5, lambda _: deaf(served, first + data, times=100))


async def unasked_bomb(served: Served) -> str:
    """Send what inflates to 64 MiB where nobody agreed to compression."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # After a full flush no block refers to one before it: one stands for all.
    block = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    data = encode_frame(TEXT, 64 * block, compressed=True)
    return await many(5, lambda _: deaf(served, data, times=1))


async def agreed_bomb(served: Served) -> str:
    """Send what inflates to 64 MiB where compression was agreed to."""
    behaviour = Behaviour(name="bomb", faults=(DeflateBomb(),))
    return await many(5, lambda _: behaving(served, behaviour))


ATTACKS = (
    Attack(
        name="flood of messages",
        tries="5 send 50 000 messages a second",
        held_by=f"`--max-inbound-rate`: {_RATE}",
        ends="closed 1008 x5",
        play=flood,
    ),
    Attack(
        name="flood of empty messages",
        tries="5 send empty messages by the megabyte",
        held_by="the same, looked at every 4 KiB",
        ends="dropped x5",
        play=empty_frames,
    ),
    Attack(
        name="flood of pings",
        tries="5 send 50 000 pings a second",
        held_by="the same: any frame counts",
        ends="closed 1008 x5",
        play=ping_flood,
    ),
    Attack(
        name="flood of pings, pongs unread",
        tries="5 send pings by the megabyte, and do not read the answers",
        held_by="the same; who does not read is owed 4 KiB of pongs at most",
        ends="dropped x5",
        play=deaf_pings,
    ),
    Attack(
        name="flood of pongs",
        tries="5 send 50 000 pongs a second",
        held_by="the same",
        ends="closed 1008 x5",
        play=pong_flood,
    ),
    Attack(
        name="oversized message",
        tries="5 send a message of 16 MiB",
        held_by="`--max-inbound-bytes`, by the length that is declared",
        ends="closed 1009 x5",
        play=oversize,
    ),
    Attack(
        name="endless message",
        tries="5 send fragments of 1 000 bytes without end",
        held_by="`--max-inbound-bytes`, over all fragments",
        ends="closed 1009 x5",
        play=endless,
    ),
    Attack(
        name="endless message of nothing",
        tries="5 send empty fragments without end",
        held_by="`--max-inbound-rate`; fragments are joined as they come",
        ends="dropped x5",
        play=empty_fragments,
    ),
    Attack(
        name="deflate bomb",
        tries="5 send 64 KiB that inflate to 64 MiB",
        held_by="compression is not agreed to",
        ends="dropped x5",
        play=unasked_bomb,
    ),
    Attack(
        name="deflate bomb, agreed to",
        tries="the same against `--compression`",
        held_by="`--max-inbound-bytes`, of what is inflated, before it is",
        ends="closed 1009 x5",
        play=agreed_bomb,
        options=("--compression",),
    ),
)
