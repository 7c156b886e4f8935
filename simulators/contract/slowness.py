"""Checks: what a slow client costs the others, and the process."""

import threading

from simulators.contract.bench import Bench
from simulators.contract.registry import check

__all__: list[str] = []

_BURST = 50


@check(
    "delivery.slow_client_delays_nobody_else",
    "a client that does not read delays no other client",
    defects=(4, 5, 6),
    why="One laptop that was closed on the train stops the dashboards of everybody.",
    mend="Send to all clients concurrently, or give each a queue and a writer of its own.",
    sizes={"clients": (3, 1), "stalled": (2, 1)},
)
async def _slow_client_delays_nobody_else(bench: Bench, *, clients: int, stalled: int) -> str:
    """Put stalled clients before and between the others."""
    stuck = [bench.stalled() for _ in range(stalled)]
    readers = bench.healthy(clients)
    await bench.join(*stuck[:1], readers[0], *stuck[1:], *readers[1:])
    started = bench.now
    task = bench.broadcast_soon(1)
    # A timeout must not be what frees the others, whatever its length.
    await bench.sleep(bench.profile.slack)
    bench.met(
        any(client.blocked for client in stuck), "no send to a client that does not read waited"
    )
    late = [reader.name for reader in readers if bench.numbers(reader) != [1]]
    bench.expect(
        not late,
        f"{', '.join(late)}, healthy, had nothing {bench.now - started:g} s after the broadcast: "
        f"it waits for {stuck[0].name}, which does not read",
    )
    for client in stuck:
        client.die()
    await bench.wait(task)
    return f"{clients} clients had the event at once, beside {stalled} that do not read"


@check(
    "delivery.send_deadline",
    "a send that does not end is given up after the send timeout",
    defects=(5,),
    promise="send_timeout",
    why="TCP itself gives up on a silent peer after a quarter of an hour.",
    mend="Put every send under a deadline: async with asyncio.timeout(0.5). If yours is another, "
    "say so in the profile: send_timeout.",
)
async def _send_deadline(bench: Bench) -> str:
    """Wait for the end of a send to a client that does not read."""
    stuck = bench.stalled()
    (reader,) = bench.healthy(1)
    await bench.join(reader, stuck)
    limit = (bench.profile.send_timeout or 0.0) + bench.profile.slack
    tasks = []
    # Events go on coming: they are no reason to wait longer for the first.
    for number in range(1, 9):
        tasks.append(bench.broadcast_soon(number))
        await bench.sleep(limit / 4)
    bench.met(stuck.blocked, "no send to a client that does not read waited")
    took = [(bench.now if send.end is None else send.end) - send.start for send in stuck.sends]
    bench.expect(
        max(took) <= limit,
        f"a send to {stuck.name} waited for {max(took):g} s; the send timeout is "
        f"{bench.profile.send_timeout:g} s",
    )
    await bench.wait(*tasks)
    return f"the send was given up after {took[0]:g} s"


@check(
    "delivery.k_slow_clients_cost_one_timeout",
    "many clients that do not read cost one timeout, not one each",
    defects=(4,),
    promise="send_timeout",
    why="When a network goes away a hundred clients stall together: that is a minute of silence.",
    mend="Run the sends with their deadlines concurrently: gather, a task group or queues.",
    sizes={"stalled": (5, 2)},
)
async def _k_slow_clients_cost_one_timeout(bench: Bench, *, stalled: int) -> str:
    """Stall several clients at once."""
    stuck = [bench.stalled() for _ in range(stalled)]
    (reader,) = bench.healthy(1)
    await bench.join(*stuck, reader)
    limit = (bench.profile.send_timeout or 0.0) + bench.profile.slack
    started = bench.now
    task = bench.broadcast_soon(1)
    await bench.sleep(limit)
    tried = sum(bool(client.sends) for client in stuck)
    bench.met(tried, "nothing was sent to a client that does not read")
    bench.expect(
        bench.numbers(reader) == [1],
        f"after {limit:g} s {reader.name} had nothing yet: {tried} of {stalled} clients that do "
        "not read had been waited for, one after the other",
    )
    bench.expect(
        tried == stalled and not any(client.waiting for client in stuck),
        f"after {limit:g} s sends to {sum(client.waiting > 0 for client in stuck)} clients still "
        f"waited, and {stalled - tried} had not begun",
    )
    bench.expect(
        task.done(), f"broadcast had not returned {bench.now - started:g} s after it was called"
    )
    return f"{stalled} clients that do not read cost {limit - bench.profile.slack:g} s together"


@check(
    "delivery.next_event_does_not_wait",
    "the next event does not wait for the slowest client of this one",
    level="SHOULD",
    defects=(6,),
    why="A publisher that awaits each event falls behind its source while one client hangs.",
    mend="Return when the event is queued for each client, or offer a publish() beside it.",
    sizes={"clients": (2, 1), "events": (3, 2)},
)
async def _next_event_does_not_wait(bench: Bench, *, clients: int, events: int) -> str:
    """Publish one event after the other, as fast as the manager lets one."""
    stuck = bench.stalled()
    readers = bench.healthy(clients)
    await bench.join(stuck, *readers)
    started = bench.now

    async def publish() -> None:
        for number in range(1, events + 1):
            if bench.adapter.publish is not None:
                bench.ticks.append(bench.now)
                getattr(bench.manager, bench.adapter.publish)(bench.message(number))
            else:
                await bench.broadcast(number)

    publisher = bench.spawn(publish())
    await bench.sleep(bench.profile.slack)
    bench.met(stuck.blocked, "no send to a client that does not read waited")
    for reader in readers:
        bench.expect(
            len(bench.numbers(reader)) == events,
            f"{reader.name}, healthy, had {len(bench.numbers(reader))} of {events} events "
            f"{bench.now - started:g} s later: the publisher waits for {stuck.name}",
        )
    await bench.wait(publisher)
    return f"{events} events in a row reached {clients} clients at once, beside one that hangs"


@check(
    "delivery.one_send_in_flight",
    "at most one send to a client is under way at any time",
    defects=(9,),
    why="Servers answer overlapping sends on one connection with AssertionError, or mix them up.",
    mend="Give each client one writer, or a lock that is held for its send alone.",
    sizes={"events": (4, 2)},
)
async def _one_send_in_flight(bench: Bench, *, events: int) -> str:
    """Broadcast several events while a client pauses."""
    pausing = bench.stalled(resume_after=bench.brief(0.3))
    (reader,) = bench.healthy(1)
    await bench.join(pausing, reader)
    tasks = [bench.broadcast_soon(number) for number in range(1, events + 1)]
    await bench.wait(*tasks)
    await bench.sleep(2.0)
    bench.met(pausing.blocked, "no send had to wait")
    bench.expect(
        pausing.sends_waiting_most <= 1,
        f"{pausing.sends_waiting_most} sends to {pausing.name} were under way together",
    )
    return f"{events} events, broadcast together, were sent to a pausing client one by one"


@check(
    "delivery.no_silent_gap",
    "a client that is behind loses nothing without being told",
    defects=(11, 46),
    why="A hole in a stream that nobody marks is taken for the truth.",
    mend="Close a client for which there is no room; do not drop its messages and go on.",
    sizes={"events": (2_100, 20)},
    steps=400_000,
)
async def _no_silent_gap(bench: Bench, *, events: int) -> str:
    """Broadcast a burst while a client pauses for less than its timeout."""
    pausing = bench.stalled(resume_after=bench.brief(0.3))
    (reader,) = bench.healthy(1)
    await bench.join(reader, pausing)
    tasks = []
    for number in range(1, events + 1):
        tasks.append(bench.broadcast_soon(number))
        if number % _BURST == 0:
            # Who reads must be able to keep up, and who pauses must not.
            await bench.sleep(0.001)
    await bench.wait(*tasks)
    await bench.sleep(3.0)
    bench.met(pausing.blocked, "no send had to wait")
    for client in (reader, pausing):
        seen = bench.numbers(client)
        whole = list(range(1, len(seen) + 1))
        first = next((at for at, number in enumerate(sorted(seen), 1) if at != number), None)
        bench.expect(
            sorted(seen) == whole,
            f"{client.name} got {len(seen)} of {events} events, and not event {first}, without "
            "being closed before it",
        )
        bench.expect(
            len(seen) == events or client.close_called is not None,
            f"{client.name} got only the first {len(seen)} of {events} events, and is still open",
        )
    return f"a pausing client got {len(bench.numbers(pausing))} of {events} events without a gap"


@check(
    "delivery.burst_yields",
    "a burst of events lets other tasks run",
    defects=(16,),
    needs=("async broadcast",),
    why="While a burst runs, no request is answered, no client accepted, and no timeout noticed.",
    mend="Let broadcast give way to the loop now and then: await asyncio.sleep(0).",
    sizes={"clients": (2, 0), "events": (400, 100)},
    level="SHOULD",
)
async def _burst_yields(bench: Bench, *, clients: int, events: int) -> str:
    """Await one broadcast after the other and count the turns of another task."""
    readers = bench.healthy(clients)
    await bench.join(*readers)
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            await bench.loop.create_task(_turn())
            turns += 1

    other = bench.spawn(bystander())
    await bench.sleep(0)
    turns = 0
    longest = since = 0
    for number in range(1, events + 1):
        before = turns
        bench.ticks.append(bench.now)
        await bench.broadcast_now(bench.message(number))
        since = 0 if turns > before else since + 1
        longest = max(longest, since)
    other.cancel()
    bench.expect(
        longest < events - 1,
        f"{events} broadcasts were awaited, and no other task had a single turn",
    )
    return f"during {events} awaited broadcasts another task had {turns} turns"


async def _turn() -> None:
    """Take a turn of the loop."""


@check(
    "delivery.thread_is_not_blocked",
    "nothing sleeps on the loop's thread",
    defects=(16,),
    why="time.sleep stops the whole server, not only the task that calls it.",
    mend="Use await asyncio.sleep(...).",
)
async def _thread_is_not_blocked(bench: Bench) -> str:
    """Join, broadcast, evict and leave, and look whether anybody called time.sleep."""
    stuck, dead = bench.stalled(), bench.dead()
    readers = bench.healthy(2)
    await bench.join(readers[0], stuck, dead, readers[1])
    for number in (1, 2):
        task = bench.broadcast_soon(number)
        await bench.sleep(2.0)
        stuck.die()
        await bench.wait(task)
    if "leave" in bench.adapter.can:
        await bench.leave(*readers)
    bench.expect(
        not bench.slept,
        f"time.sleep was called {len(bench.slept)} times, for {sum(bench.slept):g} s in all",
    )
    return "time.sleep was not called"


@check(
    "delivery.from_another_thread",
    "a broadcast from another thread reaches the clients on their own loop",
    defects=(18,),
    needs=("threads",),
    why="Two threads in one connection mix their frames, and no test shows it.",
    mend="Hand the event over with loop.call_soon_threadsafe.",
)
async def _from_another_thread(bench: Bench) -> str:
    """Call it from a thread, and look in which one the sends are done."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await bench.broadcast(1)
    send = getattr(bench.manager, bench.adapter.threadsafe or "")
    message = bench.message(2)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            send(message)
        except BaseException as error:  # noqa: BLE001  # a refusal is a good answer
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(1.0)
    await bench.sleep(1.0)
    bench.expect(not thread.is_alive(), "the call from another thread had not returned after 1 s")
    bench.expect(
        reader.threads == {threading.get_ident()},
        f"{reader.name} was sent to from {len(reader.threads)} threads",
    )
    bench.expect(failed or 2 in bench.numbers(reader), "the event was lost without an error")  # noqa: PLR2004  # the second
    return "refused" if failed else "handed over to the loop's own thread"
