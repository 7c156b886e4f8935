"""Checks on real sockets: what clients get, beside others that do not read."""

import asyncio

from simulators import faults
from simulators.behaviours import Behaviour
from simulators.contract.bench import short
from simulators.contract.registry import check
from simulators.contract.socket_bench import SocketBench
from simulators.contract.visits import Visitor

__all__: list[str] = []

_LARGE_BYTES = 40_000
_ALL_ON_THE_WAY = (
    "what was published while it did not read was kept for it on the way, and it got everything; "
    "say what makes the server broadcast, --say or --publish, to send it more"
)


async def _stall_out(bench: SocketBench) -> tuple[Visitor, Visitor, bool]:
    """Stall a client until the manager must have given it up.

    Returns:
        It, one that reads, and whether it was given up, as far as that can be seen.
    """
    stuck = await bench.stalled()
    (reader,) = await bench.healthy(1)
    await bench.fill(stuck)
    limit = (bench.profile.send_timeout or 0.0) + bench.grace
    if bench.site.server is None:
        # Whether it is out cannot be seen from here: that time has passed must do.
        await asyncio.sleep(limit)
        return stuck, reader, True
    out = await bench.until_out(stuck, within=limit)
    bench.met(out or bench.held_bytes(stuck), f"what was held for {stuck.name} went out after all")
    return stuck, reader, out


async def _evicted(bench: SocketBench) -> Visitor:
    """Return a client that was evicted because it does not read.

    Raises:
        Unmet: nobody was evicted; another check judges that.
    """
    stuck, _, out = await _stall_out(bench)
    bench.met(out, f"{stuck.name} does not read, and was not evicted")
    return stuck


@check(
    "sockets.everyone_gets_everything",
    "over TCP every client gets every event once, as text, and in order",
    defects=(8, 9),
    why="What holds between objects in one process need not hold on a wire.",
    mend="Give each client one writer, and await each of its sends before the next.",
    tier="sockets",
)
async def _everyone_gets_everything(bench: SocketBench) -> str:
    """Broadcast some events one by one, and some together."""
    readers = await bench.healthy(3)
    many = bench.site.pace.many
    for _ in range(many // 2):
        await bench.broadcast()
    # A large one must not be overtaken by the small one after it.
    sizes = [_LARGE_BYTES if number % 2 else 0 for number in range(many - many // 2)]
    await bench.wait(*[bench.broadcast_soon(text="x" * size) for size in sizes])
    whole = list(range(1, many + 1))
    for reader in readers:
        await bench.until_counted(reader, many, within=bench.grace)
        seen = bench.numbers(reader)
        bench.expect(sorted(seen) == whole, f"{reader.name} got events {short(seen)} of {many}")
        bench.expect(
            bench.profile.order == "none" or seen == whole,
            f"{reader.name} got the events in another order: {short(seen)}",
        )
        bench.expect(
            bench.form != "text" or all(isinstance(sent, str) for sent, _ in reader.received),
            f"{reader.name} got binary messages: a browser makes a Blob of them",
        )
        bench.expect(
            reader.protocol_error is None,
            f"what {reader.name} was sent is no WebSocket: {reader.protocol_error}",
        )
    return f"{len(readers)} clients got {many} events"


@check(
    "sockets.stalled_readers_delay_nobody",
    "clients whose buffers are full delay nobody else",
    defects=(4, 5, 26),
    why="Sends to a client that does not read succeed until its buffers are full, and then hang.",
    mend="Send to all clients concurrently, each under a deadline.",
    tier="sockets",
)
async def _stalled_readers_delay_nobody(bench: SocketBench) -> str:
    """Stall several clients together, until nothing more can be written to them."""
    before = await bench.visit()
    stuck = await bench.stalled_together(5)
    after = await bench.visit()
    numbers = await bench.fill(stuck[-1])
    last = numbers[-1]
    began = bench.asked_at
    due = "broadcast" if not bench.site.pace.by_itself else "due"
    limit = (bench.profile.send_timeout or 0.0) + bench.grace
    for reader in (before, after):
        await bench.until_seen(reader, last, within=limit - bench.now + began)
        bench.expect(
            last in bench.numbers(reader),
            f"{reader.name}, healthy, had not event {last} {bench.now - began:.1f} s after it was "
            f"{due}: {len(stuck)} clients do not read, and their buffers are full",
        )
    bench.met(
        not bench.site.pace.by_itself or await bench.lost_something(stuck[-1]), _ALL_ON_THE_WAY
    )
    return f"{len(stuck)} clients with full buffers, and the others had every event"


@check(
    "sockets.stalled_reader_is_out",
    "a client whose buffers are full is out after the send timeout",
    defects=(5, 7, 26),
    needs=("server",),
    promise="send_timeout",
    why="TCP itself gives up on a silent peer after a quarter of an hour.",
    mend="Put every send under a deadline, and remove the client when it has passed.",
    tier="sockets",
)
async def _stalled_reader_is_out(bench: SocketBench) -> str:
    """Stall one client."""
    stuck, reader, out = await _stall_out(bench)
    bench.expect(
        out,
        f"{stuck.name} does not read, and {bench.now:.1f} s later it was still in the pool, or a "
        f"send to it still waited; the send timeout is {bench.profile.send_timeout:g} s",
    )
    last = await bench.broadcast()
    await bench.until_seen(reader, last, within=bench.grace)
    bench.expect(last in bench.numbers(reader), f"{reader.name} got nothing after the eviction")
    return f"it was out {bench.now:.1f} s after it had stopped reading"


@check(
    "sockets.evicted_client_is_told",
    "a client that reads again after its eviction finds its connection closed",
    defects=(19,),
    promise="send_timeout",
    why="A page that wakes up and hears nothing shows old data as if it were live.",
    mend="Close the socket of a client that is dropped: in a task of its own, with a deadline.",
    tier="sockets",
)
async def _evicted_client_is_told(bench: SocketBench) -> str:
    """Let an evicted client wake up."""
    stuck = await _evicted(bench)
    stuck.resume()
    closed = await bench.until_closed(stuck, within=2 * bench.grace)
    if bench.site.server is None:
        seen = bench.numbers(stuck)
        everything = len(set(seen)) >= len(bench.ticks)
        why = _ALL_ON_THE_WAY if bench.site.pace.by_itself else "it got everything"
        bench.met(closed or not everything, f"{stuck.name} was not evicted: {why}")
    was = "evicted" if bench.site.server is not None else "not sent everything"
    bench.expect(
        closed,
        f"{stuck.name} was {was} and reads again, and {2 * bench.grace:.1f} s later nobody had "
        "told it",
    )
    return f"it was told: {stuck.closed.code if stuck.closed else 0}"


@check(
    "sockets.eviction_code",
    "the close code of an eviction lets a browser come back, as it is on the wire",
    level="SHOULD",
    defects=(57,),
    promise="close_codes",
    why="After code 1000 or none a browser takes the end for a wish, and stays away.",
    mend="Close with code=1013 (try again later) or 1008.",
    tier="sockets",
)
async def _eviction_code(bench: SocketBench) -> str:
    """Look at the code that an evicted client reads. A connection that broke has 1006."""
    bench.offered(bench.profile.send_timeout, "the profile makes no promise of send_timeout")
    stuck = await _evicted(bench)
    stuck.resume()
    bench.met(await bench.until_closed(stuck, within=2 * bench.grace), "the client was not closed")
    code = stuck.closed.code if stuck.closed is not None else 0
    allowed = (*(bench.profile.close_codes or ()), 1006)
    bench.expect(
        code in allowed,
        f"it was closed with code {code}; expected one of {', '.join(map(str, allowed))}",
    )
    return f"closed with {code}"


@check(
    "sockets.cancelled_send_leaves_no_hole",
    "a send that was cancelled leaves no hole in what its client gets",
    defects=(10,),
    needs=("cancel", "async broadcast"),
    why="Some servers have sent by then and others have not: who goes on guesses.",
    mend="Send in a task of its own; after a cancelled send close the client.",
    tier="sockets",
)
async def _cancelled_send_leaves_no_hole(bench: SocketBench) -> str:
    """Cancel a broadcast while a client pauses, and let it go on reading."""
    pausing = await bench.stalled()
    (reader,) = await bench.healthy(1)
    await bench.fill(pausing)
    given_up = bench.next_number()
    task = bench.broadcast_soon(given_up)
    await asyncio.sleep(0.05)
    waited = not task.done()
    task.cancel()
    await asyncio.sleep(0.02)
    pausing.resume()
    last = await bench.broadcast()
    for client in (reader, pausing):
        await bench.until_seen(client, last, within=bench.grace)
    seen = bench.numbers(pausing)
    bench.met(seen, "the pausing client read nothing at all")
    ordered = sorted(seen)
    bench.expect(
        ordered == list(range(1, len(seen) + 1)),
        f"{pausing.name} paused, and got events {short(ordered)}: the broadcast of {given_up} was "
        "cancelled while it paused",
    )
    ended = pausing.closed is not None
    bench.expect(
        last in seen or ended, f"{pausing.name} got {len(seen)} of {last} events, and is still open"
    )
    shown = "the client was closed" if ended else "the client got all events"
    return shown + ("" if waited else "; the broadcast did not wait for anybody")


@check(
    "sockets.connection_is_freed",
    "the connection of an evicted client that never reads again is freed",
    level="SHOULD",
    defects=(21,),
    promise="close_timeout",
    needs=("server",),
    why="Each keeps a socket, a task and its buffers for as long as its peer likes.",
    mend="Abort the transport after the close timeout: ASGI alone cannot, a protocol class can.",
    tier="sockets",
)
async def _connection_is_freed(bench: SocketBench) -> str:
    """Evict a client that never reads again, and look at the server's end."""
    bench.offered(bench.profile.send_timeout, "the profile makes no promise of send_timeout")
    probe = await bench.visit()
    bench.offered(
        bench.abort_offered(probe),
        "the server lets nobody drop a connection at once, see --protocol "
        "flock_ws.uvicorn_protocol:FlockWebSocketProtocol",
    )
    stuck = await _evicted(bench)
    began = bench.now
    limit = (bench.profile.close_timeout or 0.0) + bench.grace
    gone = await bench.until(lambda: bench.held_bytes(stuck) is None, within=limit)
    bench.expect(
        gone,
        f"{bench.now - began:.1f} s after its eviction the server still held the connection of "
        f"{stuck.name} and {bench.held_bytes(stuck)} bytes for it",
    )
    return f"it was gone {bench.now - began:.1f} s after the eviction"


@check(
    "sockets.oversized_event_closes_nobody",
    "an event that is too large for the clients is not sent",
    defects=(15,),
    promise="event_bytes",
    why="Each client closes with 1009, comes back, and is sent it again.",
    mend="Measure the encoded event in bytes, and refuse it before anybody is sent it.",
    tier="sockets",
)
async def _oversized_event_closes_nobody(bench: SocketBench) -> str:
    """Broadcast to clients that take so many bytes and close for more."""
    most = bench.profile.event_bytes or 0

    closed: set[str] = set()

    def take(client: Visitor, message: bytes) -> None:
        if len(message) > most:
            closed.add(client.name)
            client.close(1009, "message too big")

    readers = [await bench.visit(on_message=take) for _ in range(3)]
    # Of three bytes each: whoever counts characters finds it small enough.
    task = bench.broadcast_soon(text="京" * (most // 2))
    await asyncio.wait({task}, timeout=bench.grace)
    last = await bench.broadcast()
    for reader in readers:
        await bench.until_seen(reader, last, within=bench.grace)
        bench.expect(
            reader.closed is None and reader.name not in closed,
            f"an event of more than {most} bytes was sent, and {reader.name} closed with 1009",
        )
        bench.expect(last in bench.numbers(reader), f"{reader.name} got nothing after it")
    return f"it reached nobody, and {len(readers)} clients got the next event"


@check(
    "sockets.dead_peer_is_noticed_by_its_sends",
    "a client whose peer was reset is out, though its endpoint never receives",
    defects=(26, 30, 31),
    needs=("endpoint",),
    why="An endpoint that only sends never hears of a disconnect: only the sends can tell.",
    mend="Remove a client when a send to it fails, whatever its endpoint will do later.",
    tier="sockets",
)
async def _dead_peer_is_noticed_by_its_sends(bench: SocketBench) -> str:
    """Reset a connection whose endpoint does not receive, and send a little."""
    bench.managed.only_sends = True
    (reader,) = await bench.healthy(1)
    dead = await bench.visit(Behaviour(name="dead", faults=(faults.Reset(after_messages=1),)))
    await bench.broadcast()
    bench.met(
        await bench.until(lambda: dead.died_at is not None, within=bench.grace),
        "no connection was reset",
    )
    began = bench.now
    out = False
    while not out and bench.now < began + 2 * bench.grace:
        await bench.broadcast()
        out = await bench.until_out(dead, within=0.05)
    last = await bench.broadcast()
    await bench.until_seen(reader, last, within=bench.grace)
    bench.expect(last in bench.numbers(reader), f"{reader.name}, healthy, was harmed by it")
    bench.expect(
        out,
        f"{dead.name} was reset, and {bench.now - began:.1f} s and {last - 2} events later it was "
        "still in the pool",
    )
    return f"it was out after {last - 2} more events"
