"""Where the cost of one delivery on plain ASGI lies: the server, the framework, the manager.

One process, no sockets: real uvicorn protocols, FastAPI and managers over transports that do
nothing, so the kernel has no part in it and the numbers are steady even on a busy machine. What the
kernel costs stands in the rows of the floor of `make bench`. Prints Markdown.

    python benchmarks/layers.py
"""

import asyncio
import contextlib
import logging
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from command_line import end_with, parser_of
from contestants import Common, Naive, Sent, event
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from flock_ws import WebSocketManager

CLIENTS = 300
EVENTS = 10
EVENT_BYTES = 300
ROUNDS = 25
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Broadcast = Callable[[Sent], Awaitable[object]]


class Nowhere(asyncio.Transport):
    """A transport that takes every byte and does nothing with it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        """Tell that it is open."""
        return False

    def close(self) -> None:
        """Nothing is there to close."""

    def pause_reading(self) -> None:
        """Nothing comes."""

    def resume_reading(self) -> None:
        """Nothing comes."""


async def connect(manager: Any) -> list[WebSocketsSansIOProtocol]:
    """Let clients join the manager through uvicorn and FastAPI; return their protocols."""
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await manager.add_client(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.receive_text()

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="critical",
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    config.load()
    state = ServerState()
    protocols = []
    for number in range(CLIENTS):
        protocol = WebSocketsSansIOProtocol(config, state, {})
        address = ("127.0.0.1", number)
        protocol.connection_made(Nowhere({"peername": address, "sockname": address}))
        protocol.data_received(UPGRADE)
        protocols.append(protocol)
    while len(manager.clients) < CLIENTS:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    return protocols


def server_alone(protocols: list[WebSocketsSansIOProtocol]) -> Broadcast:
    """Return a broadcast that gives messages to the server, past the framework."""

    async def broadcast(event: Sent) -> None:
        text = event.model_dump_json()
        for protocol in protocols:
            await protocol.send({"type": "websocket.send", "text": text})

    return broadcast


async def measure() -> dict[str, float]:
    """Return µs of CPU for one delivery of each way, the median of alternating rounds."""
    managers: dict[str, Any] = {"naive": Naive(), "plain": WebSocketManager(), "common": Common()}
    protocols = {name: await connect(manager) for name, manager in managers.items()}
    ways: dict[str, Broadcast] = {"server": server_alone(protocols["naive"])}
    ways |= {name: manager.broadcast for name, manager in managers.items()}
    events = [event(number, EVENT_BYTES) for number in range(EVENTS)]
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, broadcast in ways.items():
            began = time.process_time_ns()
            for one in events:
                await broadcast(one)
            spent = time.process_time_ns() - began
            seen[name].append(spent / (EVENTS * CLIENTS) / 1e3)
    for tasks in {
        id(each.tasks): each.tasks for all_ in protocols.values() for each in all_
    }.values():
        for task in tasks:
            task.cancel()
    return {name: statistics.median(costs) for name, costs in seen.items()}


def main() -> None:
    """Measure and print the table."""
    parser_of(__doc__).parse_args()
    logging.getLogger("uvicorn.error").disabled = True  # the clients' tasks end by cancellation
    cost = asyncio.run(measure())
    print("# One delivery on plain ASGI, without the kernel\n")
    print(f"{platform.system()}, Python {platform.python_version()}; {CLIENTS} clients,")
    print(f"{EVENT_BYTES} B, single awaited events; µs of CPU.\n")
    print("| layer | µs |\n|---|---|")
    for layer, spent in {
        "uvicorn and websockets: a frame made and written": cost["server"],
        "Starlette and FastAPI above it": cost["naive"] - cost["server"],
        "this manager above a loop of `send_text`": cost["plain"] - cost["naive"],
        "the common pattern above a loop of `send_text`": cost["common"] - cost["naive"],
    }.items():
        print(f"| {layer} | {spent:.2f} |")
    naive, plain, common = cost["naive"], cost["plain"], cost["common"]
    print(
        f"\nIn all: a loop of `send_text` {naive:.2f}, this manager {plain:.2f}, the common pattern"
    )
    print(f"{common:.2f}. The kernel's `send` costs each as much again, the floor of `make bench`:")
    print(
        f"this manager is half of the common pattern where that is at most {common - 2 * plain:.1f}"
    )
    print(f"µs, a loop of `send_text` where it is at most {common - 2 * naive:.1f} µs.")


if __name__ == "__main__":
    end_with(main)
