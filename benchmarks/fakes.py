"""How fast the fakes are: a fan-out through the reference to fake clients, in one process.

Nothing is sent over a socket; the time is that of the manager, the fakes and the loop in virtual
time. With --stalled some clients block, and are dropped at the first event.

    python benchmarks/fakes.py --deliveries 1000000 --clients 1000
"""

import logging
import resource
import sys
import time

from command_line import at_least_one, end_with, parser_of

from flock_ws import WebSocketManager
from simulators.events import numbered_events
from simulators.runs import simulate
from simulators.swarm import Swarm


async def fan_out(*, deliveries: int, clients: int, stalled: int) -> tuple[float, float, int]:
    """Deliver so many events to so many clients; return the time, the CPU's, and the deliveries."""
    manager = WebSocketManager()
    swarm = Swarm.mix(
        {"stalled": stalled}, count=clients + stalled, manager=manager, abortable=True
    )
    await swarm.join()
    events = numbered_events(size_bytes=300)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    for _ in range(-(-deliveries // clients)):
        await manager.broadcast(next(events))
    took, took_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    received = sum(len(client.received) for client in swarm)
    assert received >= deliveries  # noqa: S101  # a benchmark that delivered less measured nothing
    return took, took_cpu, received


def main() -> int:
    """Run it and print the numbers."""
    parser = parser_of(__doc__)
    parser.add_argument("--deliveries", type=at_least_one, default=1_000_000)
    parser.add_argument("--clients", type=at_least_one, default=1_000)
    parser.add_argument("--stalled", type=int, default=0, help="clients that block, besides")
    options = parser.parse_args()

    async def run() -> tuple[float, float, int]:
        return await fan_out(
            deliveries=options.deliveries, clients=options.clients, stalled=options.stalled
        )

    logging.disable(logging.WARNING)
    took, took_cpu, received = simulate(run)
    # Linux counts kilobytes, macOS bytes.
    scale = 1 if sys.platform == "darwin" else 1_024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    print(
        f"{received} deliveries to {options.clients} clients in {took:.2f} s "
        f"({took_cpu:.2f} s of CPU): {received / took:,.0f}/s, peak memory {peak / 1e6:.0f} MB"
    )
    return 0


if __name__ == "__main__":
    end_with(main)
