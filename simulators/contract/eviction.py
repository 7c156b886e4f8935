"""Checks: who is dropped, how, and what comes after it."""

import asyncio

from starlette.websockets import WebSocketDisconnect

from simulators.contract.bench import Bench, short
from simulators.contract.registry import check
from simulators.contract.witness import Witness

__all__: list[str] = []


class _LibraryError(Exception):
    """What a library of its own raises: a subclass of nothing that anybody names."""


_ERRORS: tuple[BaseException, ...] = (
    RuntimeError('Cannot call "send" once a close message has been sent.'),
    WebSocketDisconnect(1006),
    ConnectionResetError("the peer is gone"),
    BrokenPipeError(),
    OSError(),
    TimeoutError(),
    AssertionError(),
    ValueError(),
    KeyError("socket"),
    _LibraryError(),
)


async def _stall_out(bench: Bench, stuck: Witness) -> float:
    """Broadcast until a client that does not read must be out; return when that was."""
    task = bench.broadcast_soon(1)
    timeout = bench.profile.send_timeout or 0.0
    await bench.sleep(timeout + bench.profile.slack)
    bench.met(stuck.blocked, "no send to a client that does not read waited")
    task.cancel()
    await bench.sleep(0)
    return bench.now


def _is_out(bench: Bench, client: Witness) -> bool:
    """Whether a client was evicted, as far as that can be seen."""
    if bench.members() is not None:
        return not bench.is_member(client)
    return client.failed and not client.waiting


@check(
    "evict.slow_client_is_out",
    "a client that broke the send timeout is out of the pool",
    defects=(5, 7),
    promise="send_timeout",
    why="A client that is kept after its timeout costs it again with every event.",
    mend="Remove a client from the pool when a send to it fails or times out.",
)
async def _slow_client_is_out(bench: Bench) -> str:
    """Stall a client, and see whether it is tried again."""
    stuck = bench.stalled()
    (reader,) = bench.healthy(1)
    await bench.join(reader, stuck)
    out = await _stall_out(bench, stuck)
    bench.expect(not bench.is_member(stuck), f"{stuck.name} was still in the pool at {out:g} s")
    task = bench.broadcast_soon(2)
    await bench.sleep(1.0)
    task.cancel()
    again = bench.sent_after(stuck, out)
    bench.expect(
        not again, f"{stuck.name} was sent event {short(again)} after its send had timed out"
    )
    bench.expect(
        2 in bench.numbers(reader),  # noqa: PLR2004  # the second event
        f"{reader.name} did not get the event after the eviction",
    )
    return "it was out after one timeout, and nothing was sent to it again"


@check(
    "evict.dead_client_is_out",
    "a client whose connection is gone is out of the pool",
    defects=(7, 23),
    why="Dead clients pile up over weeks until each event costs a thousand failures.",
    mend="Catch the failure of a send and remove its client.",
)
async def _dead_client_is_out(bench: Bench) -> str:
    """Let a client die, and see whether it is tried again."""
    dead = bench.dead(after_messages=1)
    (reader,) = bench.healthy(1)
    await bench.join(dead, reader)
    for number in (1, 2):
        await bench.broadcast(number)
        await bench.sleep(1.0)
    out = bench.now
    bench.met(dead.failed, "no send to the dead client failed")
    bench.expect(
        not bench.raised, f"whoever publishes is told of the failure of {dead.name} as of his own"
    )
    bench.expect(not bench.is_member(dead), f"{dead.name} was still in the pool at {out:g} s")
    await bench.broadcast(3)
    await bench.sleep(1.0)
    again = bench.sent_after(dead, out)
    bench.expect(
        not again, f"{dead.name} was sent event {short(again)} after a send to it had failed"
    )
    return "it was out after the first failure"


@check(
    "evict.every_exception_type",
    "whatever a send raises, its client is out and nobody else is harmed",
    defects=(3, 23),
    why="Servers raise RuntimeError, OSError, AssertionError and errors of their own.",
    mend="Catch Exception around each send, not only WebSocketDisconnect.",
)
async def _every_exception_type(bench: Bench) -> str:
    """Let a send raise each kind of error that was seen."""
    for at, error in enumerate(_ERRORS):
        broken, reader = bench.client(), bench.client()
        await bench.join(broken, reader)
        broken.raising = lambda error=error: error
        bench.raised.clear()
        first, second = 2 * at + 1, 2 * at + 2
        await bench.broadcast(first)
        await bench.sleep(1.0)
        kind = type(error).__name__.strip("_")
        bench.expect(not bench.raised, f"a send raised {kind}, and so did the broadcast")
        bench.met(broken.failed, "nothing was sent to the client whose send fails")
        bench.expect(
            first in bench.numbers(reader), f"a send raised {kind}, and {reader.name} got nothing"
        )
        bench.expect(not bench.is_member(broken), f"a send raised {kind}, and its client was kept")
        out = bench.now
        await bench.broadcast(second)
        await bench.sleep(1.0)
        bench.expect(
            not bench.sent_after(broken, out), f"a send raised {kind}, and its client was kept"
        )
        if "leave" in bench.adapter.can:
            await bench.leave(reader)
    return f"{len(_ERRORS)} kinds of errors each cost one client its place, and nobody else"


@check(
    "evict.cancelled_send_is_a_failure",
    "a send that ends in CancelledError counts as failed",
    defects=(24, 25),
    why="gather hands it over as a result, and a look for Exception does not find it.",
    mend="Compare with BaseException, or catch asyncio.CancelledError for each send by itself.",
)
async def _cancelled_send_is_a_failure(bench: Bench) -> str:
    """Let a send end in CancelledError, though nobody cancelled the broadcast."""
    broken = bench.client(name="cancelled")
    readers = bench.healthy(2)
    await bench.join(readers[0], broken, readers[1])
    broken.raising = asyncio.CancelledError
    await bench.broadcast(1)
    await bench.sleep(1.0)
    bench.met(broken.failed, "nothing was sent to the client whose send is cancelled")
    for reader in readers:
        bench.expect(
            bench.numbers(reader) == [1],
            f"{reader.name} got nothing, because a send to another ended in CancelledError",
        )
    bench.expect(not bench.is_member(broken), f"{broken.name} was kept in the pool")
    out = bench.now
    await bench.broadcast(2)
    await bench.sleep(1.0)
    again = bench.sent_after(broken, out)
    bench.expect(
        not again, f"{broken.name} was sent event {short(again)} after a send to it was cancelled"
    )
    return "its client was out, and the others got the event"


@check(
    "evict.socket_is_closed",
    "an evicted client's socket is closed",
    defects=(19, 21),
    promise="send_timeout",
    why="The browser of a client that is out and not closed shows a dead page as if it were live.",
    mend="Close the socket after taking it out: in a task of its own, with a deadline.",
)
async def _socket_is_closed(bench: Bench) -> str:
    """Evict a client that does not read, and one whose send failed, and wait for their closes."""
    stuck, broken = bench.stalled(), bench.client(name="broken")
    (reader,) = bench.healthy(1)
    await bench.join(reader, stuck, broken)
    broken.raising = RuntimeError
    out = await _stall_out(bench, stuck)
    if bench.members() is None:
        # Whether they are out shows only in that they are sent no more.
        task = bench.broadcast_soon(2)
        await bench.sleep(bench.profile.slack)
        task.cancel()
    await bench.sleep(2.0)
    for client in (stuck, broken):
        hidden = bench.members() is None and (client.waiting or not client.failed)
        if hidden or bench.sent_after(client, out) or bench.is_member(client):
            continue
        bench.expect(
            client.closes,
            f"{client.name} was evicted, and {bench.now - out:g} s later its socket was not closed",
        )
    bench.met(stuck.closes or broken.closes, "nobody was evicted")
    bench.expect(reader.close_called is None, f"{reader.name}, healthy, was closed as well")
    return "both were closed"


@check(
    "evict.close_is_bounded",
    "closing an evicted client delays nobody, and is given up after a while",
    defects=(20,),
    promise="close_timeout",
    why="On every server close() to a peer that does not read may wait for ever.",
    mend="Close in a task of its own, under asyncio.timeout.",
)
async def _close_is_bounded(bench: Bench) -> str:
    """Evict a client whose close waits."""
    bench.offered(bench.profile.send_timeout, "the profile makes no promise of send_timeout")
    stuck = bench.stalled()
    (reader,) = bench.healthy(1)
    await bench.join(stuck, reader)
    first = bench.broadcast_soon(1)
    await bench.sleep((bench.profile.send_timeout or 0.0) + bench.profile.slack)
    bench.met(stuck.blocked, "no send to a client that does not read waited")
    bench.met(not stuck.waiting, f"{stuck.name} was not evicted: its send still waits")
    bench.expect(first.done(), "broadcast waits for the close of a client that does not read")
    second = bench.broadcast_soon(2)
    await bench.sleep(bench.profile.slack)
    bench.expect(
        2 in bench.numbers(reader),  # noqa: PLR2004  # the second event
        f"{reader.name} waits for event 2 while {stuck.name} is being closed",
    )
    limit = bench.profile.close_timeout or 0.0
    await bench.sleep(limit + 1.0)
    bench.met(stuck.closes, f"{stuck.name} was never closed")
    bench.expect(
        stuck.closes[-1].end is not None,
        f"close() of {stuck.name} was still waiting after {limit:g} s",
    )
    await bench.wait(first, second)
    return "the close was given up, and nobody waited for it"


@check(
    "evict.close_code",
    "an evicted client is told so, by a code that makes it come back",
    level="SHOULD",
    defects=(57,),
    promise="close_codes",
    why="Browsers reconnect after any code but 1000, which is Starlette's default.",
    mend="Close with code=1013 (try again later) or 1008, and a reason.",
)
async def _close_code(bench: Bench) -> str:
    """Look at the code with which a client is closed."""
    stuck, broken = bench.stalled(), bench.client(name="broken")
    await bench.join(stuck, broken)
    broken.raising = RuntimeError
    await _stall_out(bench, stuck)
    await bench.sleep(2.0)
    codes = {
        client.name: client.close_called.code
        for client in (stuck, broken)
        if client.close_called is not None
    }
    bench.met(codes or _is_out(bench, stuck), "nobody was evicted")
    bench.expect(codes, "who was evicted was not closed at all")
    allowed = bench.profile.close_codes or ()
    for name, code in codes.items():
        bench.expect(
            code in allowed,
            f"{name} was closed with code {code}; expected one of {', '.join(map(str, allowed))}",
        )
    return f"closed with {', '.join(map(str, sorted(set(codes.values()))))}"


@check(
    "evict.close_reason",
    "an evicted client is told why",
    level="SHOULD",
    defects=(47, 57, 62),
    promise="close_codes",
    why="A client that knows it was too slow can ask for less instead of coming back at once.",
    mend="Close with a short reason, such as 'too slow'.",
)
async def _close_reason(bench: Bench) -> str:
    """Look at the reason with which a client is closed."""
    stuck = bench.stalled()
    await bench.join(stuck)
    await _stall_out(bench, stuck)
    await bench.sleep(2.0)
    bench.met(stuck.closes or _is_out(bench, stuck), "nobody was evicted")
    bench.expect(stuck.close_called is not None, f"{stuck.name} was not closed at all")
    reason = stuck.close_called.reason if stuck.close_called is not None else ""
    bench.expect(reason, f"{stuck.name} was closed without a reason")
    return f"the reason was {reason!r}"


@check(
    "evict.nothing_after_a_lost_message",
    "after a lost message a client gets no other",
    defects=(10, 11),
    why="A client that goes on after a hole shows a state that never was.",
    mend="After a failed or cancelled send never send to that client again: close it.",
    sizes={"clients": (1, 1)},
)
async def _nothing_after_a_lost_message(bench: Bench, *, clients: int) -> str:
    """Let a client read again after its send has timed out."""
    late = (bench.profile.send_timeout or 0.0) + 1.5
    pausing = [bench.stalled(resume_after=late) for _ in range(clients)]
    (reader,) = bench.healthy(1)
    await bench.join(reader, *pausing)
    tasks = [bench.broadcast_soon(1)]
    await bench.sleep(1.0)
    tasks.append(bench.broadcast_soon(2))
    await bench.sleep(late)
    tasks.append(bench.broadcast_soon(3))
    await bench.sleep(late + 3.0)
    await bench.wait(*tasks)
    bench.met(all(client.blocked for client in pausing), "no send had to wait")
    for client in pausing:
        seen = bench.numbers(client)
        bench.expect(
            seen == list(range(1, len(seen) + 1)),
            f"{client.name} got event {short(seen)}, and never what is missing there",
        )
    return "a client that read again too late got nothing with a hole in it"


@check(
    "evict.reconnect_same_identity",
    "a client that comes back is not removed by the cleanup of its old connection",
    defects=(27,),
    needs=("leave",),
    why="A page that is reloaded connects before the server has noticed the end of the old one.",
    mend="Remove by the WebSocket, or only if it is still the one that is registered.",
)
async def _reconnect_same_identity(bench: Bench) -> str:
    """Connect anew under the same name, then let the old endpoint clean up."""
    old, new = bench.client(name="old"), bench.client(name="new")
    await bench.join(old, name="user")
    await bench.broadcast(1)
    old.die()
    await bench.join(new, name="user")
    await bench.leave(old, name="user")
    await bench.broadcast(2)
    await bench.sleep(1.0)
    bench.expect(
        2 in bench.numbers(new),  # noqa: PLR2004  # the second event
        "the new connection got nothing after the endpoint of the old one had cleaned up",
    )
    return "the new connection stayed"
