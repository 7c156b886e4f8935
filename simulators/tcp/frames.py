"""The WebSocket framing of RFC 6455 for a client, without I/O, made for speed.

`FrameReader` owns the buffer that a socket is read into and yields whole messages from it, one
by one: whoever stops asking leaves the rest where it is. That is what lets a fake client stop
after exactly N messages. Of compression it understands messages that were compressed each for
itself, if told to.
"""

import os
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from simulators.errors import SimulatorError
from simulators.wire import close_travels

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Beginning",
    "FrameError",
    "FrameReader",
    "close_payload",
    "encode_frame",
    "parse_close",
]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_COMPRESSED: Final = 0x40
_UNMASKED: Final = b"\0\0\0\0"
_MASKED: Final = 0x80
_WHOLE_TEXT: Final = _FIN | TEXT
_WHOLE: Final = frozenset({_FIN | TEXT, _FIN | BINARY})
_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MAX_CONTROL_BYTES: Final = 125

_PROTOCOL_ERROR: Final = 1002
_NO_CODE: Final = 1005
_INVALID_TEXT: Final = 1007
_TOO_BIG: Final = 1009


class FrameError(SimulatorError):
    """The peer broke the protocol.

    Attributes:
        code: the close code that RFC 6455 gives for it: 1002, 1007 or 1009.
    """

    def __init__(self, message: str, *, code: int = _PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


def encode_frame(
    opcode: int,
    payload: bytes,
    *,
    mask: bytes | None = None,
    final: bool = True,
    compressed: bool = False,
) -> bytes:
    """Encode one frame as a client must send it, masked.

    Args:
        opcode: `TEXT`, `BINARY`, `CLOSE`, `PING`, `PONG` or `CONTINUATION`.
        payload: the whole payload; it is not checked against the limit of control frames.
        mask: four bytes; random when None. Four zeros are legal and cost least.
        final: whether the message ends with it.
        compressed: whether the payload is compressed.
    """
    key = os.urandom(4) if mask is None else mask
    size = len(payload)
    first = opcode | (_FIN if final else 0) | (_COMPRESSED if compressed else 0)
    if size < _LENGTH_16:
        head = bytes((first, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((first, _MASKED | _LENGTH_16)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MASKED | _LENGTH_64)) + size.to_bytes(8, "big")
    if key == _UNMASKED:
        return head + key + payload
    # One exclusive-or of two big numbers is the fastest masking without an extension module.
    stream = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + key + masked.to_bytes(size, "big")


def close_payload(code: int, reason: str) -> bytes:
    """Encode a close frame's payload; the reason is cut to what a control frame holds."""
    encoded = reason.encode()[: _MAX_CONTROL_BYTES - 2]
    return code.to_bytes(2, "big") + encoded.decode(errors="ignore").encode()


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return the code and reason of a close frame; 1005 when it has none.

    Raises:
        FrameError: one byte only, a code that may not travel, a reason that is not UTF-8.
    """
    if not payload:
        return _NO_CODE, ""
    if len(payload) == 1:
        raise FrameError("close frame with a payload of 1 byte; it takes 0, or at least 2")
    code = int.from_bytes(payload[:2], "big")
    if (why := close_travels(code)) is not None:
        raise FrameError(why)
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError("close frame whose reason is not UTF-8", code=_INVALID_TEXT) from None


class Beginning(NamedTuple):
    """What is there of the first frame: ``size_bytes`` in all, 0 while that is not known yet.

    ``lacking_bytes`` are still to come before its size is known, or else before it is whole.
    """

    opcode: int
    size_bytes: int
    lacking_bytes: int
    final: bool


class FrameReader:
    """A read buffer, and the messages in it.

    Text is not decoded here and not checked to be UTF-8: whoever decodes it finds out.

    Args:
        capacity_bytes: the buffer's size, at least 16. It grows for a larger frame while its
            bytes arrive, never by the length that a peer merely announces, and shrinks again.
        max_message_bytes: a larger message is a `FrameError` as soon as its length is known.

    Attributes:
        inflates: whether messages may come compressed, each for itself.
    """

    __slots__ = (
        "_buffer",
        "_capacity",
        "_end",
        "_max_message",
        "_partial",
        "_partial_compressed",
        "_partial_opcode",
        "_partial_size",
        "_start",
        "_view",
        "inflates",
    )

    def __init__(
        self, *, capacity_bytes: int = 16_384, max_message_bytes: int = 64 * 1024 * 1024
    ) -> None:
        self._capacity = max(capacity_bytes, 16)
        self._max_message = max_message_bytes
        self._start = self._end = 0
        self._buffer = bytearray(self._capacity)
        self._view = memoryview(self._buffer)
        self._partial: list[bytes] | None = None
        self._partial_opcode = TEXT
        self._partial_size = 0
        self._partial_compressed = False
        self.inflates = False

    @property
    def buffered_bytes(self) -> int:
        """Bytes that were read from the socket and not yet yielded."""
        return self._end - self._start

    def room(self, limit_bytes: int | None = None) -> memoryview:
        """Return where to read the next bytes to: at least one, at most `limit_bytes`.

        The view is valid until the next call of any method. Say with `filled` how much arrived.
        """
        start, end = self._start, self._end
        capacity = len(self._buffer)
        if start == end:
            self._start = self._end = start = end = 0
            if capacity != self._capacity:
                self._move_to(self._capacity)
        elif capacity - end < capacity >> 2:
            # A tail that fills half of the buffer is one frame too large for it.
            self._move_to(capacity * 2 if (end - start) * 2 > capacity else capacity)
            end = self._end
        if limit_bytes is None:
            return self._view[end:] if end else self._view
        return self._view[end : end + limit_bytes]

    def _move_to(self, capacity: int) -> None:
        """Move what is pending to the front, into a new buffer when the capacity changes."""
        start, end = self._start, self._end
        pending = end - start
        if capacity == len(self._buffer):
            self._view[:pending] = self._view[start:end]
        else:
            # A bytearray with a view on it cannot be resized, so a new one takes its place.
            buffer = bytearray(capacity)
            buffer[:pending] = self._view[start:end]
            self._buffer, self._view = buffer, memoryview(buffer)
        self._start, self._end = 0, pending

    def filled(self, count: int) -> None:
        """Say that `count` bytes were written into the view that `room` gave."""
        self._end += count

    def feed(self, data: bytes) -> None:
        """Take bytes that are already in hand: `room` and `filled` in one."""
        rest = memoryview(data)
        while rest:
            room = self.room(len(rest))
            count = len(room)
            room[:] = rest[:count]
            self._end += count
            rest = rest[count:]

    def take_through(self, delimiter: bytes) -> bytes | None:
        """Take everything up to and with the delimiter, or None when it is not there yet."""
        stop = self._buffer.find(delimiter, self._start, self._end)
        if stop < 0:
            return None
        stop += len(delimiter)
        taken = self._view[self._start : stop].tobytes()
        self._start = stop
        return taken

    def lacking(self, delimiter: bytes) -> int:
        """Return how many bytes must at least still come before the delimiter is whole.

        Who reads no more than that at a time reads nothing behind it.
        """
        tail = self._view[max(self._start, self._end - len(delimiter)) : self._end].tobytes()
        return next(
            missing
            for missing in range(len(delimiter) + 1)
            if tail.endswith(delimiter[: len(delimiter) - missing])
        )

    def beginning(self) -> Beginning:
        """Look at the first frame in the buffer, however little of it has come."""
        have = self._end - self._start
        if have < 2:  # noqa: PLR2004 - first byte and length
            return Beginning(-1, 0, 2 - have, final=False)
        first, length = self._buffer[self._start], self._buffer[self._start + 1]
        opcode, final = first & 0x0F, bool(first & _FIN)
        more = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length & ~_MASKED, 0)
        head = 2 + more + (4 if length & _MASKED else 0)
        if have < head:
            return Beginning(opcode, 0, head - have, final)
        body = self._start + 2
        size = int.from_bytes(self._buffer[body : body + more], "big") if more else length & 0x7F
        return Beginning(opcode, head + size, max(0, head + size - have), final)

    def take_raw(self, size_bytes: int) -> bytes:
        """Take this many bytes as they came, or fewer if that is all there is."""
        stop = min(self._start + size_bytes, self._end)
        taken = self._view[self._start : stop].tobytes()
        self._start = stop
        return taken

    def only(self) -> bytes | None:
        """Take the text message that is all there is in the buffer; None when anything else is.

        So it is for whoever keeps up with a server, and it costs less than `messages`, which finds
        the same.
        """
        buffer, start, end = self._buffer, self._start, self._end
        if end - start < 4 or buffer[start] != _WHOLE_TEXT or self._partial is not None:  # noqa: PLR2004 - a head with a length of 16 bits
            return None
        size = buffer[start + 1]
        body = start + 2
        if size == _LENGTH_16:
            size = buffer[body] << 8 | buffer[body + 1]
            body += 2
            if size < _LENGTH_16:
                return None
        if body + size != end or size > self._max_message:
            return None
        self._start = end
        return self._view[body:end].tobytes()

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Yield each complete message and control frame as its opcode and payload.

        A message in fragments comes whole, control frames between them come first. Whoever
        stops iterating finds the rest in the next call.

        Raises:
            FrameError: the peer broke the protocol. What comes after it has no meaning.
        """
        while True:
            start = self._start
            body = start + 2
            if body > self._end:
                return
            buffer = self._buffer
            head = buffer[start]
            size = buffer[start + 1]
            if size == _LENGTH_16 and body + 2 <= self._end:
                size = buffer[body] << 8 | buffer[body + 1]
                body += 2
                if size < _LENGTH_16:
                    raise FrameError(f"frame of {size} bytes with a length of 16 bits")
            elif size >= _LENGTH_16:
                self._check_head(head, size)
                if size == _LENGTH_16 or body + 8 > self._end:
                    return
                size = int.from_bytes(buffer[body : body + 8], "big")
                body += 8
                if size >> 63 or not size >> 16:
                    raise FrameError(f"frame of {size} bytes with a length of 64 bits")
            stop = body + size
            if (
                stop <= self._end
                and head in _WHOLE
                and self._partial is None
                and size <= self._max_message
            ):
                self._start = stop
                yield head & 0x0F, self._view[body:stop].tobytes()
                continue
            self._check_head(head, buffer[start + 1])
            self._check_size(head, size)
            if stop > self._end:
                return
            self._start = stop
            whole = self._fragment(head, self._view[body:stop].tobytes())
            if whole is not None:
                yield whole

    def _check_head(self, head: int, length: int) -> None:
        opcode = head & 0x0F
        if length & _MASKED:
            raise FrameError("masked frame from the server")
        if head & _RESERVED and not (
            self.inflates and head & _RESERVED == _COMPRESSED and opcode in (TEXT, BINARY)
        ):
            raise FrameError(f"frame with a reserved bit set (first byte 0x{head:02x})")
        if opcode not in _OPCODES:
            raise FrameError(f"frame with the reserved opcode 0x{opcode:x}")
        if opcode >= CLOSE and (not head & _FIN or length > _MAX_CONTROL_BYTES):
            raise FrameError(f"control frame 0x{opcode:x} that is fragmented or above 125 bytes")
        if opcode == CONTINUATION and self._partial is None:
            raise FrameError("continuation frame without a message to continue")
        if opcode in (TEXT, BINARY) and self._partial is not None:
            raise FrameError("new message inside a fragmented one")

    def _check_size(self, head: int, size: int) -> None:
        if head & 0x0F < CLOSE and size + self._partial_size > self._max_message:
            raise FrameError(
                f"message of at least {size + self._partial_size} bytes; "
                f"at most {self._max_message} are taken",
                code=_TOO_BIG,
            )

    def _fragment(self, head: int, payload: bytes) -> tuple[int, bytes] | None:
        """Take a checked frame that is not a whole message; return what it completes."""
        opcode = head & 0x0F
        if opcode >= CLOSE:
            return opcode, payload
        if self._partial is None:
            self._partial, self._partial_opcode = [], opcode
            self._partial_compressed = bool(head & _COMPRESSED)
        self._partial.append(payload)
        self._partial_size += len(payload)
        if not head & _FIN:
            return None
        whole = b"".join(self._partial)
        self._partial, self._partial_size = None, 0
        if self._partial_compressed:
            whole = self._inflated(whole)
        return self._partial_opcode, whole

    def _inflated(self, payload: bytes) -> bytes:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            whole = inflate.decompress(payload + b"\0\0\xff\xff", self._max_message + 1)
        except zlib.error as error:
            raise FrameError(f"message that cannot be inflated: {error}") from None
        self._check_size(TEXT, len(whole))
        return whole
