"""Clients for `receive.py` to compare with: each parses, checks the sequence, keeps the latency."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any

URL = os.environ["BENCH_URL"]
CONNECTIONS = int(os.environ["BENCH_CONNECTIONS"])


class Check:
    """What all connections of one process took."""

    def __init__(self) -> None:
        self.taken = 0
        self.wrong = 0
        self.latencies: Counter[int] = Counter()

    def stream(self) -> Any:
        """Make the function that takes the messages of one connection."""
        expected: int | None = None

        def take(payload: str | bytes) -> None:
            nonlocal expected
            now = time.time()
            event = json.loads(payload)
            sequence = event["sequence"]
            self.wrong += expected is not None and sequence != expected
            expected = sequence + 1
            self.taken += 1
            late = now - datetime.fromisoformat(event["timestamp"]).timestamp()
            self.latencies[int(late * 1_000)] += 1

        return take

    def tell(self, *_: object) -> None:
        """Say what was taken, and end."""
        seen, p99 = 0, 0
        for latency in sorted(self.latencies):
            seen += self.latencies[latency]
            if seen >= 0.99 * self.taken:
                p99 = latency
                break
        print(f"checked {self.taken:,}, {self.wrong} out of order, p99 {p99} ms", flush=True)
        os._exit(0)


CHECK = Check()


async def with_sockets() -> None:
    """Use this package's client, without locust."""
    from simulators.sockets import SocketClient  # noqa: PLC0415 - each contestant alone

    clients = []
    for _ in range(CONNECTIONS):
        take = CHECK.stream()
        clients.append(
            SocketClient(URL, on_message=lambda _, payload, take=take: take(payload), keep=False)
        )
    await asyncio.gather(*(client.connect() for client in clients))
    await asyncio.Event().wait()


async def with_picows() -> None:
    """Use picows."""
    import picows  # noqa: PLC0415 - it may be missing

    class Listener(picows.WSListener):
        def __init__(self) -> None:
            self.take = CHECK.stream()

        def on_ws_frame(self, _: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                self.take(frame.get_payload_as_bytes())

    kept = [await picows.ws_connect(Listener, URL) for _ in range(CONNECTIONS)]
    await asyncio.Event().wait()
    del kept


async def with_aiohttp() -> None:
    """Use aiohttp."""
    import aiohttp  # noqa: PLC0415 - it may be missing

    async def read(session: Any) -> None:
        take = CHECK.stream()
        async with session.ws_connect(URL, compress=0) as websocket:
            async for message in websocket:
                take(message.data)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(read(session) for _ in range(CONNECTIONS)))


async def with_websockets() -> None:
    """Use websockets."""
    import websockets  # noqa: PLC0415 - each contestant alone

    async def read() -> None:
        take = CHECK.stream()
        async with websockets.connect(URL, compression=None, proxy=None) as websocket:
            async for message in websocket:
                take(message)

    await asyncio.gather(*(read() for _ in range(CONNECTIONS)))


def with_gevent(*, accelerated: bool) -> None:
    """Use websocket-client in greenlets, as locustfiles do."""
    if not accelerated:
        # As it comes: its extension for masks and UTF-8 is a package of its own.
        sys.modules.update(dict.fromkeys(("wsaccel.utf8validator", "wsaccel.xormask")))  # type: ignore[arg-type]  # None forbids the import
    from gevent import monkey  # noqa: PLC0415 - only this contestant is patched

    monkey.patch_all()
    import gevent  # noqa: PLC0415 - after patching
    import websocket  # noqa: PLC0415 - after patching

    def read() -> None:
        take = CHECK.stream()
        connection = websocket.create_connection(URL)
        count = 0
        while True:
            take(connection.recv())
            count += 1
            if not count % 64:
                # It never yields while data is there.
                gevent.sleep(0)

    gevent.signal_handler(signal.SIGTERM, CHECK.tell)
    gevent.joinall([gevent.spawn(read) for _ in range(CONNECTIONS)])


def main() -> None:
    """Run the contestant that is named."""
    kind = sys.argv[1]
    if kind.startswith("gevent"):
        with_gevent(accelerated=kind == "gevent_wsaccel")
        return
    import uvloop  # noqa: PLC0415 - not for the greenlets

    signal.signal(signal.SIGTERM, CHECK.tell)
    uvloop.run(globals()[f"with_{kind}"]())


if __name__ == "__main__":
    main()
