"""The direct way to a client: ready-made frames, written to its transport without a coroutine.

A server that can do more than ASGI puts a `DirectConnection` into the scope, as
`flock_ws.uvicorn_protocol` does. Everything that a client has not been sent goes out in one write,
and clients that stand at the same place of the log share the bytes.

ASGI middleware that rewrites what is sent does not see these frames. A socket whose class
overrides `send_text` or `send_json` is left to the ordinary way.
"""

import struct
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from starlette.websockets import WebSocket

from flock_ws.closing import Connection, connection_of
from flock_ws.log import BroadcastLog

__all__ = ["DirectConnection", "Frames", "direct_of", "text_frame"]

_MOST_BYTES = 65_536
"""What is joined into one write: a client that has just caught its breath gets no more at once."""

_FIN_TEXT = 0x81
_SHORT = 126
_MEDIUM = 1 << 16


@runtime_checkable
class DirectConnection(Connection, Protocol):
    """What a server offers for writing frames."""

    on_pong: Callable[[int], None] | None
    """Called with the number of each `ping` that the peer answered."""

    @property
    def can_write(self) -> bool:
        """Whether the transport's buffer is below its high-water mark."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes not taken by the peer's kernel: in the transport and, on Linux, in ours."""

    def write(self, frames: bytes) -> None:
        """Write whole frames. Never blocks.

        Raises:
            OSError: the connection is closing or gone.
        """

    def ping(self, number: int) -> None:
        """Send a protocol ping that carries a number. Nothing happens if the peer is gone."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once: when `can_write` is true again, or the connection is lost."""


def direct_of(socket: Any) -> DirectConnection | None:
    """Return the direct way to a socket, or None where there is none."""
    ordinary = (
        isinstance(socket, WebSocket)
        and type(socket).send_text is WebSocket.send_text
        and type(socket).send_json is WebSocket.send_json
        and type(socket).send is WebSocket.send
    )
    connection = connection_of(socket) if ordinary else None
    return connection if isinstance(connection, DirectConnection) else None


def text_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame, as a server sends it."""
    size = len(payload)
    if size < _SHORT:
        head = struct.pack("!BB", _FIN_TEXT, size)
    elif size < _MEDIUM:
        head = struct.pack("!BBH", _FIN_TEXT, 126, size)
    else:
        head = struct.pack("!BBQ", _FIN_TEXT, 127, size)
    return head + payload


class Frames:
    """The events of a log as frames, joined once for all clients at the same place."""

    def __init__(self, log: BroadcastLog) -> None:
        self._log = log
        self._end = -1
        self._joined: dict[int, tuple[bytes, int]] = {}

    def after(self, number: int) -> tuple[bytes, int]:
        """Return the frames from `number` on, and the number after the last of them.

        At least one event, and no more than fits into 64 KiB.
        """
        log = self._log
        if self._end != log.end:
            self._joined.clear()
            self._end = log.end
        found = self._joined.get(number)
        if found is None:
            found = self._joined[number] = self._join(number)
        return found

    def _join(self, number: int) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size_bytes = 0
        while number < self._end:
            entry = self._log[number]
            if entry.frame is None:
                entry.frame = text_frame(entry.text.encode())
            size_bytes += len(entry.frame)
            if parts and size_bytes > _MOST_BYTES:
                break
            parts.append(entry.frame)
            number += 1
        return (parts[0] if len(parts) == 1 else b"".join(parts)), number
