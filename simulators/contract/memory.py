"""Checks: what is left over."""

import gc
import tracemalloc
import weakref

from simulators.behaviours import Behaviour
from simulators.contract import payloads
from simulators.contract.bench import Bench
from simulators.contract.registry import check
from simulators.faults import SendDelay
from simulators.wire import Wire

__all__: list[str] = []

# What must not pile up has to be broadcast, and more; but nobody waits for gigabytes.
_TOO_MANY = 1.4
_MOST_EVENTS = 3_000


async def _churn(bench: Bench, rounds: int) -> list[weakref.ref[object]]:
    """Let clients come, hang, die and leave; return what tells whether they are gone."""
    watched: list[weakref.ref[object]] = []
    for number in range(1, rounds + 1):
        reader, stuck, broken = bench.client(), bench.stalled(), bench.client()
        await bench.join(reader, stuck, broken)
        broken.raising = RuntimeError
        task = bench.broadcast_soon(number)
        await bench.sleep(1.0)
        stuck.die()
        broken.die()
        await bench.wait(task)
        if "leave" in bench.adapter.can:
            for client in (reader, stuck, broken):
                # The endpoint of an evicted client cleans up as well.
                await bench.leave(client)
        bench.met(stuck.blocked, "no send had to wait")
        bench.forget(reader, stuck, broken)
        watched += [weakref.ref(client) for client in (reader, stuck, broken)]
        del reader, stuck, broken, client, task
    return watched


@check(
    "memory.no_leak_of_tasks",
    "no task is left when its clients are gone",
    defects=(17, 45),
    needs=("leave",),
    why="A writer that outlives its client keeps its queue, its socket and its last messages.",
    mend="Keep each task, and cancel it when its client goes.",
    sizes={"rounds": (4, 1)},
)
async def _no_leak_of_tasks(bench: Bench, *, rounds: int) -> str:
    """Let clients come and go, and count the tasks."""
    bench.start()
    before = len(bench.foreign_tasks())
    await _churn(bench, 1)
    await bench.sleep(30.0)
    first = len(bench.foreign_tasks())
    await _churn(bench, rounds)
    await bench.sleep(30.0)
    tasks = bench.foreign_tasks()
    bench.expect(
        len(tasks) <= max(first, before) and first <= before + 1,
        f"after {3 * (rounds + 1)} clients had gone {len(tasks)} tasks were left: "
        + "; ".join(bench.stuck_tasks()[:3]),
    )
    return f"{3 * (rounds + 1)} clients came and went, and left {len(tasks)} tasks"


@check(
    "memory.no_leak_of_clients_with_churn",
    "nothing keeps a client that has gone",
    defects=(19, 45, 47),
    needs=("leave",),
    why="With clients that come back every few seconds a leak fills the memory in a night.",
    mend="Delete everything that is kept for a client when it goes: locks, queues, names, tasks.",
    sizes={"rounds": (4, 1)},
)
async def _no_leak_of_clients_with_churn(bench: Bench, *, rounds: int) -> str:
    """Let clients come and go, and see whether anything still holds them."""
    bench.start()
    watched = await _churn(bench, rounds)
    # What a broadcast holds of its last recipients may stay until the next one.
    await bench.broadcast(10_000)
    await bench.sleep(60.0)
    gc.collect()
    left = sum(client() is not None for client in watched)
    bench.expect(
        not left, f"of {len(watched)} clients that had gone, {left} are still held by something"
    )
    return f"{len(watched)} clients came and went, and nothing holds them"


@check(
    "memory.slow_client_backlog_is_bounded",
    "what piles up for a client that is too slow is bounded, in bytes",
    defects=(43, 44),
    promise="backlog_bytes",
    why="A thousand large messages in a queue of 'only' a thousand are the process's memory.",
    mend="Evict a client that is further behind than a number of bytes.",
    sizes={"events": (300, 300)},
    steps=400_000,
)
async def _slow_client_backlog_is_bounded(bench: Bench, *, events: int) -> str:
    """Broadcast faster than a client reads, which keeps to its send timeout all the while."""
    pause = 0.8 * (bench.profile.send_timeout or 0.5)
    # One whose sends take long each, and one whose buffer lets a send through now and then.
    slow = bench.client(Behaviour(name="slow", faults=(SendDelay(seconds=pause),)))
    wire = Wire.uvicorn()
    size, limit = 40_000, bench.profile.backlog_bytes or 0
    rate = (wire.high_water_bytes - wire.low_water_bytes) / pause
    thin = bench.slow(bytes_per_second=rate, wire=wire)
    (reader,) = bench.healthy(1)
    await bench.join(reader, slow, thin)
    events = min(max(events, int(_TOO_MANY * limit / size)), _MOST_EVENTS)
    bench.met(events * size > limit, f"{limit / 1e6:.0f} MB are more than it broadcasts")
    tasks = []
    seen, waited = 0, False
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1, events + 1):
            text = f"{number % 10}" * size
            if "dashboard events" in bench.adapter.can:
                message = payloads.forgettable(number, text=text)
            else:
                message = bench.message(number, text=text)
            tasks.append(bench.broadcast_soon(number, message=message))
            del message, text
            await bench.sleep(0.01)
            seen += len(thin.received)
            waited = waited or thin.blocked
            # The fakes keep what they got; it is not the manager's.
            for client in (reader, slow, thin):
                client.received.clear()
                client.sends.clear()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    held = max(0, after - before)
    bench.met(waited, "no send to the slow client took any time")
    slow.die()
    thin.die()
    await bench.sleep(2.0)
    bench.expect(
        held <= limit,
        f"{thin.name} had read {seen} of {events} messages of {size} bytes, and "
        f"{held / 1e6:.1f} MB were held; the limit is {limit / 1e6:.1f} MB",
    )
    return f"{held / 1e6:.1f} MB were held while {events * size / 1e6:.0f} MB were broadcast"
