"""Checks: the end."""

import asyncio

from simulators.contract.bench import Bench
from simulators.contract.registry import check

__all__: list[str] = []

_NEEDS = ("shutdown",)


@check(
    "shutdown.is_bounded",
    "a shutdown ends, whatever the clients do",
    defects=(54,),
    needs=_NEEDS,
    promise="shutdown_timeout",
    why="A deployment waits for the old process; after half a minute it is killed.",
    mend="Close all clients concurrently, each under a deadline.",
    sizes={"stalled": (3, 1)},
)
async def _is_bounded(bench: Bench, *, stalled: int) -> str:
    """Shut down with clients that do not read."""
    stuck = [bench.stalled() for _ in range(stalled)]
    (reader,) = bench.healthy(1)
    await bench.join(*stuck, reader)
    limit = bench.profile.shutdown_timeout or 0.0
    name = bench.adapter.shutdown or ""
    began = bench.now
    await bench.call(
        f"{name}() with {stalled} clients that do not read",
        getattr(bench.manager, name),
        within=limit + bench.profile.slack,
    )
    return f"it took {bench.now - began:g} s with {stalled} clients that do not read"


@check(
    "shutdown.closes_everyone",
    "a shutdown closes every client and empties the pool",
    defects=(54, 55),
    needs=_NEEDS,
    why="A client that is not closed waits for a server that is gone.",
    mend="Close every client, also after one of the closes has failed.",
    sizes={"clients": (4, 1)},
)
async def _closes_everyone(bench: Bench, *, clients: int) -> str:
    """Shut down with clients whose close fails among them."""
    readers = bench.healthy(clients)
    dead = bench.dead(after_messages=1)
    await bench.join(readers[0], dead, *readers[1:])
    await bench.broadcast(1)
    await bench.shutdown()
    await bench.sleep(2.0)
    missed = [reader.name for reader in readers if reader.closed is None]
    bench.expect(not missed, f"after the shutdown {', '.join(missed)} was still connected")
    members = bench.members()
    bench.expect(not members, f"after the shutdown {len(members or ())} clients are in the pool")
    return f"{clients} clients were closed, and the pool is empty"


@check(
    "shutdown.close_code",
    "at a shutdown clients are told to come back",
    level="SHOULD",
    defects=(57,),
    needs=_NEEDS,
    promise="close_codes",
    why="After code 1000, Starlette's default, a browser does not reconnect: each page stays dead.",
    mend="Close with code=1012 (service restart) or 1001.",
)
async def _close_code(bench: Bench) -> str:
    """Look at the code of the close."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await bench.shutdown()
    await bench.sleep(2.0)
    bench.met(reader.closed is not None, "the client was not closed")
    code = reader.closed.code if reader.closed is not None else 0
    allowed = bench.profile.close_codes or ()
    bench.expect(
        code in allowed,
        f"it was closed with code {code}; expected one of {', '.join(map(str, allowed))}",
    )
    return f"closed with {code}"


@check(
    "shutdown.twice",
    "a second shutdown is no error",
    defects=(55,),
    needs=_NEEDS,
    why="Frameworks call it on a signal and again at the end of the lifespan.",
    mend="Return when there is nothing left to do.",
)
async def _twice(bench: Bench) -> str:
    """Shut down twice: one after the other, and together."""
    await bench.join(*bench.healthy(2))
    await bench.wait(bench.spawn(bench.shutdown()), bench.spawn(bench.shutdown()))
    await bench.shutdown()
    other = bench.another()
    await other.shutdown()
    return "it returned each time, also without clients"


@check(
    "shutdown.terminal",
    "after a shutdown nobody is served any more",
    level="SHOULD",
    defects=(55,),
    needs=_NEEDS,
    promise="shutdown_is_final",
    why="Clients reconnect while the process ends, and would be lost without a word.",
    mend="Remember that it is over: close who joins then.",
)
async def _terminal(bench: Bench) -> str:
    """Join and broadcast after a shutdown."""
    (early,) = bench.healthy(1)
    await bench.join(early)
    await bench.shutdown()
    (late,) = bench.healthy(1)
    join = bench.spawn(bench.join(late))
    await asyncio.wait({join}, timeout=30.0)
    refused = join.done() and join.exception() is not None
    await bench.broadcast(1)
    await bench.sleep(3.0)
    bench.expect(not bench.numbers(late), f"{late.name} joined after the shutdown and was served")
    bench.expect(
        refused or late.closed is not None,
        f"{late.name} joined after the shutdown, and was neither refused nor closed",
    )
    bench.expect(not bench.is_member(late), f"{late.name} is in the pool after the shutdown")
    return "who joined was refused" if refused else "who joined was closed"


@check(
    "shutdown.cancel_safe",
    "a shutdown that is cancelled can be called again, and finishes",
    defects=(55,),
    needs=_NEEDS,
    why="Servers cancel the lifespan when it takes too long, and call it again.",
    mend="Leave a client in the pool until its close has begun, or close in tasks of their own.",
    sizes={"clients": (3, 1)},
)
async def _cancel_safe(bench: Bench, *, clients: int) -> str:
    """Cancel a shutdown while a close waits, and call it again."""
    stuck = bench.stalled()
    readers = bench.healthy(clients)
    await bench.join(stuck, *readers)
    name = bench.adapter.shutdown or ""
    first = bench.spawn(bench.call(f"{name}()", getattr(bench.manager, name)))
    await bench.sleep(0.05)
    waited = not first.done()
    for task in bench.calls:
        task.cancel()
    first.cancel()
    await bench.sleep(0.05)
    await bench.shutdown()
    await bench.sleep(3.0)
    missed = [reader.name for reader in readers if reader.closed is None]
    bench.expect(
        not missed, f"after a shutdown that was cancelled and a second one, {missed} are connected"
    )
    return "everybody was closed" + ("" if waited else "; it did not wait for anybody")
