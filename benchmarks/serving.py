"""The server process of a benchmark: one contestant, told what to do over standard input.

Each command is a line of JSON, and so is its answer. `benchmarks/broadcast.js` speaks the same.

    {"do": "publish", "events": 300, "event_bytes": 300, "burst": 1}
    {"do": "pace", "events": 300, "event_bytes": 300, "rate": 100}
    {"do": "breathe", "events": 5, "event_bytes": 300}
    {"do": "usage"}
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from command_line import parser_of
from contestants import COMPRESSING, CONTESTANTS, Application, Contestant, Sent, event
from readers import allow_files

from flock_ws import WebSocketManager
from flock_ws.server import listening_socket

_TICK = 0.001

_sending: set[asyncio.Task[None]] = set()


def memory_bytes() -> int:
    """Return what the process holds in memory (Linux; elsewhere 0)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def publish(contestant: Contestant, order: dict[str, Any]) -> dict[str, float]:
    """Send events one after the other, or so many at once, as fast as it goes."""
    burst = order["burst"]
    words = order.get("words", False)
    batch = [event(number, order["event_bytes"], words=words) for number in range(order["events"])]
    return await publish_all(contestant, batch, burst)


async def publish_all(contestant: Contestant, batch: list[Sent], burst: int) -> dict[str, float]:
    """Send these events, so many at once; return when they began, and the CPU time around them."""
    began, cpu = time.monotonic(), time.process_time()
    for start in range(0, len(batch), burst):
        await contestant.send(batch[start : start + burst])
    return {"began": began, "cpu": cpu, "cpu_after": time.process_time()}


async def breathe(contestant: Contestant, order: dict[str, Any]) -> dict[str, float]:
    """Send events one after the other beside a timer; say how long it had to wait.

    Its lateness belongs to the machine too: another process may have had the processor. The CPU
    time between two of its turns is the loop's own.
    """
    loop = asyncio.get_running_loop()
    late, stretch = 0.0, 0.0
    due, used = loop.time() + _TICK, time.thread_time()
    handle: asyncio.TimerHandle

    def tick() -> None:
        nonlocal late, stretch, due, used, handle
        now, cpu = loop.time(), time.thread_time()
        late, stretch = max(late, now - due), max(stretch, cpu - used)
        due, used = now + _TICK, cpu
        handle = loop.call_at(due, tick)

    batch = [event(number, order["event_bytes"]) for number in range(order["events"])]
    used = time.thread_time()
    handle = loop.call_at(due, tick)
    answer = await publish_all(contestant, batch, 1)
    handle.cancel()
    return {**answer, "late": late, "stretch": stretch}


async def pace(contestant: Contestant, order: dict[str, Any]) -> dict[str, float]:
    """Send events at a rate. Each carries when it was due, also if the sender came late."""
    began, cpu = time.monotonic(), time.process_time()
    for number in range(order["events"]):
        due = began + number / order["rate"]
        if (ahead := due - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        one = event(number, order["event_bytes"], due=due)
        # Whoever publishes at a rate does not wait for the slowest client.
        task = asyncio.create_task(contestant.send([one]))
        _sending.add(task)
        task.add_done_callback(_sending.discard)
    return {"began": began, "cpu": cpu}


def usage(contestant: Contestant) -> dict[str, Any]:
    """Return what the process has used, and who is there."""
    cpu = time.process_time()
    manager = getattr(contestant, "manager", None)
    evicted = {}
    if isinstance(manager, WebSocketManager):
        evicted = dict(manager.statistics().evicted)
    gc.collect()
    return {
        "cpu": cpu,
        "clients": contestant.clients,
        "evicted": evicted,
        "memory_bytes": memory_bytes(),
    }


async def serve(options: argparse.Namespace) -> None:
    """Listen, print the port, obey until standard input ends."""
    _, make = {**CONTESTANTS, **COMPRESSING}[options.contestant]
    contestant = make(**json.loads(options.limits))
    listener = listening_socket("127.0.0.1", 0, send_buffer_bytes=options.send_buffer_bytes)
    port = listener.getsockname()[1]
    await contestant.start(listener)
    print(json.dumps({"port": port}), flush=True)
    orders = {"publish": publish, "pace": pace, "breathe": breathe}
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "usage":
            answer = usage(contestant)
        else:
            answer = await orders[order["do"]](contestant, order)
        print(json.dumps(answer), flush=True)
    if isinstance(contestant, Application) and contestant.server is not None:
        for connection in list(contestant.server.server_state.connections):
            connection.transport.abort()


def main() -> None:
    """Serve until told to end."""
    parser = parser_of(__doc__)
    parser.add_argument("contestant", choices={**CONTESTANTS, **COMPRESSING})
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--send-buffer-bytes", type=int, default=262_144)
    parser.add_argument("--limits", default="{}", help="fields of Limits, as JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    allow_files(20_000)
    factory: Any = None
    if options.loop == "uvloop":
        import uvloop  # noqa: PLC0415 # only where it is asked for

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(options))
        os._exit(0)  # what is left waits for peers


if __name__ == "__main__":
    main()
