"""How long a peer that stops reading stays, at 10 events/s of 300 bytes.

Real sockets with the system's default buffers. The reference asks for acknowledgements, and is
given time until it evicts. The common pattern, a send with a deadline, sees nothing before the
kernel's buffers are full: it is watched for a while, and then filled as fast as it goes, which
tells how many events it takes and so how long that would be. Prints Markdown.

    python benchmarks/eviction.py
"""

import asyncio
import logging
import platform
import socket
import time
from typing import Any

from command_line import above_zero, end_with, parser_of
from contestants import Application, Common, event
from readers import REQUEST

from flock_ws import WebSocketManager
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol

RATE = 10
EVENT_BYTES = 300
_SEND_TIMEOUT = 0.5
_MOST_EVENTS = 200_000


async def stalled_peer(port: int) -> socket.socket:
    """Return a peer that has joined and reads nothing."""
    peer = socket.socket()
    peer.setblocking(False)  # noqa: FBT003 # its only parameter
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, ("127.0.0.1", port))
    await loop.sock_sendall(peer, REQUEST.format(path="/ws", offer="").encode())
    return peer


async def begin(application: Application) -> socket.socket:
    """Serve, and let one stalled peer join."""
    listener = socket.create_server(("127.0.0.1", 0))
    await application.start(listener)
    peer = await stalled_peer(listener.getsockname()[1])
    async with asyncio.timeout(10):
        while not application.clients:  # noqa: ASYNC110 # joining is not announced
            await asyncio.sleep(0.01)
    return peer


def end(application: Application, peer: socket.socket) -> None:
    """Leave nothing open."""
    peer.close()
    assert application.server is not None  # noqa: S101 # it has begun
    for connection in list(application.server.server_state.connections):
        connection.transport.abort()


async def publish_until(application: Application, done: Any, limit: float) -> float | None:
    """Publish at the rate until it is done; return how long that took, or None beyond `limit`."""
    began = time.monotonic()
    number = 0
    while not done():
        if (now := time.monotonic()) - began > limit:
            return None
        number += 1
        await application.send([event(number, EVENT_BYTES)])
        await asyncio.sleep(max(0.0, began + number / RATE - now))
    return time.monotonic() - began


async def reference(limit: float, ack_timeout: float) -> float | None:
    """Return after how many seconds the reference has evicted."""
    manager = WebSocketManager(ack_timeout=ack_timeout)
    application = Application(manager, FlockWebSocketProtocol)
    peer = await begin(application)
    taken = await publish_until(application, lambda: manager.evictions, limit)
    end(application, peer)
    return taken


async def common(limit: float) -> tuple[float | None, int]:
    """Return after how long a deadline has passed, and how many events go until one does."""
    manager = Common()
    late: list[float] = []
    application = Application(manager)
    peer = await begin(application)
    (client,) = manager.clients
    send = client.send_text

    async def timed(text: str) -> None:
        began = time.monotonic()
        try:
            await send(text)
        finally:
            if time.monotonic() - began >= _SEND_TIMEOUT * 0.9:
                late.append(began)

    client.send_text = timed  # type: ignore[method-assign, assignment] # to see its deadline pass
    taken = await publish_until(application, lambda: late, limit)
    sent = 0 if taken is None else round(taken * RATE)
    if taken is None:
        sent = round(limit * RATE)
        text = event(0, EVENT_BYTES).model_dump_json()
        while not late and sent < _MOST_EVENTS:
            try:
                await asyncio.wait_for(timed(text), _SEND_TIMEOUT)
            except TimeoutError:
                break
            sent += 1
    end(application, peer)
    return taken, sent


def main() -> None:
    """Measure both and print the table."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add(
        "--ack-timeout",
        type=above_zero,
        default=10.0,
        help="of the reference (%(default)s s)",
    )
    add(
        "--limit",
        type=above_zero,
        default=60.0,
        help="seconds the common one is watched (%(default)s)",
    )
    arguments = parser.parse_args()
    logging.disable()  # aborted endpoints are no news here
    ours = asyncio.run(reference(arguments.ack_timeout * 3 + 5, arguments.ack_timeout))
    theirs, events = asyncio.run(common(arguments.limit))
    seconds = events / RATE
    print("# A peer that stops reading\n")
    print(f"{platform.system()}, Python {platform.python_version()}: {RATE} events/s of")
    print(
        f"{EVENT_BYTES} B, the system's default buffers.\n\n| manager | it is noticed |\n|---|---|"
    )
    found = "**never**" if ours is None else f"after {ours:.1f} s"
    limit = f"`ack_timeout` {arguments.ack_timeout:g} s"
    print(f"| flock_ws with its uvicorn protocol, {limit} | {found} |")
    late = f"not within {arguments.limit:g} s" if theirs is None else f"after {theirs:.1f} s"
    what = f"{late}; buffers take {events:,} events, which are {seconds / 60:.0f} minutes"
    print(f"| a send with a deadline of {_SEND_TIMEOUT:g} s for each | {what} |")


if __name__ == "__main__":
    end_with(main)
