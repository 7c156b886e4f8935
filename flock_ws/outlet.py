"""Outlet: the writing side of one TCP connection, which copies nothing and keeps the order.

asyncio's transport may copy what the kernel does not take at once into a buffer of each
connection's own. Here the bytes go straight to the socket, and what does not fit stays a reference
to what all clients share: only a small piece is left with the transport, whose word that it is
empty again brings the next. What the server writes itself, control frames above all, waits behind.

Only plain TCP on one of asyncio's own selector loops is written to directly. With TLS, and on
uvloop, everything goes through the transport, under its own limits.
"""

import asyncio
import os
from collections import deque
from collections.abc import Iterable
from typing import Any

__all__ = ["Outlet"]

_PIECE_BYTES = 2_048
"""What is left with the transport: enough to be told when there is room again."""


class Outlet(asyncio.Transport):
    """Stands in for a connection's transport.

    The connection's protocol must hand on `pause_writing` and `resume_writing`, tell when the
    connection is `lost`, and set `shut` when it has written its close frame.

    Attributes:
        paused: something waits to be sent, here or in the transport.
        shut: nothing more may be offered.
    """

    __slots__ = ("_descriptor", "_rests", "_transport", "paused", "shut")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._rests: deque[memoryview] | None = None  # most connections never need one
        self.paused = False
        self.shut = False
        self._descriptor = -1
        socket = transport.get_extra_info("socket")
        bare = transport.get_extra_info("sslcontext") is None
        selecting = os.name == "posix" and isinstance(loop, asyncio.SelectorEventLoop)
        if socket is not None and bare and selecting:
            self._descriptor = socket.fileno()
            # With anything in the transport's buffer a direct write would overtake it. Of what is
            # there by now it may have told another protocol.
            transport.set_write_buffer_limits(high=0)
            self.paused = transport.get_write_buffer_size() > 0

    def offer(self, frames: bytes) -> bool:
        """Write whole frames, or nothing while earlier ones wait to be sent.

        Returns:
            Whether they were taken. Then they are kept, not copied, until they are sent.

        Raises:
            BrokenPipeError: it is shut.
        """
        if self.shut:
            raise BrokenPipeError("the connection is closing or gone")
        if self.paused:
            return False
        if self._descriptor < 0:
            self._transport.write(frames)
            return True
        try:
            sent = os.write(self._descriptor, frames)
        except OSError:
            sent = 0  # full, or broken: then the transport finds that out, and ends it
        if sent < len(frames):
            self._rests = deque((memoryview(frames)[sent:],))
            self._push()
        return True

    def pause_writing(self) -> None:
        """The transport's buffer is not empty."""
        self.paused = True

    def resume_writing(self) -> None:
        """The transport's buffer is empty; `paused` tells whether there was more to send."""
        self.paused = False
        self._push()

    def lost(self) -> None:
        """The connection is gone, and with it what was not sent."""
        self.shut = True
        self.paused = False
        self._rests = None

    def _push(self) -> None:
        rests = self._rests
        # Into a broken transport it would go piece by piece, each with a line in the log.
        while rests and not self.paused and not self._transport.is_closing():
            rest = rests.popleft()
            try:
                sent = os.write(self._descriptor, rest)
            except OSError:
                sent = 0
            if sent < len(rest):
                piece = rest[sent : sent + _PIECE_BYTES]
                if sent + len(piece) < len(rest):
                    rests.appendleft(rest[sent + len(piece) :])
                self._transport.write(piece)
        if not rests:
            self._rests = None

    # What is asked of a transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write behind everything else."""
        if self._rests:
            self._rests.append(memoryview(bytes(data)))
        else:
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write all of them."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Close when everything was sent."""
        self.shut = True
        rests, self._rests = self._rests, None
        for rest in rests or ():
            self._transport.write(rest)
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.lost()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that were not given to the kernel yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._rests or ()))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether it is closing or gone."""
        return self._transport.is_closing()

    def is_reading(self) -> bool:
        """Tell whether it reads."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Read nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the connection's protocol."""
        return self._transport.get_protocol()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the connection another protocol."""
        self._transport.set_protocol(protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Leave the limits as they are: the order of what is written depends on them."""

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the transport's limits."""
        return self._transport.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        """Tell whether the writing side alone can be closed: it never is here."""
        return False
