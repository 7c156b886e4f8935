"""What one delivery costs: the reference beside the ways in which managers are written by hand.

Each contestant serves the same clients over real sockets, one server at a time, in rounds that
alternate. The clients live in a process of their own and read with `recv_into`; what is measured
is the CPU time of the server process, user and system, for each delivery. Compare ratios within
one run; the absolute numbers belong to the machine.

    python benchmarks/fan_out.py --clients 300 --rounds 5
"""

import argparse
import asyncio
import contextlib
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from flock_ws.server import listening_socket
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol

EVENT_BYTES = 300


class Naive:
    """Sends to one client after the other, without a deadline."""

    def __init__(self) -> None:
        self.clients: set[WebSocket] = set()

    async def add_client(self, websocket: WebSocket) -> None:
        """Add a client."""
        self.clients.add(websocket)

    async def broadcast(self, event: StreamingOutputEvent) -> None:
        """Send to everybody."""
        text = event.model_dump_json()
        for client in list(self.clients):
            await client.send_text(text)


class Common(Naive):
    """The common pattern: a gather of sends, each with a deadline."""

    async def broadcast(self, event: StreamingOutputEvent) -> None:
        """Send to everybody."""
        text = event.model_dump_json()
        sends = [asyncio.wait_for(client.send_text(text), 0.5) for client in list(self.clients)]
        await asyncio.gather(*sends, return_exceptions=True)


CONTESTANTS: dict[str, tuple[type[Any], Any, str]] = {
    "common": (Common, "websockets-sansio", "gather of wait_for(send_text)"),
    "naive": (Naive, "websockets-sansio", "one send after the other"),
    "reference": (WebSocketManager, "websockets-sansio", "flock_ws on plain uvicorn"),
    "fast": (WebSocketManager, FlockWebSocketProtocol, "flock_ws with its uvicorn protocol"),
}


def event(number: int) -> StreamingOutputEvent:
    """Return an event of `EVENT_BYTES` on the wire."""
    fixed = StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="llm_token",
        content="",
        sequence=number,
    )
    filler = "x" * (EVENT_BYTES - len(fixed.model_dump_json()))
    return fixed.model_copy(update={"content": filler})


async def serve(contestant: str, clients: int, events: int, burst: int) -> dict[str, float]:
    """Serve until everybody is there, broadcast, and return µs of CPU for each delivery."""
    factory, protocol, _ = CONTESTANTS[contestant]
    manager = factory()
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await manager.add_client(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.receive_text()

    config = uvicorn.Config(
        app, ws=protocol, lifespan="off", log_level="error", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    listener = listening_socket("127.0.0.1", 0, send_buffer_bytes=262_144)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(listener.getsockname()[1], flush=True)
    async with asyncio.timeout(60):
        while len(manager.clients) < clients:  # noqa: ASYNC110 # whoever joins tells nobody
            await asyncio.sleep(0.01)
    batch = [event(number) for number in range(events)]
    for warm_up in batch[:20]:
        await manager.broadcast(warm_up)
    await asyncio.sleep(0.1)
    began = time.process_time()
    for one in batch:
        await manager.broadcast(one)
    single = time.process_time() - began
    await asyncio.sleep(0.2)
    began = time.process_time()
    for start in range(0, events, burst):
        await asyncio.gather(*(manager.broadcast(one) for one in batch[start : start + burst]))
    together = time.process_time() - began
    assert len(manager.clients) == clients, "a client was lost: the numbers mean nothing"  # noqa: S101
    server.should_exit = True
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await serving
    deliveries = events * clients
    return {"single": single / deliveries * 1e6, "burst": together / deliveries * 1e6}


def read(port: int, clients: int) -> None:
    """Connect and read everything until the server ends."""
    waiting = selectors.DefaultSelector()
    request = (
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(request.encode())
        connection.setblocking(False)  # noqa: FBT003 # its only parameter
        waiting.register(connection, selectors.EVENT_READ)
    buffer = bytearray(1 << 18)
    while waiting.get_map():
        for key, _ in waiting.select(30):
            try:
                count = key.fileobj.recv_into(buffer)  # type: ignore[union-attr] # a socket
            except BlockingIOError:
                continue
            except OSError:
                count = 0
            if not count:
                waiting.unregister(key.fileobj)


def measure(contestant: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run one server and its clients, each in a process of its own."""
    command = [sys.executable, os.path.abspath(__file__)]  # noqa: PTH100 # argv, not a path
    numbers = ["--clients", arguments.clients, "--events", arguments.events]
    server = subprocess.Popen(  # noqa: S603 # this very file
        [*command, "--serve", contestant, *map(str, numbers), "--burst", str(arguments.burst)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None  # noqa: S101 # it was asked for
    port = server.stdout.readline().strip()
    clients = subprocess.Popen(  # noqa: S603 # as above
        [*command, "--read", port, "--clients", str(arguments.clients)]
    )
    try:
        result = server.stdout.readline()
        if server.wait(timeout=30) or not result:
            raise SystemExit(f"the server of {contestant!r} failed with code {server.returncode}")
        return dict(json.loads(result))
    finally:
        for process in (server, clients):
            process.terminate()
            process.wait(timeout=10)


def main() -> None:
    """Take the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--clients", type=int, default=300, help="sockets on the server (%(default)s)"
    )
    parser.add_argument("--events", type=int, default=300, help="broadcasts a round (%(default)s)")
    parser.add_argument(
        "--burst", type=int, default=20, help="events published together (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds (%(default)s)")
    parser.add_argument("--json", help="write every number to this file")
    parser.add_argument("--serve", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        result = asyncio.run(
            serve(arguments.serve, arguments.clients, arguments.events, arguments.burst)
        )
        print(json.dumps(result), flush=True)
        return
    if arguments.read:
        read(arguments.read, arguments.clients)
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for number in range(arguments.rounds):
        for contestant in CONTESTANTS:
            print(f"round {number + 1} of {arguments.rounds}: {contestant}", file=sys.stderr)
            rounds[contestant].append(measure(contestant, arguments))
    print(
        f"\nµs of CPU for each delivery: {arguments.clients} clients, {EVENT_BYTES} bytes, "
        f"Python {sys.version.split()[0]}, medians of {arguments.rounds} rounds (min to max)\n"
    )
    for kind in ("single", "burst"):
        title = "one awaited event" if kind == "single" else f"{arguments.burst} events together"
        base = statistics.median(result[kind] for result in rounds["common"])
        print(f"{title:<44}{'median':>8}{'min':>8}{'max':>8}   of common")
        for contestant, (_, _, what) in CONTESTANTS.items():
            values = [result[kind] for result in rounds[contestant]]
            middle = statistics.median(values)
            print(
                f"  {contestant:<10}{what:<32}{middle:>8.2f}{min(values):>8.2f}{max(values):>8.2f}"
                f"{middle / base:>11.2f}"
            )
        print()
    if arguments.json:
        with open(arguments.json, "w") as file:  # noqa: PTH123 # one line
            json.dump({"arguments": vars(arguments), "rounds": rounds}, file, indent=2)


if __name__ == "__main__":
    main()
