"""What it costs to receive and check a message with `simulators.sockets.SocketClient`.

A server process writes encoded frames to every connection; a client process parses each as JSON
and checks its sequence. Each row is a pair of processes of its own, and the number is the client
process's CPU time. At a rate, single messages are spread over all connections, so that nearly each
costs its own wake-up and system call: the worst case. 'flood' writes as fast as it can. Numbers
below the machine's full load flatter nobody: a mostly idle processor is cold and slow.

    python benchmarks/receive.py --connections 100 --duration 3
"""

import argparse
import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import time
from typing import Any

from simulators.sockets import SocketClient

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BATCH = 20


def frame(sequence: int, size_bytes: int) -> bytes:
    """Encode one message of about `size_bytes` as a server's frame."""
    event = {"sequence": sequence, "agent_name": "load", "output_type": "llm_token", "content": ""}
    event["content"] = "x" * max(0, size_bytes - len(json.dumps(event)))
    payload = json.dumps(event).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


class Server(asyncio.Protocol):
    """Upgrades each connection and adds it to those that are written to."""

    pool: set[asyncio.Transport]

    def __init__(self, pool: set[asyncio.Transport]) -> None:
        self.pool = pool
        self.head = b""
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer the request; what comes later is of no interest."""
        self.head += data
        if self.transport in self.pool or b"\r\n\r\n" not in self.head:
            return
        key = self.head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.pool.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Write to it no more."""
        self.pool.discard(self.transport)


async def serve(options: argparse.Namespace) -> None:
    """Write to all connections until the last has gone."""
    loop = asyncio.get_running_loop()
    pool: set[asyncio.Transport] = set()
    server = await loop.create_server(lambda: Server(pool), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    limit = loop.time() + options.duration + 20
    while len(pool) < options.connections and loop.time() < limit:  # noqa: ASYNC110 - as simple as it gets
        await asyncio.sleep(0.01)
    sequence, started = 0, time.perf_counter()
    while pool and loop.time() < limit:
        members = list(pool)
        if not options.rate:
            burst = b"".join(
                frame(number, options.size_bytes) for number in range(sequence, sequence + BATCH)
            )
            sequence += BATCH
            for transport in members:
                if not transport.is_closing():
                    transport.write(burst)
            while any(transport.get_write_buffer_size() > 1 << 16 for transport in pool):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            continue
        burst = frame(sequence, options.size_bytes)
        sequence += 1
        # Spread over the interval, in ten parts, as a client's connections are served in turn.
        for part in range(10):
            for transport in members[part::10]:
                if not transport.is_closing():
                    transport.write(burst)
            due = started + (sequence + part / 10) * options.connections / options.rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
    server.close()


async def receive(options: argparse.Namespace) -> None:
    """Connect, take and check for `duration` seconds, and print what it cost as JSON."""
    expected: dict[SocketClient, int] = {}
    wrong = 0

    def check(client: SocketClient, payload: bytes) -> None:
        nonlocal wrong
        sequence = json.loads(payload)["sequence"]
        wrong += sequence != expected.setdefault(client, sequence)
        expected[client] = sequence + 1

    url = f"ws://127.0.0.1:{options.port}/"
    clients = [SocketClient(url, on_message=check, keep=False) for _ in range(options.connections)]
    await asyncio.gather(*(client.connect() for client in clients))
    await asyncio.sleep(0.3)
    before = sum(client.received_messages for client in clients)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.sleep(options.duration)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    taken = sum(client.received_messages for client in clients) - before
    for client in clients:
        client.die()
    print(json.dumps({"taken": taken, "cpu": cpu, "wall": wall, "wrong": wrong}))


def run(main: Any, loop: str) -> None:
    """Run on the named loop."""
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - it may be missing, and is then not asked for

        uvloop.run(main)
    else:
        asyncio.run(main)


def measure(options: argparse.Namespace, *, rate: float, loop: str) -> None:
    """Run one pair of processes and print its row."""
    shared = [
        *("--connections", str(options.connections), "--duration", str(options.duration)),
        *("--rate", str(rate), "--size-bytes", str(options.size_bytes)),
    ]
    this = [sys.executable, __file__]
    server = subprocess.Popen(  # noqa: S603 - this very file
        [*this, "--role", "serve", "--loop", "uvloop", *shared], stdout=subprocess.PIPE, text=True
    )
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        client = subprocess.run(  # noqa: S603 - this very file
            [*this, "--role", "receive", "--loop", loop, "--port", port, *shared],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=options.duration + 30,
        )
    finally:
        server.kill()
        server.wait()
    seen = json.loads(client.stdout)
    per_million = seen["cpu"] / max(seen["taken"], 1) * 1e6
    load = f"{rate:,.0f}/s" if rate else "flood"
    print(
        f"{load:9} {loop:8} {seen['taken'] / seen['wall']:12,.0f} {per_million:18.1f} "
        f"{1e6 / per_million:18,.0f} {seen['wrong']:13}",
        flush=True,
    )


def main() -> None:
    """Measure each loop under each kind of load."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--duration", type=float, default=3.0, help="seconds for each row")
    parser.add_argument(
        "--rate",
        type=float,
        nargs="*",
        default=[10_000.0, 60_000.0, 0.0],
        help="messages/s over all connections, one row each; 0 is a flood",
    )
    parser.add_argument("--size-bytes", type=int, default=298, help="of one message")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), help="one loop only")
    parser.add_argument(
        "--role", choices=("all", "serve", "receive"), default="all", help=argparse.SUPPRESS
    )
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "serve":
        options.rate = options.rate[0]
        run(serve(options), options.loop)
    elif options.role == "receive":
        run(receive(options), options.loop)
    else:
        print(f"{options.connections} connections, {options.size_bytes} bytes, JSON + sequence")
        print("load      loop       messages/s  CPU s per million  messages/s/core  out of order")
        for rate in options.rate:
            for loop in (options.loop,) if options.loop else ("asyncio", "uvloop"):
                measure(options, rate=rate, loop=loop)


if __name__ == "__main__":
    main()
