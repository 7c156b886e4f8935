"""How the reference grows: with clients, with the size of events, with who does not read.

Every number is that of the server process alone; the clients are in another. Prints Markdown. On
the direct way (`fast`, flock_ws with its uvicorn protocol) and the ordinary one (`plain`).

    python benchmarks/growth.py            # some minutes
    python benchmarks/growth.py --quick    # less than one: smaller, and one round
"""

import argparse
import itertools
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from command_line import end_with, parser_of
from contestants import event
from pairs import Pair, Spoiled, pair
from readers import allow_files
from serving import memory_bytes

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent

WAYS = ("fast", "plain")
SIZES = (100, 1_024, 65_536)
FULL_HISTORY = 128_344
_MOST_BYTES = 1_400_000_000
_SPARE_FILES = 200
# Nobody is to be evicted where the cost of a delivery is measured, however slow the machine.
_PATIENT = json.dumps({"send_timeout": 60, "ack_timeout": 60, "max_lag_bytes": 1 << 40})


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        clients: numbers of clients.
        deliveries: of one phase, about.
        repeats: phases of a kind, of which the median counts.
        crowd: clients of whom some stall.
        seconds: of one phase with stalled clients.
        idle: clients for the memory of one.
        slow: stalled clients for the memory of one.
        history: events remembered.
    """

    clients: tuple[int, ...] = (10, 100, 300, 1_000, 10_000)
    deliveries: int = 12_000
    repeats: int = 3
    crowd: int = 300
    seconds: float = 3.0
    idle: int = 10_000
    slow: int = 1_000
    history: int = FULL_HISTORY


QUICK = Extent((10, 100, 1_000), 2_000, 1, 100, 2.0, 1_000, 100, 20_000)


def allowed(clients: int) -> str | None:
    """Return why this machine does not allow so many clients, or None."""
    needed = clients + _SPARE_FILES
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if allow_files(needed) < needed:
        return f"{clients} clients need {needed} open files, and the hard limit is {hard}"
    return None


def cost_of_a_delivery(extent: Extent, skipped: list[str]) -> Iterator[str]:
    """Measure µs of CPU for each delivery."""
    yield "## CPU of one delivery, µs\n"
    headings = [f"{size} B{kind}" for size in SIZES for kind in ("", ", burst of 20")]
    yield f"| clients | way | {' | '.join(headings)} |"
    yield "|---" * (len(headings) + 2) + "|"
    for clients in extent.clients:
        if (why := allowed(clients)) is not None:
            skipped.append(why)
            continue
        for way in WAYS:
            cells = []
            with pair(way, clients=clients, limits=_PATIENT) as both:
                both.run(do="publish", events=20, event_bytes=300, burst=1)
                for size, burst in itertools.product(SIZES, (1, 20)):
                    cell = _cell(both, extent, size_bytes=size, burst=burst, skipped=skipped)
                    cells.append(cell)
            yield f"| {clients} | {way} | {' | '.join(cells)} |"


def _cell(both: Pair, extent: Extent, *, size_bytes: int, burst: int, skipped: list[str]) -> str:
    clients = both.clients
    events = max(3, min(400, extent.deliveries // clients))
    events = -(-events // burst) * burst
    if events * clients * size_bytes > _MOST_BYTES:
        events = burst
    if (total := events * clients * size_bytes) > _MOST_BYTES:
        skipped.append(
            f"{clients} clients, {burst} x {size_bytes} B: {total / 1e9:.0f} GB in one phase"
        )
        return "skipped"
    order: dict[str, Any] = {"do": "publish", "event_bytes": size_bytes, "burst": burst}
    seen = [both.run(**order, events=events)["cpu"] for _ in range(extent.repeats)]
    return f"{statistics.median(seen):.2f}"


def breathing(extent: Extent, skipped: list[str]) -> Iterator[str]:
    """Measure how long a fan-out keeps the loop from everything else."""
    count = extent.idle
    yield f"\n## The longest stretch in a fan-out to {count} clients\n"
    yield "A timer of 1 ms beside awaited events of 300 B: the most CPU time between two of its"
    yield "turns, and the latest it came, both in ms. Medians, and the worst.\n"
    yield "| way | CPU | worst | late | worst |"
    yield "|---|---|---|---|---|"
    if (why := allowed(count)) is not None:
        skipped.append(why)
        return
    for way in WAYS:
        with pair(way, clients=count, limits=_PATIENT) as both:
            both.run(do="publish", events=2, event_bytes=300, burst=1)
            order: dict[str, Any] = {"do": "breathe", "events": 3, "event_bytes": 300}
            rows = [both.run(**order) for _ in range(5)]
        cells = []
        for key in ("stretch", "late"):
            values = [row[key] * 1e3 for row in rows]
            cells += [f"{statistics.median(values):.1f}", f"{max(values):.1f}"]
        yield f"| {way} | {' | '.join(cells)} |"


def beside_stalled_clients(extent: Extent, skipped: list[str]) -> Iterator[str]:
    """Measure what the healthy ones notice of those who do not read."""
    rate, crowd = 100, extent.crowd
    events = int(extent.seconds * rate)
    yield "\n## Beside stalled clients\n"
    yield f"{crowd} clients, {rate} events/s of 1 KB, buffers and limits as `serve` has them.\n"
    yield "| way | stalled | evicted | CPU of one delivery, µs | p50, ms | p99, ms | max, ms |"
    yield "|---|---|---|---|---|---|---|"
    seen: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(extent.repeats):
        for way in WAYS:
            for stalled in (0, crowd // 100, crowd // 10):
                with pair(
                    way, clients=crowd - stalled, stalled=stalled, send_buffer_bytes=16_384
                ) as both:
                    order = {"do": "pace", "rate": rate, "event_bytes": 1_024}
                    try:
                        cost = both.run(**order, events=events, limit=extent.seconds + 20)
                    except Spoiled as error:
                        skipped.append(f"{way}, {stalled} of {crowd} stalled: {error}")
                        continue
                    row = {**cost, **both.lateness()}
                    row["evicted"] = sum(both.usage()["evicted"].values())
                seen.setdefault((way, stalled), []).append(row)
    for (way, stalled), rows in seen.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        late = " | ".join(f"{middle[key] * 1e3:.1f}" for key in ("p50", "p99", "max"))
        share = f"{stalled} ({stalled / crowd:.0%})"
        yield f"| {way} | {share} | {middle['evicted']:.0f} | {middle['cpu']:.2f} | {late} |"


def memory(extent: Extent, skipped: list[str]) -> Iterator[str]:
    """Measure what a client, a slow client and a history hold."""
    yield "\n## Memory\n"
    if not memory_bytes():
        skipped.append("memory: this system has no /proc/self/statm")
        return
    yield "| what | bytes |"
    yield "|---|---|"
    yield from _idle(extent, skipped)
    for way in WAYS:
        if (why := allowed(extent.slow)) is not None:
            skipped.append(why)
            break
        few, many = (_backlog(way, stalled) for stalled in (1, extent.slow))
        each = (many - few) / (extent.slow - 1)
        what = "1 stalled client, 40 events of 64 KiB published: the server grows by"
        yield f"| {way}: {what} | {few:,} |"
        yield f"| the same, each further one of {extent.slow} | {each:,.0f} |"
    done = subprocess.run(  # noqa: S603 # this very file
        [sys.executable, __file__, "--history", str(extent.history)],
        capture_output=True,
        text=True,
        check=True,
    )
    held = int(done.stdout)
    yield f"| one remembered event of 300 B, of {extent.history} | {held / extent.history:,.0f} |"
    yield f"| a history of {extent.history} events | {held:,} |"


def _idle(extent: Extent, skipped: list[str]) -> Iterator[str]:
    """Measure a connection that waits, with nothing but a set and with the manager."""
    count = extent.idle
    if (why := allowed(count)) is not None:
        skipped.append(why)
        return
    held = {}
    for name in ("naive", *WAYS):
        with pair(name, clients=count) as both:
            both.run(do="publish", events=1, event_bytes=300, burst=1)
            time.sleep(1.5)  # until the acknowledgements have been asked for
            held[name] = (both.usage()["memory_bytes"] - both.before["memory_bytes"]) / count
    yield f"| an idle client of {count}, uvicorn's and FastAPI's own | {held['naive']:,.0f} |"
    for way in WAYS:
        yield f"| the same, {way}: beyond that | {held[way] - held['naive']:,.0f} |"


def _backlog(way: str, stalled: int) -> int:
    """Return by how much the server grows when so many clients do not take 2.6 MB."""
    with pair(way, clients=1, stalled=stalled, send_buffer_bytes=16_384, limits=_PATIENT) as both:
        before = both.usage()["memory_bytes"]
        both.run(do="pace", rate=50, events=40, event_bytes=65_536)
        return int(both.usage()["memory_bytes"] - before)


def history(count: int) -> None:
    """Fill a history; print what the process has grown by."""
    manager = WebSocketManager(history_limit=count)
    before = memory_bytes()
    for number in range(count):
        one = event(number, 300)
        if not isinstance(one, StreamingOutputEvent):
            raise TypeError(f"{one!r} is not remembered")
        manager._streaming_history.remember(one, 300)  # noqa: SLF001 # publish needs a loop
    print(memory_bytes() - before)


def main() -> None:
    """Measure everything and print the page."""
    parser = parser_of(__doc__)
    sections = {
        "cost": cost_of_a_delivery,
        "breathing": breathing,
        "stalled": beside_stalled_clients,
        "memory": memory,
    }
    parser.add_argument("--quick", action="store_true", help="smaller, in less than a minute")
    parser.add_argument("--only", choices=sections, action="append", help="this section alone")
    parser.add_argument("--history", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.history:
        history(arguments.history)
        return
    extent = QUICK if arguments.quick else Extent()
    print("# Growth\n")
    print("Produced by `python benchmarks/growth.py`: the server's process alone.")
    print(f"{platform.system()}, Python {platform.python_version()}.\n")
    skipped: list[str] = []
    for name in arguments.only or sections:
        for line in sections[name](extent, skipped):
            print(line, flush=True)
    for what in dict.fromkeys(skipped):
        print(f"\nSkipped: {what}.")


if __name__ == "__main__":
    end_with(main)
