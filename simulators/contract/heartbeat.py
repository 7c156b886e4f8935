"""Checks: the application's own ping."""

import itertools
import json

from simulators.contract.bench import Bench
from simulators.contract.registry import check
from simulators.contract.witness import Witness

__all__: list[str] = []

_NEEDS = ("heartbeat",)
_PROMISE = "heartbeat_interval"


def _interval(bench: Bench) -> float:
    return bench.profile.heartbeat_interval or 0.0


async def _beats(bench: Bench, count: float) -> None:
    """Let so many intervals pass, and a little more: as late as the last ping may be."""
    late = bench.profile.slack + (bench.profile.heartbeat_jitter or 0.0)
    await bench.sleep(count * _interval(bench) + late)


def _since(bench: Bench, client: Witness, time: float) -> int:
    return sum(when > time for when in bench.pings(client))


@check(
    "heartbeat.form",
    "a ping has the promised form",
    defects=(),
    needs=_NEEDS,
    promise="ping",
    why="A page answers the ping that it knows, and throws away or chokes on any other.",
    mend='Send {"type": "ping", "timestamp": <seconds>} as JSON text, or say in the profile what '
    "yours is: ping.",
)
async def _form(bench: Bench) -> str:
    """Look at the first ping."""
    bench.start(heartbeat=True)
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await _beats(bench, 2)
    bench.expect(reader.received, f"nothing was sent in two intervals of {_interval(bench):g} s")
    message = reader.received[0].message
    bench.expect(
        bench.is_ping(message), f"a ping must be {bench.profile.ping}, and this came: {message!r}"
    )
    bench.expect(isinstance(message, str), "the ping is a binary frame")
    if not isinstance(bench.profile.ping, str):
        told = json.loads(message)
        missing = [name for name in bench.profile.ping_fields if name not in told]
        bench.expect(not missing, f"the ping has no {', '.join(missing)}: {message!r}")
        stamp = told.get("timestamp", 0.0)
        bench.expect(
            isinstance(stamp, int | float) and not isinstance(stamp, bool),
            f"the ping's timestamp is no number: {stamp!r}",
        )
    return f"a ping is {message!r}"


@check(
    "heartbeat.rhythm",
    "pings come at the interval, to every client",
    defects=(35, 36),
    needs=_NEEDS,
    promise=_PROMISE,
    why="Proxies cut connections that are silent for a minute.",
    mend="One task that sleeps the interval and pings everybody, whoever joins or leaves.",
    sizes={"clients": (3, 1)},
)
async def _rhythm(bench: Bench, *, clients: int) -> str:
    """Count pings over five intervals."""
    bench.start(heartbeat=True)
    readers = bench.healthy(clients)
    await bench.join(*readers)
    interval, slack = _interval(bench), bench.profile.slack + (bench.profile.heartbeat_jitter or 0)
    await _beats(bench, 5)
    for reader in readers:
        times = bench.pings(reader)
        bench.expect(times, f"{reader.name} got no ping in five intervals of {interval:g} s")
        bench.expect(
            times[0] >= interval - slack,
            f"the first ping came after {times[0]:g} s; the interval is {interval:g} s",
        )
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        bench.expect(
            4 <= len(times) <= 6 and all(abs(gap - interval) <= slack for gap in gaps),  # noqa: PLR2004  # five, give or take one
            f"{reader.name} got pings at {', '.join(f'{time:g}' for time in times)} s; "
            f"the interval is {interval:g} s",
        )
    return f"{clients} clients got a ping every {interval:g} s"


@check(
    "heartbeat.off_by_default",
    "no ping is sent when the heartbeat is off",
    defects=(),
    needs=("heartbeat", "switch"),
    promise=_PROMISE,
    why="A page that does not know pings shows them, or disconnects.",
    mend="Start the heartbeat only if it is enabled.",
)
async def _off_by_default(bench: Bench) -> str:
    """Wait without a heartbeat."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await _beats(bench, 5)
    bench.expect(not reader.received, f"it was off, and sent {len(reader.received)} messages")
    return "nothing was sent"


@check(
    "heartbeat.survives_a_failing_client",
    "a ping that fails ends neither the heartbeat nor the other pings",
    defects=(37,),
    needs=_NEEDS,
    promise=_PROMISE,
    why="After one bad client nobody is pinged any more, and no dead peer is ever noticed.",
    mend="Catch the failure of each ping by itself, inside the loop.",
    sizes={"failing": (2, 1)},
)
async def _survives_a_failing_client(bench: Bench, *, failing: int) -> str:
    """Let pings fail in different ways."""
    bench.start(heartbeat=True)
    broken = bench.healthy(failing)
    readers = bench.healthy(2)
    await bench.join(readers[0], *broken, readers[1])
    errors: tuple[type[BaseException], ...] = (RuntimeError, ConnectionResetError)
    for at, client in enumerate(broken):
        client.raising = errors[at % len(errors)]
    await _beats(bench, 1)
    failed = bench.now
    bench.met(any(client.failed for client in broken), "no ping was sent to the failing client")
    await _beats(bench, 3)
    for reader in readers:
        count = _since(bench, reader, failed)
        bench.expect(
            count >= 2,  # noqa: PLR2004  # of three
            f"{reader.name} got {count} pings in three intervals after another's had failed",
        )
    kept = [client.name for client in broken if client.sends_after(failed)]
    bench.expect(not kept, f"{', '.join(kept)} was pinged again after its ping had failed")
    return "the pings went on, and the failing client was out"


@check(
    "heartbeat.survives_the_last_client",
    "a heartbeat whose last client fails can start again",
    defects=(34, 36),
    needs=_NEEDS,
    promise=_PROMISE,
    why="At night one page is left; when its ping fails, no heartbeat ever runs again.",
    mend="Do not await the heartbeat's task from within it, and look whether it is done.",
)
async def _survives_the_last_client(bench: Bench) -> str:
    """Let the ping of the only client fail, then let another join."""
    bench.start(heartbeat=True)
    (last,) = bench.healthy(1)
    await bench.join(last)
    last.raising = RuntimeError
    await _beats(bench, 1)
    bench.met(last.failed, "no ping was sent to the failing client")
    await _beats(bench, 2)
    bench.lines += [f"left over: {stuck}" for stuck in bench.stuck_tasks()]
    (reader,) = bench.healthy(1)
    joined = bench.now
    await bench.join(reader)
    await _beats(bench, 3)
    count = _since(bench, reader, joined)
    bench.expect(
        count >= 2,  # noqa: PLR2004  # of three
        f"who joined after the last client's ping had failed got {count} pings in three intervals"
        + (f" ({bench.lines[0]})" if bench.lines else ""),
    )
    return "who joined afterwards was pinged"


@check(
    "heartbeat.one_task",
    "each client gets one ping in an interval, however many join together",
    defects=(35,),
    needs=_NEEDS,
    promise=_PROMISE,
    why="Each reconnect wave would leave one more task that pings everybody.",
    mend="Create the task before anything is awaited, and only if none runs.",
    sizes={"clients": (5, 2)},
    schedules=True,
    interleaving="random",
)
async def _one_task(bench: Bench, *, clients: int) -> str:
    """Let clients join together, and leave and come back."""
    bench.start(heartbeat=True)
    readers = bench.healthy(clients)
    await bench.wait(*(bench.spawn(bench.join(reader)) for reader in readers))
    if "leave" in bench.adapter.can:
        await bench.wait(
            *(bench.spawn(move) for move in (bench.leave(readers[0]), bench.rejoin(readers[0])))
        )
    began = bench.now
    await _beats(bench, 4)
    for reader in readers[1:]:
        count = _since(bench, reader, began)
        bench.expect(
            3 <= count <= 4,  # noqa: PLR2004  # four intervals, the first may have begun before
            f"{reader.name} got {count} pings in four intervals",
        )
    return f"{clients} clients that joined together got one ping in each interval"


@check(
    "heartbeat.restarts_after_empty",
    "after the pool was empty the heartbeat starts again",
    defects=(36,),
    needs=("heartbeat", "leave"),
    promise=_PROMISE,
    why="In the morning the first client is never pinged, and its proxy cuts it every minute.",
    mend="Ask whether the task is done, not whether the attribute is None.",
    schedules=True,
    interleaving="random",
)
async def _restarts_after_empty(bench: Bench) -> str:
    """Leave and join: one after the other, and together."""
    bench.start(heartbeat=True)
    first, second, third = bench.healthy(3)
    await bench.join(first)
    await _beats(bench, 1.5)
    await bench.leave(first)
    await bench.join(second)
    joined = bench.now
    await _beats(bench, 3)
    count = _since(bench, second, joined)
    bench.expect(
        count >= 2,  # noqa: PLR2004  # of three
        f"who joined an empty pool got {count} pings in three intervals",
    )
    moves = [bench.spawn(bench.leave(second)), bench.spawn(bench.join(third))]
    await bench.wait(*moves)
    joined = bench.now
    await _beats(bench, 3)
    count = _since(bench, third, joined)
    bench.expect(
        count >= 2,  # noqa: PLR2004  # the same
        f"who joined while the last one left got {count} pings in three intervals",
    )
    await bench.leave(third)
    await _beats(bench, 2)
    (fourth,) = bench.healthy(1)
    await bench.join(fourth)
    joined = bench.now
    await _beats(bench, 3)
    count = _since(bench, fourth, joined)
    bench.expect(
        count >= 2,  # noqa: PLR2004  # the same
        f"who joined long after the last one had left got {count} pings in three intervals",
    )
    return "it started again, soon after, long after, and while the last one left"


@check(
    "heartbeat.stalled_client_does_not_stop_it",
    "a ping that does not end stops neither the heartbeat nor the other pings",
    defects=(38, 40),
    needs=_NEEDS,
    promise=_PROMISE,
    why="The heartbeat is there to find peers that hang; it must not hang with them.",
    mend="Put each ping under the send timeout, and send them concurrently.",
    sizes={"stalled": (2, 1)},
)
async def _stalled_client_does_not_stop_it(bench: Bench, *, stalled: int) -> str:
    """Stall clients and count the pings of another."""
    bench.start(heartbeat=True)
    stuck = [bench.stalled() for _ in range(stalled)]
    readers = bench.healthy(2)
    await bench.join(readers[0], *stuck, readers[1])
    await _beats(bench, 4)
    bench.met(any(client.blocked for client in stuck), "no ping had to wait")
    for reader in readers:
        count = len(bench.pings(reader))
        bench.expect(
            count >= 3,  # noqa: PLR2004  # of four
            f"{reader.name} got {count} pings in four intervals: the heartbeat waits for "
            f"{stuck[0].name}, which does not read",
        )
    waits = [client.name for client in stuck if client.waiting]
    bench.expect(
        not waits or bench.profile.send_timeout is None,
        f"a ping to {', '.join(waits)} still waits",
    )
    return f"the pings went on beside {stalled} clients that do not read"


@check(
    "heartbeat.waits_its_turn",
    "a ping is not sent while another send to the same client is under way",
    defects=(9, 40),
    needs=_NEEDS,
    promise=_PROMISE,
    why="Servers answer overlapping sends on one connection with AssertionError, or mix them up.",
    mend="Send pings the way events go: through the client's own queue or lock.",
)
async def _waits_its_turn(bench: Bench) -> str:
    """Let a send wait while a ping falls due."""
    bench.start(heartbeat=True)
    pausing = bench.client()
    await bench.join(pausing)
    await bench.sleep(_interval(bench) - bench.brief(0.2))
    pausing.stall()
    task = bench.broadcast_soon(1)
    await bench.sleep(bench.brief(0.3))
    waited = pausing.blocked
    pausing.resume()
    await bench.wait(task)
    await _beats(bench, 1)
    bench.met(waited, "no send had to wait")
    bench.met(bench.pings(pausing), "no ping arrived")
    bench.expect(
        pausing.sends_waiting_most <= 1,
        f"a ping was sent to {pausing.name} while an event to it was under way",
    )
    return "the ping waited for the send that was under way"


@check(
    "heartbeat.ends_with_last_client",
    "when the last client has left the heartbeat ends",
    defects=(42, 45),
    needs=("heartbeat", "leave"),
    promise=_PROMISE,
    why="A task that nobody needs keeps its manager, and everything it holds, alive.",
    mend="Cancel the task when the pool is empty, or let its loop end by itself.",
)
async def _ends_with_last_client(bench: Bench) -> str:
    """Let everybody leave."""
    bench.offered(bench.adapter.start is None, "it runs from its start to its stop")
    bench.start(heartbeat=True)
    before = len(bench.foreign_tasks())
    readers = bench.healthy(2)
    await bench.join(*readers)
    await _beats(bench, 1)
    bench.met(len(bench.foreign_tasks()) > before, "no task of a heartbeat was seen")
    await bench.leave(*readers)
    left = bench.now
    await _beats(bench, 2)
    tasks = bench.foreign_tasks()
    bench.expect(
        len(tasks) <= before,
        f"two intervals after the last client had left, {tasks and tasks[-1].get_name()} still ran",
    )
    sent = [reader.name for reader in readers if reader.sends_after(left)]
    bench.expect(not sent, f"{', '.join(sent)} was pinged after it had left")
    return "no task was left"


@check(
    "heartbeat.ends_with_shutdown",
    "after a shutdown nobody is pinged and no heartbeat runs",
    defects=(42,),
    needs=("heartbeat", "shutdown"),
    promise=_PROMISE,
    why="A task that outlives the shutdown keeps the process from ending.",
    mend="Cancel the heartbeat's task first, and await its end.",
)
async def _ends_with_shutdown(bench: Bench) -> str:
    """Shut down between two pings."""
    bench.start(heartbeat=True)
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await _beats(bench, 1)
    bench.met(bench.pings(reader), "no ping arrived")
    await bench.shutdown()
    over = bench.now
    await _beats(bench, 2)
    bench.expect(not reader.sends_after(over), f"{reader.name} was pinged after the shutdown")
    tasks = bench.foreign_tasks()
    bench.expect(not tasks, f"after the shutdown {tasks and tasks[-1].get_name()} still ran")
    return "no ping came, and no task was left"


@check(
    "heartbeat.half_open_is_noticed",
    "a client that answers no ping is out after the pong timeout",
    level="SHOULD",
    defects=(26, 31, 39),
    needs=("heartbeat", "said"),
    promise="pong_timeout",
    why="A peer whose network is gone takes megabytes of sends before one of them fails.",
    mend="Remember when each client was last heard, and evict who answers no ping.",
)
async def _half_open_is_noticed(bench: Bench) -> str:
    """Let one client answer its pings, and another not."""
    bench.start(heartbeat=True)
    (talker,) = bench.healthy(1)
    mute = bench.client(name="half-open")
    await bench.join(talker)
    await bench.join(mute, mute=True)
    await _beats(bench, 1)
    bench.met(bench.pings(mute), "no ping was sent to the client that does not answer")
    await bench.sleep((bench.profile.pong_timeout or 0.0) + _interval(bench))
    bench.expect(
        mute.close_called is not None and not bench.is_member(mute),
        f"{mute.name} answered no ping, and was still there after the pong timeout of "
        f"{bench.profile.pong_timeout:g} s",
    )
    bench.expect(talker.close_called is None, f"{talker.name} answered each ping, and was closed")
    return "who did not answer was out, who did stayed"


@check(
    "heartbeat.jitter",
    "pings of many managers do not fall together",
    level="SHOULD",
    defects=(41,),
    needs=_NEEDS,
    promise="heartbeat_jitter",
    why="After a restart every worker pings all its clients in the same instant, for ever.",
    mend="Add a random part to each interval.",
)
async def _jitter(bench: Bench) -> str:
    """Look whether the pings come at irregular times."""
    bench.start(heartbeat=True)
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await _beats(bench, 10)
    times = bench.pings(reader)
    gaps = {round(later - earlier, 6) for earlier, later in itertools.pairwise(times)}
    bench.met(len(times) > 2, "hardly a ping arrived")  # noqa: PLR2004  # two gaps, to compare them
    bench.expect(len(gaps) > 1, f"each ping came exactly {min(gaps):g} s after the one before")
    return f"{len(gaps)} different gaps"
