"""An httpx-ws transport with backpressure: `WireTransport`.

    client = httpx.AsyncClient(transport=WireTransport(app))
    async with client, aconnect_ws("ws://app/ws", client) as websocket: ...

`httpx_ws.transport.ASGIWebSocketTransport` buffers without a bound: an application's send never
waits, so no send timeout can fire. Here a modelled connection (`simulators.link`) lies between,
and nothing is read from it unless httpx-ws asks. The application's send then waits as on a
socket; on a `SimLoop` in virtual time.

How much a client takes that does not call ``receive``: httpx-ws reads ahead in a background task
and hands over through a stream without a buffer (0.9.0; its ``queue_size`` is for its synchronous
sessions). `WireTransport` gives it one message at a time. So exactly one message is read ahead,
whatever its size, and then the wire fills: ``kernel_bytes`` and what is above ``high_water_bytes``.
On a real socket httpx-ws takes up to ``max_message_size_bytes`` at a time instead of one message.

As on a socket, and unlike on the stock transport, httpx-ws sends keepalive pings, which are
answered. A session whose user does not call ``receive`` never sees the answer and closes after
40 s by its defaults; ``aconnect_ws(keepalive_ping_interval_seconds=None)`` keeps it.

Not modelled: compression, fragments from the server, the lifespan protocol. asyncio only.
"""

import asyncio
import base64
import hashlib
from types import TracebackType
from typing import Any

import httpx
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocketDisconnect

from simulators.behaviours import Behaviour, require
from simulators.errors import OptionError
from simulators.faults import Reset, SlowReader, StalledReader
from simulators.stream import WireConnection
from simulators.wire import Wire, require_wire

__all__ = ["WireTransport"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FAREWELL = 1.0
_FAULTS = (SlowReader, StalledReader, Reset)


class WireTransport(httpx.ASGITransport):
    """Runs an ASGI application behind httpx and httpx-ws, with modelled connections between.

    Regular requests are `httpx.ASGITransport`'s own. WebSockets live on a wire each, and their
    endpoints in tasks of their own, which closing the transport ends: the peers' sockets are
    closed, and what has not ended a second later is cancelled. No cancel scope is held, so the
    transport may be kept open across the yield of a fixture; an httpx-ws session must not.

    A denied upgrade is an HTTP response, and `httpx_ws.WebSocketUpgradeError` to who connects: the
    application's own response, or 403 when it called close before accept.

    Args:
        app: the application.
        wire: what lies between; by default uvicorn's buffers without the kernel's. On a ``filled``
            one the buffers are full when the peer is told to stall, or reads slowly by its
            behaviour; not when merely nobody calls ``receive``.
        behaviour: what each peer does besides what its user does: `SlowReader`, `StalledReader`,
            `Reset` (``when="idle"``). Limits count what httpx-ws takes.
        abortable: whether ``scope["extensions"]["flock_ws"]`` offers a `ServerConnection`, as
            `flock_ws.uvicorn_protocol` does.
        raise_app_exceptions: whether an exception of the application is raised: where the request
            is made, and for a WebSocket that was accepted when the transport is closed. Either way
            the peer of an accepted one sees its connection break, as behind a server.
        root_path: of the scope.
        client: the peer's address in the scope.

    Attributes:
        connections: every WebSocket that was asked for, in order.
        errors: what endpoints raised after they had accepted, but for disconnects.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        wire: Wire | None = None,
        behaviour: Behaviour | None = None,
        abortable: bool = False,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
    ) -> None:
        super().__init__(
            app, raise_app_exceptions=raise_app_exceptions, root_path=root_path, client=client
        )
        self.wire = Wire.uvicorn() if wire is None else wire
        require_wire(self.wire)
        self.behaviour = Behaviour.healthy() if behaviour is None else behaviour
        require(self.behaviour, wire="in process")
        for fault in self.behaviour.faults:
            if not isinstance(fault, _FAULTS) or (
                isinstance(fault, Reset) and fault.when != "idle"
            ):
                raise OptionError(
                    f"a WireTransport cannot produce {fault.kind!r} ({fault.describe()}), only "
                    "slow_reader, stalled_reader and an idle reset: use a FakeClient for it"
                )
        self.abortable = abortable
        self.connections: list[WireConnection] = []
        self.errors: list[Exception] = []
        self._apps: dict[asyncio.Task[None], WireConnection] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, or upgrade it to a WebSocket."""
        upgrade = request.headers.get("upgrade", "").lower() == "websocket"
        if not upgrade and request.url.scheme not in {"ws", "wss"}:
            return await super().handle_async_request(request)
        connection = WireConnection(
            self.wire, self.behaviour, accept_headers=_accept_headers(request)
        )
        self.connections.append(connection)
        task = asyncio.create_task(
            self._run(self._scope(request, connection), connection), name="websocket endpoint"
        )
        self._apps[task] = connection
        task.add_done_callback(self._apps.pop)
        limit = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(connection.answer)
        except TimeoutError:
            connection.die()
            raise httpx.ReadTimeout(
                f"the application neither accepted nor refused the WebSocket within {limit:g} s",
                request=request,
            ) from None
        except asyncio.CancelledError:
            connection.die()
            raise

    async def aclose(self) -> None:
        """End the connections and their endpoints.

        Raises:
            Exception: what an endpoint raised; several as an `ExceptionGroup`.
        """
        await self._end()
        if self.errors and self.raise_app_exceptions:
            if len(self.errors) == 1:
                raise self.errors[0]
            raise ExceptionGroup("several WebSocket endpoints failed", self.errors)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close it; an error of the block itself is not hidden by those of endpoints."""
        if exc_value is None:
            await self.aclose()
        else:
            await self._end()

    async def _end(self) -> None:
        for connection in self.connections:
            await connection.aclose()
        if not self._apps:
            return
        _, late = await asyncio.wait(list(self._apps), timeout=_FAREWELL)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _run(self, scope: Scope, connection: WireConnection) -> None:
        answer = connection.answer
        error: Exception | None = None
        try:
            await self.app(scope, connection.receive, connection.send)
        except (WebSocketDisconnect, ConnectionResetError):
            pass
        except asyncio.CancelledError:
            if not answer.done():
                connection.deny(500, [], b"Internal Server Error")
            raise
        except Exception as raised:  # noqa: BLE001  # whatever the application raises
            error = raised
        if answer.done():
            if error is not None and not answer.cancelled():
                self.errors.append(error)
            connection.app_ended()
        elif error is not None and self.raise_app_exceptions:
            answer.set_exception(error)
        else:
            connection.deny(500, [], b"Internal Server Error")

    def _scope(self, request: httpx.Request, connection: WireConnection) -> Scope:
        url = request.url
        offered = request.headers.get("sec-websocket-protocol", "")
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        if self.abortable:
            extensions["flock_ws"] = {"connection": connection.server}
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if url.scheme in {"wss", "https"} else "ws",
            "server": (url.host, url.port),
            "client": self.client,
            "root_path": self.root_path,
            "path": self.root_path + url.path,
            "raw_path": self.root_path.encode() + url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
            "state": {},
            "extensions": extensions,
        }


def _accept_headers(request: httpx.Request) -> list[tuple[bytes, bytes]]:
    key = request.headers.get("sec-websocket-key", "").encode()
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", accept),
    ]
