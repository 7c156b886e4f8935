"""The direct way to a client: ready-made frames, written to its transport without a coroutine.

A server that can do more than ASGI puts a `DirectConnection` into the scope, as
`flock_ws.uvicorn_protocol` does. Everything that a client has not been sent goes out in one write,
and clients that stand at the same place of the log share the bytes.

Where a peer agreed to permessage-deflate without context takeover (RFC 7692) it gets compressed
frames, and they too are made once for all who agreed on the same window.

ASGI middleware that rewrites what is sent does not see these frames. A socket whose class
overrides `send_text` or `send_json` is left to the ordinary way.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from starlette.websockets import WebSocket, WebSocketState

from flock_ws.closing import Connection, connection_of
from flock_ws.log import BroadcastLog, Entry

__all__ = ["DirectConnection", "Frames", "deflated_frame", "direct_of", "text_frame"]

_MOST_BYTES = 65_536
"""What is joined into one write: a client that has just caught its breath gets no more at once."""

_LEAST_DEFLATED_BYTES = 256
"""Smaller events gain little, and cost the reader as much."""

_QUICKLY_BEYOND_BYTES = 65_536
"""Larger ones are compressed at the lowest level: a megabyte would hold up the loop for 20 ms."""

_FIN_TEXT = 0x81
_DEFLATED = 0x40
_SHORT = 126
_MEDIUM = 1 << 16


@runtime_checkable
class DirectConnection(Connection, Protocol):
    """What a server offers for writing frames."""

    on_pong: Callable[[int], None] | None
    """Called with the number of each `ping` that the peer answered. None: no manager has it yet."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes not taken by the peer's kernel: in the transport and, on Linux, in ours."""

    @property
    def window_bits(self) -> int:
        """The window of the compressed frames that the peer takes; 0 if it takes none.

        From 9 to 15. Each message is compressed by itself: no context is taken over.
        """

    def offer(self, frames: bytes, /) -> bool:
        """Write whole frames, or nothing while earlier ones wait to be sent. Never blocks.

        Returns:
            Whether they were taken. The bytes are then kept until they are sent, and not copied.

        Raises:
            OSError: the connection is closing or gone.
        """

    def ping(self, number: int) -> None:
        """Send a protocol ping that carries a number. Nothing happens if the peer is gone."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once: when nothing waits to be sent any more, or the connection is lost."""


def direct_of(socket: Any) -> DirectConnection | None:
    """Return the direct way to a socket, or None where there is none, or none to be used.

    None before the socket was accepted: frames would come before the answer to the handshake. None
    for a second manager: a connection tells one of them alone which of its pings were answered.
    """
    ordinary = (
        isinstance(socket, WebSocket)
        and socket.application_state is WebSocketState.CONNECTED
        and type(socket).send_text is WebSocket.send_text
        and type(socket).send_json is WebSocket.send_json
        and type(socket).send is WebSocket.send
    )
    connection = connection_of(socket) if ordinary else None
    if not isinstance(connection, DirectConnection) or connection.on_pong is not None:
        return None
    return connection


def text_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame, as a server sends it."""
    return _head(_FIN_TEXT, len(payload)) + payload


def deflated_frame(payload: bytes, *, window_bits: int) -> bytes:
    """Return the same compressed, or as it is where that gains nothing.

    Args:
        payload: UTF-8.
        window_bits: of what the peer can decompress, from 9 to 15.
    """
    if len(payload) < _LEAST_DEFLATED_BYTES:
        return text_frame(payload)
    level = 1 if len(payload) > _QUICKLY_BEYOND_BYTES else 6
    compressor = zlib.compressobj(level, wbits=-window_bits)
    # RFC 7692, 7.2.1: without the four bytes of an empty block that end a flush.
    deflated = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    if len(deflated) >= len(payload):
        return text_frame(payload)
    return _head(_FIN_TEXT | _DEFLATED, len(deflated)) + deflated


def _head(first: int, size: int) -> bytes:
    if size < _SHORT:
        return struct.pack("!BB", first, size)
    if size < _MEDIUM:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)


class Frames:
    """The events of a log as frames, joined once for all clients at the same place."""

    def __init__(self, log: BroadcastLog) -> None:
        self._log = log
        self._end = -1
        self._joined: dict[tuple[int, int], tuple[bytes, int]] = {}

    def after(self, number: int, *, window_bits: int = 0) -> tuple[bytes, int]:
        """Return the frames from `number` on, and the number after the last of them.

        At least one event, and no more than fits into 64 KiB.

        Args:
            number: of the first event.
            window_bits: for compressed frames; 0 for plain ones.
        """
        log = self._log
        if self._end != log.end:
            self._joined.clear()
            self._end = log.end
        place = number, window_bits
        found = self._joined.get(place)
        if found is None:
            found = self._joined[place] = self._join(number, window_bits)
        return found

    def _join(self, number: int, window_bits: int) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size_bytes = 0
        while number < self._end:
            entry = self._log[number]
            frame = _deflated(entry, window_bits) if window_bits else _plain(entry)
            size_bytes += len(frame)
            if parts and size_bytes > _MOST_BYTES:
                break
            parts.append(frame)
            number += 1
        return (parts[0] if len(parts) == 1 else b"".join(parts)), number


def _plain(entry: Entry) -> bytes:
    if entry.frame is None:
        entry.frame = text_frame(entry.text.encode())
    return entry.frame


def _deflated(entry: Entry, window_bits: int) -> bytes:
    if entry.deflated is None:
        entry.deflated = {}
    if window_bits not in entry.deflated:
        payload = entry.text.encode()
        entry.deflated[window_bits] = deflated_frame(payload, window_bits=window_bits)
    return entry.deflated[window_bits]
