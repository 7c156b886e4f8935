"""A bare line to a WebSocket server: any bytes at all, and what the server made of them.

For what no WebSocket client would send. A client with a behaviour is
`simulators.sockets.SocketClient`.
"""

import asyncio
import contextlib
import os
import socket
import ssl as tls
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

from simulators.errors import SimulatorError
from simulators.tcp.connection import open_socket, reset_on_close
from simulators.tcp.frames import (
    CLOSE,
    PING,
    PONG,
    FrameError,
    FrameReader,
    encode_frame,
    parse_close,
)
from simulators.tcp.handshake import ConnectFailed, Target

__all__ = ["Answer", "Line", "Outcome"]

Outcome = Literal["status", "closed", "accepted", "ended", "reset", "silent", "unreachable", "held"]
"""What a server did; see `Answer`."""

_HEAD_END = b"\r\n\r\n"
_READ_BYTES = 65_536
_MAX_HEAD_BYTES = 1 << 20


class Answer(NamedTuple):
    """What the server did, and how many seconds it took.

    ``outcome`` is one of:

    * ``status``: it answered HTTP; ``code`` is the status, 101 for an upgrade;
    * ``closed``: it sent a close frame; ``code`` is its code, 1005 when it had none;
    * ``accepted``: it went on as if nothing were wrong;
    * ``ended``: it ended the connection without a word;
    * ``reset``: it reset the connection;
    * ``silent``: nothing within the limit, and the connection stands;
    * ``held``: the same, for as long as the client meant to hold it;
    * ``unreachable``: no TCP connection came about.
    """

    outcome: Outcome
    code: int | None = None
    reason: str = ""
    time: float = 0.0

    def __str__(self) -> str:
        """Show the outcome, with its code if it has one."""
        return self.outcome if self.code is None else f"{self.outcome} {self.code}"


class Line:
    """A TCP connection, or TLS on one, to where a URL leads. Make it with `Line.open`.

    Use it as ``async with await Line.open(url) as line``: it is closed at the end in any case,
    and nothing is left waiting in it.
    """

    def __init__(
        self,
        target: Target,
        sock: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.target = target
        self.socket = sock
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        timeout: float = 10.0,  # noqa: ASYNC109 - the limit is part of the error
        ssl: tls.SSLContext | None = None,
        local_address: str | None = None,
        receive_buffer_bytes: int = 0,
    ) -> Self:
        """Connect, without a word of HTTP.

        Args:
            url: ``ws://`` or ``wss://``.
            timeout: seconds for TCP and TLS together.
            ssl: for ``wss://``; the system's default context when None.
            local_address: where to connect from, say ``127.0.0.7``.
            receive_buffer_bytes: ``SO_RCVBUF``; 0 for the system's own.

        Raises:
            ConnectFailed: refused, not answered in time, TLS failed.
        """
        target = Target.parse(url)
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(timeout):
                sock = await open_socket(
                    target.host,
                    target.port,
                    receive_buffer_bytes=receive_buffer_bytes,
                    local_address=local_address,
                )
                if target.secure:
                    reader, writer = await asyncio.open_connection(
                        sock=sock,
                        ssl=ssl or tls.create_default_context(),
                        server_hostname=target.host,
                    )
                else:
                    reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, TimeoutError):
                raise ConnectFailed(url, f"no connection within {timeout:g} s") from error
            if isinstance(error, OSError):
                raise ConnectFailed(url, target.why_not(error, step="connection")) from error
            raise
        return cls(target, sock, reader, writer)

    def write(self, data: bytes) -> None:
        """Send bytes as they are, if the connection still takes any. It does not wait."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until most of what was written has gone out; a broken connection does not raise."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def upgrade(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,  # noqa: ASYNC109 - the limit is part of the error
    ) -> None:
        """Do the opening handshake as RFC 6455 wants it.

        Raises:
            ConnectFailed: the server did not upgrade.
        """
        key = os.urandom(16)
        self.write(self.target.request(key, headers=headers, subprotocol=None))
        head = await self._head(timeout)
        if isinstance(head, Answer):
            raise ConnectFailed(self.target.url, f"no upgrade: {head}")
        self.target.check(head, key, subprotocol=None)

    async def status(self, *, limit: float) -> Answer:
        """Wait for an HTTP answer, and say what came."""
        started = asyncio.get_running_loop().time()
        head = await self._head(limit)
        if isinstance(head, Answer):
            return head
        took = asyncio.get_running_loop().time() - started
        line = head.partition(b"\r\n")[0].decode("latin-1")
        words = line.split(" ", 2)
        if len(words) < 2 or not words[1].isdecimal():  # noqa: PLR2004 - version and status
            return Answer("ended", reason=f"not HTTP: {line[:40]!r}", time=took)
        return Answer("status", int(words[1]), "".join(words[2:]), took)

    async def verdict(self, *, limit: float) -> Answer:
        """Ask with pings whether the server still goes on, and say what it did.

        Messages that it sends meanwhile are taken and ignored.
        """
        return await self._end(limit, probes=2)

    async def farewell(self, *, limit: float) -> Answer:
        """Wait for a close frame or the end of the connection."""
        return await self._end(limit, probes=0)

    async def _end(self, limit: float, *, probes: int) -> Answer:
        """Wait for a close frame, the end of the connection, or the answers to so many pings.

        One answer proves little: some servers answer a ping that came in one piece with what broke
        the protocol, and close then.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        left = probes

        def answer(outcome: Outcome, code: int | None = None, reason: str = "") -> Answer:
            return Answer(outcome, code, reason, loop.time() - started)

        if left:
            self.write(encode_frame(PING, b"%d" % left))
        try:
            async with asyncio.timeout(limit):
                while True:
                    for opcode, payload in self._frames.messages():
                        if opcode == CLOSE:
                            return answer("closed", *parse_close(payload))
                        if opcode == PONG and left and payload == b"%d" % left:
                            left -= 1
                            if not left:
                                return answer("accepted")
                            self.write(encode_frame(PING, b"%d" % left))
                    data = await self._reader.read(_READ_BYTES)
                    if not data:
                        return answer("ended")
                    self._frames.feed(data)
        except TimeoutError:
            return answer("silent")
        except OSError as error:
            return answer("reset", reason=str(error))
        except FrameError as error:
            return answer("ended", reason=f"the server broke the protocol: {error}")

    async def _head(self, limit: float) -> bytes | Answer:
        """Read the head of an HTTP answer."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome: Outcome
        try:
            async with asyncio.timeout(limit):
                while (head := self._frames.take_through(_HEAD_END)) is None:
                    if self._frames.buffered_bytes > _MAX_HEAD_BYTES:
                        raise SimulatorError(f"an HTTP head of over {_MAX_HEAD_BYTES} bytes")
                    data = await self._reader.read(_READ_BYTES)
                    if not data:
                        return Answer("ended", time=loop.time() - started)
                    self._frames.feed(data)
                return head
        except TimeoutError:
            outcome, reason = "silent", ""
        except OSError as error:
            outcome, reason = "reset", str(error)
        return Answer(outcome, reason=reason, time=loop.time() - started)

    def finish(self) -> None:
        """Send a FIN and go on reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        reset_on_close(self.socket)
        self._writer.transport.abort()

    async def free(self) -> None:
        """Close the connection now, whatever it was doing."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError, tls.SSLError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        """Return the line, which is open already."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Free the socket."""
        await self.free()
