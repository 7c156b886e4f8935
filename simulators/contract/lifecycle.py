"""Checks: several managers, several loops, and what an operator can see."""

import gc
import json
import logging
import threading

from simulators.clock import SimLoop
from simulators.contract.bench import Bench, told
from simulators.contract.registry import check

__all__: list[str] = []


@check(
    "lifecycle.two_instances_share_nothing",
    "two managers know nothing of each other",
    defects=(58,),
    needs=("instances",),
    why="A list in the class body is one list for all: rooms and tests mix.",
    mend="Create every container in __init__.",
)
async def _two_instances_share_nothing(bench: Bench) -> str:
    """Use two managers side by side."""
    bench.start()
    other = bench.another()
    mine, theirs = bench.client(name="first"), bench.client(name="second")
    await bench.join(mine)
    await other.join(theirs)
    await bench.broadcast(1)
    await other.broadcast(2)
    await bench.sleep(1.0)
    bench.expect(
        bench.numbers(mine) == [1] and bench.numbers(theirs) == [2],
        f"a client of the first got {bench.numbers(mine)}, one of the second "
        f"{bench.numbers(theirs)}; expected [1] and [2]",
    )
    if "history" in bench.adapter.can:
        bench.expect(
            len(bench.history()) == 1, "the first remembers what was broadcast on the second"
        )
    return "each served its own client"


@check(
    "lifecycle.two_loops",
    "a manager can be used on a second event loop of the same process",
    defects=(58,),
    why="Test suites and reloaders start a loop for each run; import time has none.",
    mend="Create locks, queues and events in __init__ or later, never at import.",
)
async def _two_loops(bench: Bench) -> str:
    """Use a manager here and a new one on another loop, each while a send waits."""
    await _use(bench)
    failed: list[BaseException] = []
    elsewhere: list[Bench] = []

    def run() -> None:
        loop = SimLoop(horizon=1_000.0, max_steps=100_000)
        second = Bench(adapter=bench.adapter, profile=bench.profile, loop=loop)
        elsewhere.append(second)
        try:
            # As an import does: no loop runs here.
            second.start()
            loop.set_exception_handler(lambda *_: None)
            loop.run_until_complete(_use(second))
        except BaseException as error:  # noqa: BLE001  # it is what this looks for
            failed.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(1.5)
    bench.expect(not thread.is_alive(), "on a second loop it had not come to an end after 1.5 s")
    raised = [told(error) for error in failed] + elsewhere[0].raised
    bench.expect(not raised, f"on a second loop: {raised and raised[0]}")
    return "it worked on both"


async def _use(bench: Bench) -> None:
    """Join, broadcast and leave, several at a time, so that every lock is contended."""
    pausing = bench.stalled(resume_after=bench.brief(0.2))
    readers = bench.healthy(2)
    await bench.wait(*(bench.spawn(bench.join(client)) for client in (pausing, *readers)))
    tasks = [bench.broadcast_soon(number) for number in (1, 2, 3)]
    await bench.sleep(0.05)
    moves = [bench.spawn(bench.join(bench.client()))]
    if "leave" in bench.adapter.can:
        moves.append(bench.spawn(bench.leave(readers[0])))
    await bench.wait(*tasks, *moves)
    await bench.sleep(1.0)
    bench.expect(
        3 in bench.numbers(readers[1]),  # noqa: PLR2004  # the third event
        f"{readers[1].name} got {bench.numbers(readers[1])} of 1 2 3",
    )


@check(
    "diagnosis.one_line_an_eviction",
    "each eviction is logged in one line, and an event in none",
    level="SHOULD",
    defects=(62,),
    why="'Error: ' a thousand times, or nothing at all, is what one finds in the night.",
    mend="Log once when a client is dropped: which, why, and with the type of the error.",
    sizes={"events": (20, 2)},
)
async def _one_line_an_eviction(bench: Bench, *, events: int) -> str:
    """Count the lines of healthy events, and of two evictions."""
    bench.offered(bench.noise is not None, "nothing was captured")
    noise = bench.noise
    if noise is None:
        return ""
    # What earlier checks left behind may have something to say as it is freed.
    gc.collect()
    stuck, broken = bench.stalled(), bench.client(name="broken")
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    quiet = len(noise.lines())
    for number in range(1, events + 1):
        await bench.broadcast(number)
    lines = len(noise.lines()) - quiet
    bench.expect(
        lines < events, f"{events} events to a healthy client were logged in {lines} lines"
    )
    await bench.join(stuck, broken)
    broken.raising = RuntimeError
    before = len(noise.lines())
    seen = len(noise.records)
    task = bench.broadcast_soon(events + 1)
    await bench.sleep(2.0)
    evicted = [
        client for client in (stuck, broken) if client.failed and not bench.is_member(client)
    ]
    bench.met(evicted, "nobody was evicted")
    logged = noise.lines()[before:]
    bench.expect(
        len(logged) >= len(evicted),
        f"{len(evicted)} clients were evicted, and {len(logged)} lines were logged",
    )
    most = 3 * len(evicted)
    bench.expect(
        len(logged) <= most, f"{len(evicted)} evictions were logged in {len(logged)} lines"
    )
    empty = [line for line in logged if line.rstrip().endswith(":")]
    bench.expect(not empty, f"a line does not say what happened: {empty and empty[0]!r}")
    loud = any(level >= logging.WARNING for _, level, _ in noise.records[seen:])
    bench.expect(loud or not noise.records[seen:], "an eviction was logged below the level WARNING")
    task.cancel()
    return f"{len(evicted)} evictions in {len(logged)} lines"


@check(
    "recovery.sequence",
    "events carry a number by which a client sees a gap or a restart",
    level="SHOULD",
    defects=(52,),
    needs=("json",),
    promise="sequence",
    why="Without a number a client cannot know that it has missed something.",
    mend="Number the events as they are broadcast, and send the number with them.",
    sizes={"events": (5, 2)},
)
async def _sequence(bench: Bench, *, events: int) -> str:
    """Look at the numbers."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    for number in range(1, events + 1):
        await bench.broadcast(number)
    await bench.sleep(1.0)
    field = bench.profile.sequence or ""
    seen = [json.loads(message).get(field) for message in reader.messages]
    bench.met(len(seen) == events, f"{len(seen)} of {events} events arrived")
    bench.expect(
        all(isinstance(number, int) for number in seen)
        and [number - seen[0] for number in seen] == list(range(events)),
        f"the field {field!r} of {events} events was {seen}; expected consecutive numbers",
    )
    return f"{field} counts from {seen[0]}"
