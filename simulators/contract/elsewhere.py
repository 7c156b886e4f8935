"""Applications and servers elsewhere, as sites for the checks on real sockets."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.types import Receive, Scope, Send

from simulators.contract import payloads
from simulators.contract.applications import Application
from simulators.contract.causes import Cause, request
from simulators.contract.serving import ServerThread
from simulators.contract.sites import Pace, numbers_of
from simulators.contract.visits import Visit
from simulators.sockets import SocketClient
from simulators.tcp.frames import TEXT

__all__ = ["ApplicationSite", "ServerSite"]


class _Causes:
    """Causes events: by a client that speaks, or over HTTP."""

    def __init__(self, cause: Cause | None) -> None:
        self._cause = cause
        self._speaker: SocketClient | None = None
        self._turn = asyncio.Lock()

    async def cause(self, number: int, text: str, *, url: str) -> None:
        text = payloads.mark(number) + text
        if self._cause is None:
            return
        if self._cause.kind == "publish":
            parts = urlsplit(url)
            secure = "s" if parts.scheme == "wss" else ""
            await request(f"http{secure}://{parts.netloc}", self._cause, text)
            return
        async with self._turn:
            if self._speaker is None:
                speaker = SocketClient(url, name="speaker", keep=False)
                await speaker.connect()
                self._speaker = speaker
        self._speaker.send(TEXT, self._cause.fill(text).encode())

    async def end(self) -> None:
        if self._speaker is not None:
            await self._speaker.leave(timeout=0.05)
            self._speaker.free()


class ApplicationSite:
    """An application, served by us: both ends of its connections are seen, and its inside is not.

    Args:
        application: which; its path and its cause are known.
        protocol: uvicorn's WebSocket protocol.
    """

    def __init__(self, application: Application, *, protocol: str = "auto") -> None:
        self.pace = Pace()
        self.can = frozenset({"server", "text"})
        self._server = ServerThread(self._serve, protocol=protocol, lifespan=True)
        self.server: ServerThread | None = self._server
        self.visits: dict[str, Visit] = {}
        self._application = application
        self._app: Any = application.make()
        self._causes = _Causes(application.cause)

    async def start(self, *, heartbeat: float | None) -> None:  # noqa: ARG002  # nobody sets it from outside
        """Serve it, with its lifespan."""
        await asyncio.to_thread(self._server.start)

    async def stop(self) -> None:
        """Stop serving."""
        await self._causes.end()
        await asyncio.to_thread(self._server.stop)

    def url(self, name: str, number: int) -> str:
        """Return where a client of this name connects to."""
        target = self._application.target(name, number)
        return f"ws://127.0.0.1:{self._server.port}{target}"

    async def broadcast(self, number: int, *, text: str) -> None:
        """Cause an event."""
        await self._causes.cause(number, text, url=self.url("speaker", 0))

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of the events among these messages, in their order."""
        return numbers_of(messages)

    async def members(self) -> list[Any] | None:
        """Return None: its pool is its own."""
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        name = parse_qs(scope["query_string"].decode()).get("client", ["?"])[0]
        visit = self.visits[name] = Visit(name, scope, receive, send)
        try:
            await self._app(scope, visit.receive, visit.send)
        finally:
            visit.left = asyncio.get_running_loop().time()


class ServerSite:
    """A server that runs elsewhere: only what its clients see is seen.

    Args:
        url: of its WebSocket endpoint.
        cause: what makes it broadcast.
        offset: added to the numbers of the events on the wire, so that what an earlier check
            caused is not taken for this one's.
    """

    def __init__(self, url: str, *, cause: Cause | None, offset: int = 0) -> None:
        self.pace = Pace()
        self.can = frozenset({"text"})
        self.server: ServerThread | None = None
        self.visits: dict[str, Visit] = {}
        self._url = url
        self._offset = offset
        self._causes = _Causes(cause)

    async def start(self, *, heartbeat: float | None) -> None:  # nobody sets it from outside
        """Do nothing: it runs."""

    async def stop(self) -> None:
        """Let go of it."""
        await self._causes.end()

    def url(self, name: str, number: int) -> str:  # noqa: ARG002  # the other sites need it
        """Return where every client connects to."""
        return self._url

    async def broadcast(self, number: int, *, text: str) -> None:
        """Cause an event."""
        await self._causes.cause(self._offset + number, text, url=self._url)

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of the events among these messages, in their order."""
        return numbers_of(messages, offset=self._offset)

    async def members(self) -> list[Any] | None:
        """Return None: its pool is its own."""
        return None
