"""Checks on real sockets: heartbeats, and the end."""

import asyncio

from simulators import faults
from simulators.behaviours import Behaviour
from simulators.contract.bench import short
from simulators.contract.registry import check
from simulators.contract.socket_bench import PIECE_BYTES, SocketBench

__all__: list[str] = []

_BEAT = 0.2
_LONGEST = 3.0
_WELCOME_BYTES = 4_000_000
_EVENTS = 20
_PACE = faults.SlowReader(bytes_per_second=500_000.0, chunk_bytes=8_192)
# What a manager allows a close before it gives up is not much longer.
_SOON = 0.5


@check(
    "sockets.ping_behind_a_full_buffer",
    "a ping that waits behind a full buffer stops nobody's heartbeat",
    defects=(38, 40),
    needs=("heartbeat", "endpoint"),
    promise="heartbeat_interval",
    why="One page that hangs while its snapshot loads, and the proxy drops all the others.",
    mend="Put each ping under the send timeout, and ping the clients concurrently.",
    tier="sockets",
)
async def _ping_behind_a_full_buffer(bench: SocketBench) -> str:
    """Fill a client's connection before it joins; then nothing is sent but pings."""
    await bench.start(heartbeat=_BEAT)
    stuck_name = "stalled-1"
    bench.managed.welcome_bytes[stuck_name] = _WELCOME_BYTES
    stuck = await bench.stalled()
    (reader,) = await bench.healthy(1)
    bench.met(bench.is_full(stuck), f"the connection of {stuck.name} took {_WELCOME_BYTES} bytes")
    limit = 4 * _BEAT + (bench.profile.send_timeout or 0.0) + bench.grace
    beats = 4
    await bench.until(lambda: len(bench.pings(reader)) >= beats, within=limit)
    seen = len(bench.pings(reader))
    bench.expect(
        seen >= beats,
        f"{reader.name}, healthy, got {seen} pings in {limit:.1f} s, one is due each {_BEAT:g} s: "
        f"a ping to {stuck.name} waits behind {_WELCOME_BYTES} bytes",
    )
    return f"{reader.name} was pinged {seen} times beside a client whose buffer is full"


@check(
    "sockets.quiet_half_open_peer_is_out",
    "a peer that is gone without a word is noticed though little is sent",
    defects=(31, 39),
    needs=("heartbeat", "said", "endpoint"),
    promise="pong_timeout",
    why="On a quiet stream nothing fills a buffer, and a dead client stays for a quarter hour.",
    mend="Ask for an answer to each ping, and drop who gives none within the limit.",
    tier="sockets",
)
async def _quiet_half_open_peer_is_out(bench: SocketBench) -> str:
    """Let a client stop answering, and send nothing."""
    allowed = bench.profile.pong_timeout or 0.0
    bench.offered(
        allowed <= _LONGEST,
        f"it would take {allowed:g} s of real time; it runs with a pong_timeout up to {_LONGEST:g}",
    )
    await bench.start(heartbeat=_BEAT)
    gone = await bench.visit(Behaviour(name="half-open", faults=(faults.HalfOpen(),)))
    (reader,) = await bench.healthy(1)
    limit = 2 * _BEAT + allowed + bench.grace
    began = bench.now
    out = await bench.until_out(gone, within=limit)
    bench.expect(
        out,
        f"{gone.name} answered nothing for {bench.now - began:.1f} s and was still in the pool; "
        f"the limit is {allowed:g} s",
    )
    bench.expect(not await bench.is_out(reader), f"{reader.name}, which answers, was dropped too")
    return f"it was out after {bench.now - began:.1f} s"


@check(
    "sockets.shutdown_loses_nothing",
    "a shutdown right after a broadcast loses nothing that was promised",
    defects=(56,),
    needs=("shutdown", "endpoint"),
    promise="shutdown_timeout",
    why="The last event before a restart is the one that says what comes after it.",
    mend="Let what was accepted go out before the close, within the shutdown's limit.",
    tier="sockets",
)
async def _shutdown_loses_nothing(bench: SocketBench) -> str:
    """Shut down while the last events are still on their way to a client that reads steadily."""
    bench.offered(
        bench.profile.on_return == "delivered",
        "the profile promises no delivery when broadcast returns",
    )
    reader = await bench.visit()
    steady = await bench.visit(Behaviour(name="steady", faults=(_PACE,)))
    for _ in range(_EVENTS):
        await bench.broadcast(text="x" * PIECE_BYTES)
    limit = bench.profile.shutdown_timeout or 0.0
    left = len(bench.numbers(steady))
    bench.met(not await bench.is_out(steady), f"{steady.name}, which reads, was dropped before")
    began = bench.now
    task = asyncio.create_task(
        bench.within(bench.managed.shutdown(), what="shutdown", seconds=limit)
    )
    for client in (reader, steady):
        await bench.until_closed(client, within=2 * bench.grace)
    ended = bench.now
    await task
    for client in (reader, steady):
        seen = bench.numbers(client)
        whole = len(seen) == _EVENTS
        bench.met(whole or ended < began + _SOON, "this machine is too busy to tell")
        bench.expect(
            seen == list(range(1, _EVENTS + 1)),
            f"{client.name} got events {short(seen)} of {_EVENTS}: the others were broadcast, and "
            "lost by the shutdown",
        )
    bench.met(left < _EVENTS, "nothing was under way any more when it was shut down")
    return f"{_EVENTS - left} events were under way, and all arrived before the close"


@check(
    "sockets.shutdown_code",
    "the close code of a shutdown lets a browser come back, as it is on the wire",
    level="SHOULD",
    defects=(57,),
    needs=("shutdown", "endpoint"),
    promise="close_codes",
    why="After code 1000, Starlette's default, a browser does not reconnect: each page stays dead.",
    mend="Close with code=1012 (service restart) or 1001.",
    tier="sockets",
)
async def _shutdown_code(bench: SocketBench) -> str:
    """Look at the code that a healthy client reads."""
    (reader,) = await bench.healthy(1)
    task = asyncio.create_task(bench.within(bench.managed.shutdown(), what="shutdown"))
    bench.met(await bench.until_closed(reader, within=2 * bench.grace), "the client was not closed")
    await task
    code = reader.closed.code if reader.closed is not None else 0
    allowed = bench.profile.close_codes or ()
    bench.expect(
        code in allowed,
        f"it was closed with code {code}; expected one of {', '.join(map(str, allowed))}",
    )
    return f"closed with {code}"
