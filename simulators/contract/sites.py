"""Where the clients of a socket check connect to: a manager or an application that we serve."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulators.contract import payloads
from simulators.contract.adapters import Adapter
from simulators.contract.registry import Unmet
from simulators.contract.serving import ServerThread
from simulators.contract.visits import Visit

__all__ = ["ManagerSite", "Pace", "Site", "abort_offered", "buffered_bytes", "numbers_of"]

_FILLER = "x"
_WELCOME = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast events come.

    Attributes:
        many: by how many of them a delivery is judged.
        pause: how many seconds may pass before the next one, whoever is served.
        by_itself: whether the server publishes them, and nobody causes them.
    """

    many: int = 40
    pause: float = 0.0
    by_itself: bool = False


def numbers_of(messages: Iterable[str | bytes], *, offset: int = 0) -> list[int]:
    """Return the numbers of the events among these messages that are above an offset, less it."""
    found = (payloads.number_of(message) for message in messages)
    return [number - offset for number in found if number is not None and number > offset]


class Site(Protocol):
    """What is served, and what can be done with it from outside. `start` it, and `stop` it.

    Attributes:
        can: capabilities, as checks ask for them.
        server: the server, where it is ours.
        visits: the server's end of each connection, by the client's name.
        pace: how fast events come.
    """

    can: frozenset[str]
    server: ServerThread | None
    visits: dict[str, Visit]
    pace: Pace

    async def start(self, *, heartbeat: float | None) -> None:
        """Begin to serve."""

    async def stop(self) -> None:
        """Stop serving, whatever it does."""

    def url(self, name: str, number: int) -> str:
        """Return where a client of this name connects to."""

    async def broadcast(self, number: int, *, text: str) -> None:
        """Cause an event. It returns when whoever caused it knows that it was."""

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of the events among these messages, in their order."""

    async def members(self) -> list[Any] | None:
        """Return the WebSockets in the pool, or None where that is not public."""


class ManagerSite:
    """A manager behind an endpoint of ours, as an application has it.

    Args:
        adapter: how the manager is used.
        protocol: uvicorn's WebSocket protocol.

    Attributes:
        manager: the manager; None before `start`.
        only_sends: whether the endpoint never receives, as one that only sends.
        welcome_bytes: what each connection is sent before its client joins.
    """

    def __init__(self, adapter: Adapter, *, protocol: str = "auto") -> None:
        self.can = adapter.can | {"server", "endpoint", "cancel"}
        self._server = ServerThread(self._serve, protocol=protocol)
        self.server: ServerThread | None = self._server
        self.visits: dict[str, Visit] = {}
        self.pace = Pace()
        self.manager: Any = None
        self.only_sends = False
        self.welcome_bytes: dict[str, int] = {}
        self._adapter = adapter
        self._numbers: dict[str, int] = {}

    async def start(self, *, heartbeat: float | None) -> None:
        """Serve, and make the manager on the server's own loop."""
        server = self._server
        await asyncio.to_thread(server.start)

        async def make() -> None:
            self.manager = self._adapter.make(heartbeat=heartbeat)
            if self._adapter.start is not None:
                started = getattr(self.manager, self._adapter.start)()
                if inspect.isawaitable(started):
                    # It may be its heartbeat itself, and last until the end.
                    self._lasting = asyncio.ensure_future(started)

        await self.call(make)

    async def stop(self) -> None:
        """Stop serving."""
        await asyncio.to_thread(self._server.stop)

    async def call(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run something on the server's loop. To cancel it cancels it there."""
        return await asyncio.wrap_future(self._server.submit(work))

    def url(self, name: str, number: int) -> str:
        """Return where a client of this name connects to."""
        self._numbers[name] = number
        return f"ws://127.0.0.1:{self._server.port}/ws?client={quote(name)}"

    async def broadcast(self, number: int, *, text: str) -> None:
        """Let the manager broadcast."""
        adapter = self._adapter

        async def run() -> None:
            result = adapter.call_broadcast(self.manager, adapter.message(number, text=text))
            if inspect.isawaitable(result):
                await result

        await self.call(run)

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of the events among these messages, in their order."""
        return numbers_of(messages)

    async def members(self) -> list[Any] | None:
        """Return the WebSockets in the pool."""

        async def look() -> list[Any] | None:
            return self._adapter.members(self.manager)

        found: list[Any] | None = await self.call(look)
        return found

    async def shutdown(self) -> None:
        """Shut the manager down."""

        async def run() -> None:
            ended = getattr(self.manager, self._adapter.shutdown or "")()
            if inspect.isawaitable(ended):
                await ended

        await self.call(run)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        name = parse_qs(scope["query_string"].decode()).get("client", ["?"])[0]
        visit = self.visits[name] = Visit(name, scope, receive, send)
        websocket = visit.websocket = WebSocket(scope, receive, visit.send)
        number = self._numbers.get(name, 0)
        ticket: Any = name
        try:
            ticket = await self._let_in(visit, websocket, number)
        except Exception as error:  # noqa: BLE001  # a check asks for it
            visit.errors.append(error)
        try:
            if not visit.errors:
                # A client that was closed under it is what an endpoint meets.
                with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                    await self._listen(websocket)
        finally:
            left = self._adapter.call_leave(self.manager, websocket, ticket, number)
            if inspect.isawaitable(left):
                await left
            visit.left = asyncio.get_running_loop().time()

    async def _let_in(self, visit: Visit, websocket: WebSocket, number: int) -> Any:
        if not self._adapter.accepts:
            await websocket.accept()
        if (size_bytes := self.welcome_bytes.get(visit.name)) is not None:
            await _welcome(websocket, size_bytes)
        joined = self._adapter.call_join(self.manager, websocket, visit.name, number)
        ticket = await joined if inspect.isawaitable(joined) else joined
        visit.enter()
        known = isinstance(ticket, str | int) and not isinstance(ticket, bool)
        return ticket if known else visit.name

    async def _listen(self, websocket: WebSocket) -> None:
        said = self._adapter.said
        while self.only_sends:
            await asyncio.Event().wait()
        while (message := await websocket.receive())["type"] == "websocket.receive":
            if said is not None:
                told = getattr(self.manager, said)(websocket, message.get("text") or "")
                if inspect.isawaitable(told):
                    await told


async def _welcome(websocket: WebSocket, size_bytes: int) -> None:
    """Send something large to a client that will not take it.

    Raises:
        Unmet: the send waits, as on servers that write first and wait then.
    """
    sending = asyncio.ensure_future(websocket.send_text(_FILLER * size_bytes))
    await asyncio.wait({sending}, timeout=_WELCOME)
    if not sending.done():
        sending.cancel()
        raise Unmet("this server does not let an endpoint fill a connection and go on")
    sending.result()


def buffered_bytes(server: ServerThread, port: int) -> int | None:
    """Return what the server holds for the peer on this port; None when the connection is gone.

    Read from another thread than the server's, it may be a moment old.
    """
    for connection in _connections(server):
        transport = getattr(connection, "transport", None)
        if transport is None:
            continue
        peer = transport.get_extra_info("peername")
        if peer and peer[1] == port and not _is_lost(transport):
            return int(transport.get_write_buffer_size())
    return None


def _connections(server: ServerThread) -> Iterable[Any]:
    with contextlib.suppress(RuntimeError):  # the set changed on the way
        return list(server.connections)
    return list(server.connections)


def _is_lost(transport: Any) -> bool:
    """Whether the socket is closed already."""
    sock = transport.get_extra_info("socket")
    return sock is None or sock.fileno() < 0


def abort_offered(visit: Visit | None) -> bool:
    """Whether the server lets an application drop a connection at once."""
    offered = (visit.scope.get("extensions") or {}).get("flock_ws") if visit is not None else None
    return isinstance(offered, dict) and "connection" in offered
