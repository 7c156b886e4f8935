"""A feed of another form than ours: key, subprotocol, subscription, and events that nest.

``python feed.py [CERTIFICATE]`` writes one JSON line with its address; it speaks TLS with one.
"""

import asyncio
import json
import ssl
import sys
import time
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

KEY = "open-sesame"
RATE = 100


async def main() -> None:
    subscribers: set[ServerConnection] = set()

    def admit(connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/feed":
            return connection.respond(HTTPStatus.NOT_FOUND, "no feed here\n")
        if request.headers.get("X-Api-Key") != KEY:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "who are you?\n")
        return None

    async def follow(connection: ServerConnection) -> None:
        await connection.send("hello, this is no JSON")
        async for message in connection:
            if json.loads(message) == {"subscribe": "ticks"}:
                subscribers.add(connection)
        subscribers.discard(connection)

    secure = None
    if len(sys.argv) > 1:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(sys.argv[1])
    async with serve(
        follow,
        "127.0.0.1",
        0,
        ssl=secure,
        process_request=admit,
        subprotocols=[Subprotocol("feed.v2")],
        compression=None,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        scheme = "wss" if secure else "ws"
        sys.stdout.write(json.dumps({"url": f"{scheme}://127.0.0.1:{port}/feed"}) + "\n")
        sys.stdout.flush()
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
            tick = {"seq": number, "ts": int(time.time() * 1_000), "price": 101.5}
            broadcast(subscribers, json.dumps({"kind": "tick", "data": tick, "pad": "x" * 200}))
            number += 1


if __name__ == "__main__":
    asyncio.run(main())
