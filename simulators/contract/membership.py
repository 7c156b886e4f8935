"""Checks: joining and leaving."""

import asyncio

from simulators.contract.bench import Bench, short
from simulators.contract.registry import check

__all__: list[str] = []


@check(
    "pool.left_client_gets_nothing",
    "a client that has left gets nothing more",
    defects=(22,),
    needs=("leave",),
    why="A page that was left for another one shows messages of the first.",
    mend="Take the client out of every container that a broadcast looks at.",
)
async def _left_client_gets_nothing(bench: Bench) -> str:
    """Leave, and broadcast."""
    leaver, reader = bench.healthy(2)
    await bench.join(leaver, reader)
    await bench.broadcast(1)
    await bench.leave(leaver)
    left = bench.now
    await bench.sleep(0.5)
    await bench.broadcast(2)
    await bench.sleep(1.0)
    bench.met(bench.numbers(reader), "nothing arrived at all")
    sent = bench.sent_after(leaver, left)
    bench.expect(not sent, f"{leaver.name} was sent event {short(sent)} after it had left")
    bench.expect(not bench.is_member(leaver), f"{leaver.name} left and is still in the pool")
    return "nothing was sent to it"


@check(
    "pool.join_twice_delivers_once",
    "a socket that is added twice gets each event once",
    defects=(28,),
    why="Code that reconnects adds twice now and then, and everything is shown double.",
    mend="Keep the pool a set or a dictionary, or look before you append.",
)
async def _join_twice_delivers_once(bench: Bench) -> str:
    """Add the same socket twice."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    # One that accepts cannot accept twice: a refusal is as good.
    again = bench.spawn(bench.join(reader))
    await asyncio.wait({again}, timeout=5.0)
    refused = again.done() and again.exception() is not None
    await bench.broadcast(1)
    await bench.sleep(1.0)
    seen = bench.numbers(reader)
    bench.met(seen or refused, "nothing arrived")
    bench.expect(len(seen) <= 1, f"{reader.name} was added twice and got event 1 {len(seen)} times")
    if "leave" in bench.adapter.can and not refused:
        await bench.leave(reader)
        out = bench.now
        await bench.sleep(0.1)
        await bench.broadcast(2)
        await bench.sleep(1.0)
        bench.expect(not bench.sent_after(reader, out), f"{reader.name} left, and is still sent to")
    return "it got the event once"


@check(
    "pool.leave_twice_is_harmless",
    "removing a client that is not there is no error",
    defects=(22,),
    needs=("leave",),
    why="The endpoint removes it in its finally, and the broadcast has already done so.",
    mend="Use discard or pop(key, None), or look before you remove.",
)
async def _leave_twice_is_harmless(bench: Bench) -> str:
    """Remove one client twice, and one that never joined."""
    leaver, stranger, reader = bench.healthy(3)
    await bench.join(leaver, reader)
    await bench.leave(leaver)
    await bench.leave(leaver)
    await bench.leave(stranger)
    await bench.broadcast(1)
    await bench.sleep(1.0)
    bench.expect(bench.numbers(reader) == [1], f"{reader.name} got nothing afterwards")
    return "it raised nothing"


@check(
    "pool.blocked_send_does_not_block_joins",
    "who joins or leaves does not wait for a send to somebody else",
    defects=(32,),
    why="One client that hangs keeps everybody else out.",
    mend="Do not hold a lock across a send: copy the pool under the lock, and send outside it.",
)
async def _blocked_send_does_not_block_joins(bench: Bench) -> str:
    """Join and leave while a send waits."""
    stuck = bench.stalled()
    readers = bench.healthy(2)
    await bench.join(stuck, readers[0])
    task = bench.broadcast_soon(1)
    await bench.sleep(0.05)
    bench.met(stuck.blocked, "no send had to wait")
    moves = [("join", bench.spawn(bench.join(readers[1])))]
    if "leave" in bench.adapter.can:
        moves.append(("leave", bench.spawn(bench.leave(readers[0]))))
    await bench.sleep(bench.profile.slack)
    waits = [what for what, move in moves if not move.done()]
    bench.expect(
        not waits,
        f"{' and '.join(waits)} had not returned after {bench.profile.slack:g} s: they wait for "
        f"the send to {stuck.name}",
    )
    stuck.die()
    await bench.wait(task, *(move for _, move in moves))
    return "who joined and who left did not wait"


@check(
    "pool.leave_does_not_wait_for_the_peer",
    "a client that does not read can be removed at once",
    defects=(32,),
    needs=("leave",),
    why="The endpoint's finally would hang with the client, and with it the server's shutdown.",
    mend="Cancel what is under way to a client that leaves; do not wait for it.",
)
async def _leave_does_not_wait_for_the_peer(bench: Bench) -> str:
    """Remove a client while a send to it waits."""
    stuck = bench.stalled()
    (reader,) = bench.healthy(1)
    await bench.join(stuck, reader)
    task = bench.broadcast_soon(1)
    await bench.sleep(0.05)
    bench.met(stuck.blocked, "no send had to wait")
    leaving = bench.spawn(bench.leave(stuck))
    await bench.sleep(bench.profile.slack)
    bench.expect(
        leaving.done(),
        f"removing {stuck.name} had not returned after {bench.profile.slack:g} s: it waits for "
        "the send to it",
    )
    stuck.die()
    await bench.wait(task, leaving)
    return "it did not wait"


@check(
    "pool.closed_socket_harms_nobody",
    "a socket that was closed before it joined harms nobody, and does not stay",
    defects=(29,),
    why="Between the handshake and the registration a client may go: it is then added dead.",
    mend="Treat its first failed send like any other: take it out.",
)
async def _closed_socket_harms_nobody(bench: Bench) -> str:
    """Let a client go just before it joins."""
    gone = bench.client(name="gone")
    readers = bench.healthy(2)
    await bench.join(readers[0])
    gone.leave()
    attempt = bench.spawn(bench.join(gone))
    await asyncio.wait({attempt}, timeout=5.0)
    refused = attempt.done() and attempt.exception() is not None
    await bench.join(readers[1])
    await bench.broadcast(1)
    await bench.sleep(1.0)
    for reader in readers:
        bench.expect(
            bench.numbers(reader) == [1],
            f"{reader.name} got nothing, because a closed socket had been added",
        )
    out = bench.now
    await bench.broadcast(2)
    await bench.sleep(1.0)
    bench.expect(
        not bench.sent_after(gone, out), f"{gone.name}, closed before it joined, is still sent to"
    )
    return "it was refused" if refused else "it was out after its first failed send"


@check(
    "pool.nobody_before_accept",
    "a client is sent nothing before its connection is accepted",
    defects=(29,),
    needs=("accepts",),
    why="A send before the accept raises, and the client is dropped while it connects.",
    mend="Accept first, then add to the pool.",
)
async def _nobody_before_accept(bench: Bench) -> str:
    """Broadcast while an accept waits."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    joining = bench.client(name="joining")
    joining.accept_delay = 0.2
    join = bench.spawn(bench.join(joining))
    await bench.sleep(0.1)
    bench.met(not join.done(), "the accept did not wait")
    await bench.broadcast(1)
    await bench.sleep(0.5)
    await bench.wait(join)
    early = [send for send in joining.sends if send.outcome == "failed"]
    bench.expect(not early, f"{joining.name} was sent to before it was accepted")
    await bench.broadcast(2)
    await bench.sleep(1.0)
    bench.expect(
        2 in bench.numbers(joining),  # noqa: PLR2004  # the second event
        f"{joining.name} got nothing after it had joined",
    )
    return "nothing was sent to it before"


@check(
    "pool.endpoint_may_broadcast",
    "what reacts to a client's end may broadcast",
    defects=(33,),
    why="'Somebody has left' is what most endpoints broadcast, at the worst moment.",
    mend="Hold no lock while foreign code runs, and send outside of every lock.",
    sizes={"clients": (3, 1)},
)
async def _endpoint_may_broadcast(bench: Bench, *, clients: int) -> str:
    """Broadcast from the manager's hook, if it has one, and from the endpoints of who dies."""
    readers = bench.healthy(2)
    mortals = bench.healthy(clients)
    pausing = bench.stalled(resume_after=bench.brief(0.2))
    await bench.join(readers[0], *mortals, pausing, readers[1])
    hook = bench.adapter.hook
    called: list[int] = []
    if hook is not None:

        async def told(*_: object, **__: object) -> None:
            called.append(1)
            await bench.broadcast(900 + len(called))

        setattr(bench.manager, hook, told)

    async def endpoint(at: int) -> None:
        client = mortals[at]
        while (await client.receive())["type"] != "websocket.disconnect":
            pass
        if "leave" in bench.adapter.can:
            await bench.leave(client)
        await bench.broadcast(100 + at)

    farewells = [bench.spawn(endpoint(at)) for at in range(clients)]
    if bench.adapter.accepts:
        await bench.settle()
    first = bench.broadcast_soon(1)
    await bench.sleep(0.05)
    for mortal in mortals:
        mortal.die()
    await bench.sleep(3.0)
    await bench.wait(first, *farewells)
    for reader in readers:
        missing = [100 + at for at in range(clients) if 100 + at not in bench.numbers(reader)]
        bench.expect(
            not missing, f"{reader.name} did not get what the endpoints of the dead broadcast"
        )
    if hook is not None:
        broken = bench.client(name="broken")
        await bench.join(broken)
        broken.raising = RuntimeError
        await bench.broadcast(2)
        await bench.sleep(3.0)
        bench.expect(
            not called or 901 in bench.numbers(readers[0]),  # noqa: PLR2004  # the hook's first
            f"what {hook} broadcast did not arrive",
        )
    return f"{clients} endpoints broadcast that their client has left" + (
        f", and {hook} did" if called else ""
    )
