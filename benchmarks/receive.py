"""What it costs to receive and check a pushed message: locust with our users, and other clients.

One server process writes the same event to all connections, as a broadcast does, spread over the
interval, so that nearly each message costs a wake-up of its own. The clients, a process or a tree
of them, are measured from outside: their CPU time between two moments, over the messages that the
server wrote meanwhile. Each of them parses JSON, checks that no sequence number is missing, and
keeps the latency in a histogram. Our users parse a payload once and find it again by its bytes for
all other clients; the check of the sequence is each client's own. What the others offer for that
does not exist, so they parse each time; `checks` shows what that makes for us.

The latency that a row shows spans the interval too: connections over rate.

websocket-client is measured as it comes, in pure Python, and with wsaccel where that is there.

A row is `behind` when its clients did not take all that was written: it has no processor left, and
is no part of the medians; a lower rate lets it keep up.
Clients that are not installed are named. Ratios below 1.3 are noise.

    python benchmarks/receive.py --connections 200 --rate 10000 --duration 5 --rounds 3
    python benchmarks/receive.py --only ours: --only gevent --only wsaccel --rounds 5
    python benchmarks/receive.py --only ours --rate 45000
    python benchmarks/receive.py --only ours --connections 2000 --rate 20000

`ws` of node is found by NODE_PATH, k6 in PATH.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop
from command_line import above_zero, at_least_one, end_with, parser_of

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HERE = Path(__file__).resolve().parent
SLICES = 10
RAMP = 30.0
KEPT_UP = 0.97
HEAD = f"{'client':36} {'CPU s/million':>13} {'of ours':>8} {'written/s':>10} {'per core':>9}"


def frame(sequence: int, size_bytes: int) -> bytes:
    """Encode one event of about `size_bytes`, sent now, as a server's frame."""
    stamp = datetime.now(UTC).isoformat()
    event = {"run_id": "bench", "sequence": sequence, "timestamp": stamp, "content": ""}
    event["content"] = "x" * max(0, size_bytes - len(json.dumps(event)))
    payload = json.dumps(event).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


class Server(asyncio.Protocol):
    """Upgrades each connection and adds it to those that are written to."""

    def __init__(self, pool: dict[asyncio.Transport, None]) -> None:
        self.pool = pool
        self.head = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer the request; what comes later is of no interest."""
        if self.transport in self.pool:
            return
        self.head += data
        if b"\r\n\r\n" not in self.head:
            return
        key = self.head.lower().partition(b"sec-websocket-key:")[1:]
        start = self.head.lower().index(key[0]) + len(key[0])
        nonce = self.head[start:].partition(b"\r\n")[0].strip()
        accept = base64.b64encode(hashlib.sha1(nonce + GUID, usedforsecurity=False).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.pool[self.transport] = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Write to it no more."""
        self.pool.pop(self.transport, None)


async def serve(rate: float, size_bytes: int) -> None:
    """Write to all connections, once told to begin, and answer each line on stdin with counts."""
    loop = asyncio.get_running_loop()
    pool: dict[asyncio.Transport, None] = {}
    server = await loop.create_server(lambda: Server(pool), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    written = 0
    begin = asyncio.Event()

    async def write() -> None:
        nonlocal written
        await begin.wait()
        sequence, started = 0, time.perf_counter()
        interval = max(1, len(pool)) / rate
        while True:
            event = frame(sequence, size_bytes)
            members = list(pool)
            # Spread over the interval, as a client's connections are served in turn.
            for part in range(SLICES):
                for transport in members[part::SLICES]:
                    if not transport.is_closing():
                        transport.write(event)
                        written += 1
                due = started + (sequence + (part + 1) / SLICES) * interval
                await asyncio.sleep(max(0, due - time.perf_counter()))
            sequence += 1

    writing = loop.create_task(write())
    while line := await lines.readline():
        if line.strip() == b"begin":
            begin.set()
        print(json.dumps([len(pool), written]), flush=True)
    writing.cancel()


def contestants(connections: int) -> dict[str, list[str] | None]:
    """Return the command of each client, None for one that is not installed."""

    def script(kind: str, *modules: str) -> list[str] | None:
        there = all(importlib.util.find_spec(name) is not None for name in modules)
        return [sys.executable, str(HERE / "receivers.py"), kind] if there else None

    users = str(HERE / "receive_users.py")
    ours = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--locustfile", users]
    ours += ["--users", str(connections), "--spawn-rate", str(connections)]
    node, k6 = shutil.which("node"), shutil.which("k6")
    has_ws = (
        node is not None
        and not subprocess.run(  # noqa: S603 - node itself
            [node, "-e", "require('ws')"], check=False, capture_output=True
        ).returncode
    )
    k6_run = [str(k6), "run", "--quiet", "--no-usage-report", str(HERE / "receive_k6.js")]
    return {
        "ours: locust, our users": ours,
        "ours, parsing each": ours,
        "SocketClient on uvloop, no locust": script("sockets"),
        "picows on uvloop": script("picows", "picows"),
        "aiohttp on uvloop": script("aiohttp", "aiohttp"),
        "websockets on uvloop": script("websockets", "websockets"),
        "websocket-client under gevent": script("gevent", "websocket", "gevent"),
        "the same with wsaccel": script("gevent_wsaccel", "websocket", "gevent", "wsaccel"),
        "node ws": [str(node), str(HERE / "receive.js")] if has_ws else None,
        "k6": k6_run if k6 else None,
    }


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and all below it."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def measure(
    name: str, command: list[str], options: argparse.Namespace
) -> tuple[float, float, str] | str:
    """Run one server and its clients; return CPU seconds per million, messages/s and a remark."""
    serving = [sys.executable, __file__, "--role", "serve"]
    serving += ["--rate", str(options.rate), "--size-bytes", str(options.size_bytes)]
    pipes: Mapping[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen(serving, **pipes)  # noqa: S603 - this very file
    assert server.stdin  # noqa: S101 - they were asked for
    assert server.stdout  # noqa: S101 - the same

    def ask(word: str) -> list[int]:
        server.stdin.write(f"{word}\n")  # type: ignore[union-attr]  # asserted above
        server.stdin.flush()  # type: ignore[union-attr]  # the same
        return list(json.loads(server.stdout.readline()))  # type: ignore[union-attr]  # the same

    port = server.stdout.readline().strip()
    environment = os.environ | {
        "BENCH_URL": f"ws://127.0.0.1:{port}/",
        "BENCH_CONNECTIONS": str(options.connections),
        "BENCH_SECONDS": str(options.duration + RAMP),
        "BENCH_PARSE_EACH": "1" if name == "ours, parsing each" else "",
    }
    clients = subprocess.Popen(  # noqa: S603 - the clients that are compared
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        deadline = time.monotonic() + RAMP
        while ask("count")[0] < options.connections:
            if time.monotonic() > deadline or clients.poll() is not None:
                clients.kill()
                last = (clients.communicate()[0].strip().splitlines() or [""])[-1]
                return f"only {ask('count')[0]} connected: {last}"
            time.sleep(0.1)
        watched = psutil.Process(clients.pid)
        cpu, began = cpu_of(watched), time.monotonic()
        ask("begin")
        time.sleep(options.duration)
        cpu, (there, written) = cpu_of(watched) - cpu, ask("count")
        took = time.monotonic() - began
        clients.send_signal(signal.SIGTERM)
        said, _ = clients.communicate(timeout=60)
    finally:
        for process in (clients, server):
            process.kill()
            process.wait()
    told = next((line for line in said.splitlines() if line.startswith("checked ")), "checked 0")
    # What came after the last look at the clock was not paid for.
    taken = min(int(told.split()[1].strip(",").replace(",", "")), written)
    remark = told
    if taken < KEPT_UP * written or there < options.connections:
        remark = f"behind, {there} connected; {told}"
    return cpu / max(taken, 1) * 1e6, written / took, remark


def summarise(costs: dict[str, list[float]], ratios: dict[str, list[float]]) -> None:
    """Print the medians over the rounds in which a client kept up."""
    print(f"medians\n{'client':36} {'CPU s/million':>13} {'of ours':>8}  each round")
    for name, values in costs.items():
        each = ", ".join(f"{ratio:.2f}x" for ratio in ratios[name])
        cost, ratio = statistics.median(values), statistics.median(ratios[name])
        print(f"{name:36} {cost:13.1f} {ratio:7.2f}x  {each}")


def main() -> None:
    """Measure each client and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--connections", type=at_least_one, default=200)
    parser.add_argument("--rate", type=float, default=10_000.0, help="messages/s over all of them")
    parser.add_argument(
        "--duration", type=above_zero, default=5.0, help="seconds measured for each row"
    )
    parser.add_argument("--size-bytes", type=at_least_one, default=298, help="of one message")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        action="append",
        help="only the rows that have it in their name; may be repeated",
    )
    parser.add_argument(
        "--rounds", type=at_least_one, default=1, help="of all rows; medians at the end"
    )
    parser.add_argument("--role", choices=("all", "serve"), default="all", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "serve":
        uvloop.run(serve(options.rate, options.size_bytes))
        return
    print(
        f"{options.connections} connections, {options.rate:,.0f} messages/s of"
        f" {options.size_bytes} bytes, {options.duration:g} s for each row"
    )
    chosen = {
        name: command
        for name, command in contestants(options.connections).items()
        if not options.only or any(text in name for text in options.only)
    }
    costs: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for number in range(1, options.rounds + 1):
        ours = None
        print(f"round {number}\n{HEAD}")
        for name, command in chosen.items():
            if command is None:
                continue
            seen = measure(name, command, options)
            if isinstance(seen, str):
                print(f"{name:36} {seen}", flush=True)
                continue
            cost, rate, remark = seen
            ours = ours or cost
            # Who is behind reads more at a time, which is cheaper, and less than was sent.
            if not remark.startswith("behind"):
                costs.setdefault(name, []).append(cost)
                ratios.setdefault(name, []).append(cost / ours)
            numbers = f"{cost:13.1f} {cost / ours:7.2f}x {rate:10,.0f} {1e6 / cost:9,.0f}"
            print(f"{name:36} {numbers}  {remark}", flush=True)
    if options.rounds > 1:
        summarise(costs, ratios)
    if missing := [name for name, command in chosen.items() if command is None]:
        print(f"not installed: {', '.join(missing)}")


if __name__ == "__main__":
    end_with(main)
