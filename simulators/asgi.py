"""What a server hands to an application with a connection: its scope, and its connection."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.types import Scope

from simulators.link import Link, Signal

__all__ = ["ServerConnection", "websocket_scope"]

_HEADERS = (
    (b"host", b"127.0.0.1:8000"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
)


class ServerConnection:
    """What a server can do for a manager beyond ASGI, over a modelled connection.

    It has the members of `flock_ws.closing.Connection`, and is offered where that is looked for:
    ``scope["extensions"]["flock_ws"]["connection"]``.
    """

    __slots__ = ("_abort", "_link")

    def __init__(self, link: Link[Any], *, abort: Callable[[], None]) -> None:
        self._link = link
        self._abort = abort

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, as far as the server knows."""
        return not self._link.open

    def abort(self) -> None:
        """Drop the connection at once. The peer sees it break with 1006."""
        self._abort()

    def add_lost_callback(self, callback: Callable[[], object]) -> None:
        """Call this when the connection is gone; at once if it is."""
        if self.lost:
            callback()
        else:
            self._link.lost_callbacks.append(callback)

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        gone = Signal()
        self.add_lost_callback(gone.fire)
        while not self.lost:
            await gone.wait()


def websocket_scope(
    name: str, *, number: int, path: str, connection: ServerConnection | None = None
) -> Scope:
    """Return the scope of an upgrade request, as uvicorn would fill it.

    Args:
        name: goes into the query string, as ``client=<name>``.
        number: decides the peer's port.
        path: the path of the request.
        connection: offered as an extension.
    """
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    if connection is not None:
        extensions["flock_ws"] = {"connection": connection}
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 49_152 + number % 16_384),
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"client=" + quote(name).encode(),
        "headers": list(_HEADERS),
        "subprotocols": [],
        "state": {},
        "extensions": extensions,
    }
