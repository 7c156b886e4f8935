"""A client's TCP connection whose reading is under control to the chunk.

Nothing here knows of messages: `simulators.sockets` decides when to stop and how fast to read.
"""

import asyncio
import contextlib
import ctypes
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, cast

from simulators.errors import OptionError
from simulators.faults import SlowReader
from simulators.tcp.frames import FrameReader

__all__ = [
    "Gate",
    "SocketFactory",
    "deafen",
    "hearken",
    "loopback_addresses",
    "open_socket",
    "peer_gone",
    "reset_on_close",
    "unread_bytes",
]

# Debts below this are not worth a timer: uvloop's timers tick in milliseconds.
_SHORTEST_PAUSE = 0.001
_TCP_ESTABLISHED = 1
_MOST_ADDRESSES = 253
_PEEK_BYTES = 1 << 20
# Linux's numbers, which the socket module does not name, and one instruction: drop every packet.
_ATTACH_FILTER = 26
_DETACH_FILTER = 27
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
_HEAD_END = b"\r\n\r\n"
# No answer that accepts an upgrade is shorter, with its four obligatory lines.
_SHORTEST_HEAD = 100

SocketFactory = Callable[[int, int, int], socket.socket]
"""Makes a socket from its family, type and protocol."""


async def open_socket(
    host: str,
    port: int,
    *,
    receive_buffer_bytes: int = 0,
    local_address: str | None = None,
    factory: SocketFactory = socket.socket,
) -> socket.socket:
    """Connect a non-blocking TCP socket, trying each of the host's addresses in turn.

    Args:
        host: a name or an address. An address needs no look-up, and so no thread, which a
            patched process lacks.
        port: the port.
        receive_buffer_bytes: ``SO_RCVBUF``, set before the connection, as the window is agreed on
            there; 0 for the system's own.
        local_address: where to connect from, with any port; the system chooses when None.
        factory: makes the socket.

    Raises:
        OSError: no address took the connection; the last one's error.
    """
    loop = asyncio.get_running_loop()
    found: list[tuple[Any, ...]]
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    else:
        family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
        found = [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    error = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in found:
        sock = factory(family, kind, protocol)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
            if receive_buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            if local_address is not None:
                sock.bind((local_address, 0))
            await loop.sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as failure:
            sock.close()
            error = failure
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise error


def loopback_addresses(count: int) -> list[str]:
    """Return so many addresses of this machine's own, 127.0.0.2 and on, to connect from.

    macOS has them only after they were set up; on Linux and Windows they are there.

    Raises:
        OptionError: not from 1 to 253.
    """
    if not 1 <= count <= _MOST_ADDRESSES:
        raise OptionError(f"from 1 to {_MOST_ADDRESSES} addresses of 127.0.0.x, not {count}")
    return [f"127.0.0.{last}" for last in range(2, 2 + count)]


def peer_gone(sock: socket.socket) -> bool | None:
    """Say whether the peer has ended the connection, without reading; None if it cannot be known.

    It takes Linux. A FIN counts once it has arrived, which is after all that was sent before it.
    """
    if not hasattr(socket, "TCP_INFO"):
        return None
    if sock.fileno() < 0:
        return True
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_ESTABLISHED


def unread_bytes(sock: socket.socket) -> int:
    """Return how much has arrived and was not read, up to 1 MiB, without reading it."""
    try:
        return len(sock.recv(_PEEK_BYTES, socket.MSG_PEEK))
    except OSError:
        return 0


def reset_on_close(sock: socket.socket) -> None:
    """Let the next close of this socket be a TCP reset."""
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def deafen(sock: socket.socket) -> None:
    """Let the kernel drop whatever comes for this socket: not even an acknowledgement goes back.

    To the peer it is as if the cable were cut. A socket filter does it, which takes no privileges.

    Raises:
        OSError: this is not Linux, or the kernel does not allow it.
    """
    if sys.platform != "linux":
        raise OSError("only Linux lets a socket drop what comes before it is acknowledged")
    program = ctypes.create_string_buffer(_DROP_ALL)
    sock.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program))
    )


def hearken(sock: socket.socket) -> None:
    """Let the kernel take again what comes for a socket that was deafened, and ask the peer.

    A peer that has dropped the connection meanwhile answers with a reset, within about a second.
    Without effect on a socket that is closed, or on a system that is not Linux.
    """
    if sys.platform != "linux" or sock.fileno() < 0:
        return
    with contextlib.suppress(OSError):  # it was not deaf
        sock.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)


class Gate(asyncio.BufferedProtocol):
    """The way from the socket into a `FrameReader`, which can be shut and narrowed.

    Args:
        take: called after each read; it finds the bytes in `reader`.
        lost: called once, when the socket is gone, with the error if `take` raised one.
        exact: it reads nothing behind the head of the HTTP answer until that is taken.

    Attributes:
        reader: where the bytes go.
        chunk_bytes: how much one read takes at most; no limit when None.
        gone: set when the socket is closed.
    """

    def __init__(
        self,
        take: Callable[[], None],
        lost: Callable[[Exception | None], None],
        *,
        exact: bool = False,
    ) -> None:
        self.reader = FrameReader()
        self.gone = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self.take = take
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._shut = False
        self._pace: SlowReader | None = None
        self.chunk_bytes = _SHORTEST_HEAD if exact else None
        self._exact = exact
        self._due = 0.0
        self._pause: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)
        if hasattr(transport, "set_read_buffer_limits"):
            # TLS: stop the transport below as soon as anything is left unread.
            transport.set_read_buffer_limits(1, 0)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Say where to, and how much at most, the next read goes."""
        return self.reader.room(self.chunk_bytes)

    def buffer_updated(self, nbytes: int) -> None:
        """Let what was read be taken, and pause for it when narrowed."""
        pace = self._pace
        self.reader.filled(nbytes)
        self.take()
        if pace is not None:
            self._pay(nbytes, pace)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the socket is gone."""
        if exc is not None and not self._shut and self._pace is None:
            self._take_last_words()
        self._shut = True
        self._end_pause()
        self.gone.set()
        # An error that is no system's is one of who takes the messages.
        self._lost(None if isinstance(exc, OSError) else exc)

    def _take_last_words(self) -> None:
        """Read what came before a write failed, which may be a close frame that says why.

        Event loops end a connection at the first failed write, and leave it unread. Not under TLS.
        """
        if self.transport is None or self.transport.get_extra_info("ssl_object") is not None:
            return
        sock = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            while sock.fileno() >= 0 and (data := os.read(sock.fileno(), _PEEK_BYTES)):
                self.reader.feed(data)
                self.take()

    def take_head(self) -> bytes | None:
        """Take the head of the HTTP answer, with its empty line; None while it is not whole."""
        head = self.reader.take_through(_HEAD_END)
        if self._exact:
            # Frames may follow at once: who does not want them must not read them.
            self.chunk_bytes = self.reader.lacking(_HEAD_END) if head is None else None
        return head

    def close(self) -> None:
        """Close once what was written has gone out."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close now. What was written and has not gone out is lost."""
        # asyncio's transport raises an AttributeError when it has closed by itself already.
        if self.transport is not None and not self.gone.is_set():
            self.transport.abort()

    def shut(self) -> None:
        """Stop reading now."""
        self._shut = True
        self._apply()

    def open(self) -> None:
        """Read again, at the pace that was set."""
        self._shut = False
        self._apply()

    def narrow(self, pace: SlowReader) -> None:
        """Read at this pace from now on."""
        self._pace = pace
        self.chunk_bytes = pace.chunk_bytes
        self._due = self._loop.time()

    def _pay(self, nbytes: int, pace: SlowReader) -> None:
        """Pause for as long as the bytes just read take at this pace."""
        now = self._loop.time()
        # What a timer came late is made good, but never more than one chunk's worth.
        earliest = now - pace.chunk_bytes / pace.bytes_per_second
        self._due = max(self._due, earliest) + nbytes / pace.bytes_per_second
        if self._due - now >= _SHORTEST_PAUSE and self._pause is None:
            self._pause = self._loop.call_at(self._due, self._paid)
            self._apply()

    def _paid(self) -> None:
        self._pause = None
        self._apply()

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _apply(self) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        reading = not self._shut and self._pause is None
        if reading != transport.is_reading():
            if reading:
                transport.resume_reading()
            else:
                transport.pause_reading()
