"""The reference under a random subset of faults for each seed, then healed: it must converge.

Each seed is one run in virtual time, under a random schedule. It prints every seed that failed
with what went wrong, and how long all took.

    python benchmarks/seeds.py --seeds 1000
    python benchmarks/seeds.py --first 417 --seeds 1 --tell
"""

import asyncio
import logging
import time
import traceback
from random import Random

from command_line import at_least_one, end_with, parser_of

from flock_ws import WebSocketManager
from simulators.clock import SimLoop
from simulators.hardships import Hardship
from simulators.runs import simulate

# A run takes some thousands: a manager that goes round in circles is told so soon.
_MOST_STEPS = 500_000


def managed(seed: int) -> WebSocketManager:
    """Make a manager whose limits follow from the seed."""
    draw = Random(f"{seed}/manager")
    return WebSocketManager(
        heartbeat_interval=draw.choice([0.3, 1, 30]),
        enable_heartbeat=draw.random() < 0.5,  # noqa: PLR2004  # every other
        pong_timeout=draw.choice([None, 0.25, 1.0]),
        heartbeat_jitter=draw.choice([0.0, 0.1]),
        send_timeout=draw.choice([0.05, 0.5]),
        max_lag_messages=draw.choice([5, 65_536]),
        max_lag_bytes=draw.choice([50_000, 4_000_000]),
    )


async def endure(seed: int) -> list[str]:
    """Go through one hardship; return what did not converge."""
    loop = running()
    manager = managed(seed)
    endured = await Hardship.drawn(seed).endure(manager)
    complaints = endured.complaints()
    statistics = manager.statistics()
    busy = [client.name for client in statistics.per_client if client.busy or client.lag.messages]
    if busy:
        complaints.append(f"busy outboxes: {busy}")
    if kept := len(manager._log):  # noqa: SLF001  # the log has no public face
        complaints.append(f"the log keeps {kept} events")
    await manager.shutdown()
    await endured.swarm.stop()
    # What a heartbeat or a deadline may still do is cancelled by now, or due soon.
    await asyncio.sleep(5)
    left = [task.get_name() for task in loop.tasks() if task is not asyncio.current_task()]
    timers = [timer for _, _, timer in loop._timers if not timer.cancelled()]  # noqa: SLF001  # asyncio has no public list either
    if left:
        complaints.append(f"tasks left: {left}")
    if timers:
        complaints.append(f"timers left: {timers}")
    if manager.clients:
        complaints.append(f"clients after the shutdown: {manager.clients}")
    return complaints


def running() -> SimLoop:
    """Return the loop in virtual time that runs."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimLoop):
        raise TypeError(f"expected a SimLoop, not {loop!r}")
    return loop


def survive(seed: int) -> list[str]:
    """Run one seed; return what went wrong, in lines."""
    try:
        return simulate(
            lambda: endure(seed), seed=seed, interleaving="random", max_steps=_MOST_STEPS
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to this seed
        return traceback.format_exception(error)


def main() -> int:
    """Run the seeds and print what failed."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=at_least_one, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--tell", action="store_true", help="say what each seed goes through")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    begun, failed = time.perf_counter(), 0
    for seed in range(options.first, options.first + options.seeds):
        if options.tell:
            print(Hardship.drawn(seed).describe())
        if complaints := survive(seed):
            failed += 1
            print(f"seed {seed} failed: python benchmarks/seeds.py --first {seed} --seeds 1 --tell")
            print(*(f"  {line.rstrip()}" for line in complaints), sep="\n")
    took = time.perf_counter() - begun
    print(
        f"{options.seeds} seeds, {failed} failed, {took:.1f} s, "
        f"{1000 * took / max(1, options.seeds):.1f} ms each"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    end_with(main)
