"""The application that `servers.py` runs on each server, to see what it does to a manager.

A peer's path names the probe; what it found is told over HTTP, at `/found/` and that name.

    python benchmarks/probes.py wsproto --loop asyncio --port 8000
"""

import asyncio
import time
from typing import Any

from command_line import parser_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

__all__ = ["CLOSE_LIMIT", "LOOPS", "SERVERS"]

SERVERS = {
    "flock": ("uvicorn", "`flock_ws.uvicorn_protocol`"),
    "websockets-sansio": ("uvicorn", "uvicorn, `websockets-sansio`"),
    "websockets": ("uvicorn", "uvicorn, legacy `websockets`"),
    "wsproto": ("uvicorn", "uvicorn, `wsproto`"),
    "hypercorn": ("hypercorn", "hypercorn"),
    "granian": ("granian", "granian"),
}
LOOPS = ("asyncio", "uvloop")

CHUNK_BYTES = 65_536
MOST_CHUNKS = 512
BLOCKED_AFTER = 1.0
CLOSE_LIMIT = 35.0
"""Longer than any server was seen to wait in `close()`."""

# It is asked for over HTTP: a server may run the application anywhere.
found: dict[str, dict[str, Any]] = {}


async def fill(websocket: WebSocket) -> dict[str, Any]:
    """Send to a peer that does not read until a send blocks, and cancel that send."""
    for number in range(MOST_CHUNKS):
        try:
            async with asyncio.timeout(BLOCKED_AFTER):
                await websocket.send_text(f"{number:08}".ljust(CHUNK_BYTES, "x"))
        except TimeoutError:
            return {"blocked": True, "absorbed_bytes": number * CHUNK_BYTES, "cancelled": number}
    return {"blocked": False, "absorbed_bytes": MOST_CHUNKS * CHUNK_BYTES, "cancelled": None}


async def probe_backpressure(websocket: WebSocket) -> dict[str, Any]:
    """Fill, then send once more when the peer says that it reads."""
    result = await fill(websocket)
    found["filled"] = {}
    await websocket.receive_text()
    async with asyncio.timeout(10):
        await websocket.send_text("99999999")
    return result


async def probe_close(websocket: WebSocket) -> dict[str, Any]:
    """Close a peer that does not read."""
    await fill(websocket)
    began = time.monotonic()
    try:
        async with asyncio.timeout(CLOSE_LIMIT):
            await websocket.close(1012)
    except Exception as error:  # noqa: BLE001 # whatever it is: it is what is measured
        return {"took": time.monotonic() - began, "raised": type(error).__name__}
    return {"took": time.monotonic() - began, "raised": None}


async def probe_close_beside_receive(websocket: WebSocket) -> dict[str, Any]:
    """Close a peer that reads, from another task than the one that receives."""
    receiving = asyncio.create_task(websocket.receive())
    await asyncio.sleep(0.2)
    began = time.monotonic()
    try:
        async with asyncio.timeout(3):
            await websocket.close(1012)
    except TimeoutError:
        return {"returned": False}
    finally:
        receiving.cancel()
    return {"returned": True, "took": time.monotonic() - began}


async def probe_reset(websocket: WebSocket) -> dict[str, Any]:
    """Send to a peer that has reset the connection, then ask what has happened."""
    await asyncio.sleep(0.7)
    sends = []
    for _ in range(4):
        try:
            async with asyncio.timeout(2):
                await websocket.send_text("x")
            sends.append("success")
        except Exception as error:  # noqa: BLE001 # as above
            sends.append(type(error).__name__)
        await asyncio.sleep(0.05)
    try:
        async with asyncio.timeout(2):
            message = await websocket.receive()
    except Exception as error:  # noqa: BLE001 # as above
        return {"sends": sends, "told": type(error).__name__}
    return {"sends": sends, "told": f"{message['type']} {message.get('code', '')}"}


async def probe_abort(websocket: WebSocket) -> dict[str, Any]:
    """Look for the extension, and drop a peer that does not read."""
    offered = (websocket.scope.get("extensions") or {}).get("flock_ws")
    if offered is None:
        return {"offered": False}
    await fill(websocket)
    offered["connection"].abort()
    async with asyncio.timeout(5):
        await offered["connection"].wait_lost()
    return {"offered": True}


PROBES = {
    "backpressure": probe_backpressure,
    "close": probe_close,
    "close_beside_receive": probe_close_beside_receive,
    "reset": probe_reset,
    "abort": probe_abort,
}


async def endpoint(websocket: WebSocket) -> None:
    """Run the probe that the path names."""
    name = websocket.path_params["name"]
    await websocket.accept()
    try:
        found[name] = await PROBES[name](websocket)
    except Exception as error:  # noqa: BLE001 # a probe that fails is a finding too
        found[name] = {"failed": f"{type(error).__name__}: {error}"}


async def answer(request: Request) -> JSONResponse:
    """Return what a probe found, or null."""
    return JSONResponse(found.get(request.path_params["name"]))


probe = Starlette(
    routes=[WebSocketRoute("/ws/{name}", endpoint), Route("/found/{name}", answer)],
)


def serve(name: str, loop: str, port: int) -> None:
    """Run the application; granian brings its own command."""
    if SERVERS[name][0] == "uvicorn":
        import uvicorn  # noqa: PLC0415 # one of several servers

        from flock_ws.uvicorn_protocol import FlockWebSocketProtocol  # noqa: PLC0415 # the same

        ws: Any = FlockWebSocketProtocol if name == "flock" else name
        uvicorn.run(
            probe,
            port=port,
            ws=ws,
            loop=loop,
            lifespan="off",
            log_level="critical",
            ws_ping_interval=None,
        )
        return
    from hypercorn.asyncio import serve as hypercorn  # noqa: PLC0415 # installed on request
    from hypercorn.config import Config  # noqa: PLC0415 # the same

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "CRITICAL"
    factory: Any = None
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 # only where it is asked for

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(hypercorn(probe, config))  # type: ignore[arg-type] # its own name for ASGI


def main() -> None:
    """Serve until killed."""
    parser = parser_of(__doc__)
    named = [name for name in SERVERS if name != "granian"]
    parser.add_argument("server", choices=named, help="granian is started by its own command")
    parser.add_argument("--loop", choices=LOOPS, default=LOOPS[0], help="[%(default)s]")
    parser.add_argument("--port", type=int, required=True, help="on this machine")
    options = parser.parse_args()
    serve(options.server, options.loop, options.port)


if __name__ == "__main__":
    main()
