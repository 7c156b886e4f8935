"""uvicorn's sans-IO WebSocket protocol, with frames written directly and an abort.

Pass it as ``uvicorn.run(app, ws=FlockWebSocketProtocol)``; `flock-ws serve` does. Reads, limits
and the whole of the protocol stay uvicorn's own. Without it every event goes through ASGI, and an
evicted peer that does not read keeps its socket, its endpoint task and its buffers for as long as
it likes: uvicorn closes a connection only once its buffer is flushed.
"""

import asyncio
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from flock_ws.closing import EXTENSION

if TYPE_CHECKING:
    from flock_ws.direct import DirectConnection

__all__ = ["FlockWebSocketProtocol"]


_PING = 0x89
_MARK = b"flock-ws"
_NUMBER = struct.Struct("!8sQ")
_TIOCOUTQ = 0x5411
"""Linux: bytes in the socket's send queue that the peer's kernel has not acknowledged."""


class FlockWebSocketProtocol(WebSocketsSansIOProtocol):
    """Offers itself as a `DirectConnection` in ``scope["extensions"]["flock_ws"]``."""

    lost = False
    on_pong: Callable[[int], None] | None = None
    _waiting_to_write: tuple[Callable[[], None], ...] = ()
    _lost_waiters: tuple[asyncio.Future[None], ...] = ()

    def handle_connect(self, event: Request) -> None:
        """Put the extension into the scope before the application runs."""
        super().handle_connect(event)
        # uvicorn makes the scope, then a task for the application: that has not begun yet.
        if hasattr(self, "scope"):
            connection: DirectConnection = self
            self.scope["extensions"][EXTENSION] = {"connection": connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone, and tell who waits for it."""
        self.lost = True
        super().connection_lost(exc)
        for waiter in self._lost_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._lost_waiters = ()
        self._tell_writable()

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent."""
        if not self.lost:
            self.transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        if not self.lost:
            waiter = self.loop.create_future()
            self._lost_waiters += (waiter,)
            await waiter

    @property
    def can_write(self) -> bool:
        """Whether the transport's buffer is below its high-water mark."""
        return self.writable.is_set()

    @property
    def buffered_bytes(self) -> int:
        """Bytes not taken by the peer's kernel: in the transport and, on Linux, in ours."""
        if self.lost:
            return 0
        buffered = self.transport.get_write_buffer_size()
        socket = self.transport.get_extra_info("socket")
        return buffered + (_queued_bytes(socket.fileno()) if socket is not None else 0)

    def write(self, frames: bytes) -> None:
        """Write whole frames.

        Raises:
            ClientDisconnected: the connection is closing or gone; an OSError.
        """
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self.transport.write(frames)

    def ping(self, number: int) -> None:
        """Send a protocol ping that carries a number."""
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            payload = _NUMBER.pack(_MARK, number)
            self.transport.write(bytes((_PING, len(payload))) + payload)

    def handle_pong(self, event: Frame) -> None:
        """Tell the manager of an answer to one of its pings; the others are uvicorn's."""
        data = bytes(event.data)
        if self.on_pong is not None and len(data) == _NUMBER.size and data.startswith(_MARK):
            self.on_pong(_NUMBER.unpack(data)[1])
        else:
            super().handle_pong(event)

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once: when the buffer is low again, or the connection is lost."""
        self._waiting_to_write += (callback,)

    def resume_writing(self) -> None:
        """Let uvicorn's own senders go on, and the manager."""
        super().resume_writing()
        self._tell_writable()

    def _tell_writable(self) -> None:
        callbacks, self._waiting_to_write = self._waiting_to_write, ()
        for callback in callbacks:
            callback()


def _queued_bytes(descriptor: int) -> int:
    if sys.platform != "linux" or descriptor < 0:
        return 0
    import fcntl  # noqa: PLC0415  # not on every platform

    queued = fcntl.ioctl(descriptor, _TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(queued, sys.byteorder)
