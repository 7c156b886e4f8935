"""What the manager needs of uvicorn's sans-IO WebSocket protocol: direct writes, and an abort.

The writing side alone; `flock_ws.uvicorn_protocol` adds the reading side's bounds.
"""

import asyncio
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.http11 import Request

from flock_ws.closing import EXTENSION
from flock_ws.outlet import Outlet

if TYPE_CHECKING:
    from flock_ws.direct import DirectConnection

__all__ = ["DirectProtocol"]

_PING = 0x89
_MARK = b"flock-ws"
_NUMBER = struct.Struct("!8sQ")
_PONG_HEAD = b"\x8a\x90"
_PONG_BYTES = 22
_CLIENT_WINDOW_BITS = 12
"""As uvicorn has it: what a client sends costs 4 KiB of memory to decompress, not 32."""
_TIOCOUTQ = 0x5411
"""Linux: bytes in the socket's send queue that the peer's kernel has not acknowledged."""


class DirectProtocol(WebSocketsSansIOProtocol):
    """Offers itself as a `DirectConnection` in ``scope["extensions"]["flock_ws"]``.

    With uvicorn's ``ws_per_message_deflate`` each message is compressed by itself, so that one
    result serves all; uvicorn alone would keep a context for each client.

    Attributes:
        lost: the connection is gone.
        on_pong: see `DirectConnection`.
        window_bits: see `DirectConnection`.
    """

    lost = False
    window_bits = 0
    on_pong: Callable[[int], None] | None = None
    _waiting_to_write: tuple[Callable[[], None], ...] = ()
    _lost_waiters: tuple[asyncio.Future[None], ...] = ()
    _asked: int | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.config.ws_per_message_deflate:
            # RFC 7692, 7.1.1.1: a server may say so, whether or not the client asked for it.
            self.conn.available_extensions = [
                ServerPerMessageDeflateFactory(
                    server_no_context_takeover=True,
                    client_max_window_bits=_CLIENT_WINDOW_BITS,
                )
            ]

    @property
    def close_sent(self) -> bool:
        """Whether a close frame has been written, after which nothing may follow."""
        return self._close_sent

    @close_sent.setter
    def close_sent(self, sent: bool) -> None:
        self._close_sent = sent
        if sent:
            self.outlet.shut = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write through an outlet."""
        super().connection_made(transport)
        self.outlet = Outlet(cast("asyncio.Transport", transport), self.loop)
        self.transport = self.outlet
        self.offer: Callable[[bytes], bool] = self.outlet.offer

    def handle_connect(self, event: Request) -> None:
        """Put the extension into the scope before the application runs."""
        super().handle_connect(event)
        # uvicorn makes the scope, then a task for the application: that has not begun yet.
        if hasattr(self, "scope"):
            connection: DirectConnection = self
            self.scope["extensions"][EXTENSION] = {"connection": connection}
            for extension in self.conn.extensions:
                if isinstance(extension, PerMessageDeflate) and extension.local_no_context_takeover:
                    self.window_bits = extension.local_max_window_bits

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone, and tell who waits for it."""
        self.lost = True
        self.outlet.lost()
        super().connection_lost(exc)
        for waiter in self._lost_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._lost_waiters = ()
        self._tell_writable()

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent."""
        if not self.lost:
            self.outlet.abort()

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        if not self.lost:
            waiter = self.loop.create_future()
            self._lost_waiters += (waiter,)
            await waiter

    @property
    def can_write(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self.outlet.paused

    @property
    def buffered_bytes(self) -> int:
        """Bytes not taken by the peer's kernel: in the transport and, on Linux, in ours."""
        if self.lost:
            return 0
        buffered = self.transport.get_write_buffer_size()
        socket = self.transport.get_extra_info("socket")
        return buffered + (_queued_bytes(socket.fileno()) if socket is not None else 0)

    def ping(self, number: int) -> None:
        """Send a protocol ping that carries a number."""
        if not self.outlet.shut:
            self._asked = number
            payload = _NUMBER.pack(_MARK, number)
            self.transport.write(bytes((_PING, len(payload))) + payload)

    def data_received(self, data: bytes) -> None:
        """Take the answer to a ping at once, if it comes alone; everything else is uvicorn's.

        Answers are most of what a crowd of clients sends, and cost a third of the way through
        the parser.
        """
        if len(data) == _PONG_BYTES and data.startswith(_PONG_HEAD) and self._asked is not None:
            mask = int.from_bytes(data[2:6] * 4)
            payload = int.to_bytes(int.from_bytes(data[6:]) ^ mask, _NUMBER.size)
            if payload == _NUMBER.pack(_MARK, self._asked) and _between_frames(self.conn.parser):
                self._answered(self._asked)
                return
        super().data_received(data)

    def handle_pong(self, event: Frame) -> None:
        """Tell the manager of an answer to one of its pings; the others are uvicorn's."""
        data = bytes(event.data)
        if self.on_pong is not None and len(data) == _NUMBER.size and data.startswith(_MARK):
            self._answered(_NUMBER.unpack(data)[1])
        else:
            super().handle_pong(event)

    def _answered(self, number: int) -> None:
        self._asked = None
        if self.on_pong is not None:
            self.on_pong(number)

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call back once: when the buffer is low again, or the connection is lost."""
        self._waiting_to_write += (callback,)

    def pause_writing(self) -> None:
        """Let uvicorn's own senders wait."""
        self.outlet.pause_writing()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Send what waits; then let uvicorn's own senders go on, and the manager."""
        self.outlet.resume_writing()
        if self.can_write:
            super().resume_writing()
            self._tell_writable()

    def _tell_writable(self) -> None:
        callbacks, self._waiting_to_write = self._waiting_to_write, ()
        for callback in callbacks:
            callback()


def _between_frames(parser: object) -> bool:
    """Tell whether the parser of websockets, a generator, waits for the first byte of a frame."""
    while (waits_in := getattr(parser, "gi_yieldfrom", None)) is not None:
        parser = waits_in
    return getattr(parser, "__name__", "") == "at_eof"


def _queued_bytes(descriptor: int) -> int:
    if sys.platform != "linux" or descriptor < 0:
        return 0
    import fcntl  # noqa: PLC0415  # not on every platform

    queued = fcntl.ioctl(descriptor, _TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(queued, sys.byteorder)
