"""What the manager itself costs: publishing to clients whose sends do nothing.

One process, no sockets: the kernel and the server have no part in it, so the numbers are steady
even on a busy machine. `fast` are clients with a direct connection, `plain` those with an async
`send_text`. Pydantic's part in it is measured by itself. Prints Markdown.

    python benchmarks/overhead.py
"""

import asyncio
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

from command_line import end_with, parser_of
from contestants import event
from starlette.websockets import WebSocket, WebSocketState

from flock_ws import WebSocketManager
from flock_ws.closing import EXTENSION
from flock_ws.direct import DirectConnection

ROUNDS = 7
EVENT_BYTES = 300
ENCODED = 400


class Nothing:
    """A direct connection that takes every byte and does nothing with it."""

    lost = False
    buffered_bytes = 0
    window_bits = 0
    on_pong: Callable[[int], None] | None = None

    def offer(self, frames: bytes) -> bool:
        """Take it."""
        return bool(frames)

    def ping(self, number: int) -> None:
        """Be asked, and never answer: the benchmark is over before that counts."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """It is always writable."""

    def abort(self) -> None:
        """Nothing is there to abort."""

    async def wait_lost(self) -> None:
        """Nothing is lost."""


class Plain:
    """A socket whose send returns at once."""

    async def send_text(self, text: str) -> None:
        """Take it."""


def fast() -> WebSocket:
    """Return a socket with a direct connection."""
    connection: DirectConnection = Nothing()
    scope = {"type": "websocket", "extensions": {EXTENSION: {"connection": connection}}}
    websocket = WebSocket(scope, _never, _never)
    websocket.client_state = websocket.application_state = WebSocketState.CONNECTED
    return websocket


async def _never(*_: object) -> Any:
    raise RuntimeError("the benchmark's sockets neither receive nor send through ASGI")


WAYS: dict[str, Callable[[], Any]] = {"fast": fast, "plain": Plain}


async def measure(make: Callable[[], Any], *, clients: int, events: int, burst: int) -> float:
    """Return µs of CPU for each event, to so many clients, when so many come in one turn."""
    manager = WebSocketManager(history_limit=1_000)
    for _ in range(clients):
        await manager.add_client(make())
    seen = []
    for _ in range(ROUNDS):
        batch = [event(number, EVENT_BYTES) for number in range(events * burst)]
        began = time.process_time_ns()
        for start in range(0, len(batch), burst):
            for one in batch[start : start + burst]:
                delivery = manager.publish(one)
            await delivery
        seen.append((time.process_time_ns() - began) / len(batch) / 1e3)
        if delivery.delivered != clients:
            raise RuntimeError(f"{delivery} should have reached {clients} clients")
    return statistics.median(seen)


def encode() -> float:
    """Return µs of CPU for Pydantic's part in one event: `model_dump_json`."""
    seen = []
    for _ in range(ROUNDS):
        batch = [event(number, EVENT_BYTES) for number in range(ENCODED)]
        began = time.process_time_ns()
        for one in batch:
            one.model_dump_json()
        seen.append((time.process_time_ns() - began) / len(batch) / 1e3)
    return statistics.median(seen)


def main() -> None:
    """Measure and print the table."""
    parser_of(__doc__).parse_args()
    print("# The manager itself\n")
    print(f"{platform.system()}, Python {platform.python_version()}; {EVENT_BYTES} B, sends do")
    print("nothing. µs of CPU; an event to nobody is encoded, remembered and numbered.\n")
    print(
        "| way | clients | an awaited event | for each client | of 20 in one turn, each |", end=""
    )
    print(" for each client |\n|---|---|---|---|---|---|")
    for way, make in WAYS.items():
        for clients in (0, 1, 300, 10_000):
            events = max(5, min(400, 40_000 // max(1, clients)))
            one = asyncio.run(measure(make, clients=clients, events=events, burst=1))
            many = asyncio.run(
                measure(make, clients=clients, events=max(3, events // 20), burst=20)
            )
            each = [f"{cost / clients:.3f}" if clients else "" for cost in (one, many)]
            print(f"| {way} | {clients} | {one:.2f} | {each[0]} | {many:.2f} | {each[1]} |")

    whole = asyncio.run(measure(fast, clients=0, events=ENCODED, burst=1))
    spent = encode()
    print(f"\nOf the {whole:.2f} µs of an event to nobody Pydantic's `model_dump_json` has")
    print(f"{spent:.2f}, {spent / whole:.0%}.")


if __name__ == "__main__":
    end_with(main)
