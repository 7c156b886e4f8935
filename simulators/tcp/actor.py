"""One WebSocket connection on a real socket, and all that a fault may do with it.

`Actor` takes messages and answers them properly. What a fault does instead is in
`simulators.acts`, which uses the methods and replaces the reactions here. How a connection
comes about is told in `simulators.sockets`.
"""

import asyncio
import contextlib
import json
import math
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulators.behaviours import Behaviour
from simulators.errors import OptionError, SimulatorError
from simulators.pings import is_ping, pong
from simulators.records import Closed, Received
from simulators.tcp.connection import Gate, reset_on_close
from simulators.tcp.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    close_payload,
    encode_frame,
    parse_close,
)
from simulators.tcp.waiters import Waiters
from simulators.wire import close_travels

__all__ = ["ABNORMAL", "Actor"]

ABNORMAL = 1006
"""The close code of a connection that broke without a close frame."""

_ENOUGH_BYTES = 256 * 1024
_MOST_AT_ONCE = 1_000
_LOOK_AGAIN = 0.001


class Actor:
    """One connection and its client.

    Attributes:
        name: for messages.
        behaviour: what it does.
        received: what it took, when `keep`.
        received_messages: how many messages it took, application pings included.
        received_bytes: the bytes of their payloads.
        closed: how the connection ended, None before.
        connected_at: the loop's time when the handshake was done.
        stalled_at: when it last stopped reading; it stays after `resume`.
        died_at: when it died of its own doing.
        steady_pieces: how many pieces `steadily` has sent.
        protocol_error: what the server did against the protocol, if it did.
        unmet: the faults that it could not produce on this connection, each with the reason.
        compresses: whether the server agreed to take compressed messages.
        on_ping: what it does with a protocol ping's payload.
        on_application_ping: what it does when the application pings.
        on_close: what it does with a close frame's payload.
        on_part: called after each read, when set; the rest of a message may still be to come.
    """

    def __init__(
        self,
        behaviour: Behaviour | None,
        *,
        name: str | None,
        on_message: Callable[[Any, bytes], None] | None,
        keep: bool,
    ) -> None:
        self.behaviour = behaviour = behaviour or Behaviour()
        self.name = name or behaviour.name
        self.received: list[Received] = []
        self.received_messages = 0
        self.received_bytes = 0
        self.closed: Closed | None = None
        self.connected_at: float | None = None
        self.stalled_at: float | None = None
        self.died_at: float | None = None
        self.steady_pieces = 0
        self.protocol_error: FrameError | None = None
        self.unmet: dict[str, str] = {}
        self.compresses = False
        self.on_ping: Callable[[bytes], None] = self._pong
        self.on_application_ping: Callable[[], None] = self.answer_application
        self.on_close: Callable[[bytes], None] = self.answer_close
        self.on_part: Callable[[], None] | None = None

        self.loop: asyncio.AbstractEventLoop
        self.gate: Gate | None = None
        self.socket: socket.socket | None = None
        self._on_message = on_message
        self._keep = keep
        self._limits: list[tuple[float, float, Callable[[], None]]] = []
        # From which message on the limits must be looked at: with one in bytes at each.
        self._halt_messages = math.inf
        self._stopped = False
        self._close_sent = False
        self._mute = False
        self._told: tuple[int, str] | None = None
        self._held: deque[bytes] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._waiters = Waiters()

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this client has read."""
        return self.connected_at is not None and self.closed is None

    @property
    def stalled(self) -> bool:
        """Whether it does not read now."""
        return self._stopped and self.closed is None

    def after(self, seconds: float, action: Callable[..., None], *arguments: Any) -> None:
        """Do something later, unless the connection has ended before."""

        def act() -> None:
            self._timers.discard(timer)
            action(*arguments)

        timer = self.loop.call_later(seconds, act)
        self._timers.add(timer)

    def at_messages(self, count: float, action: Callable[[], None]) -> None:
        """Do something as soon as this many messages have been taken, before the next one."""
        self._limits.append((count, math.inf, action))
        self._aim()

    def at_bytes(self, count: float, action: Callable[[], None]) -> None:
        """Do something as soon as this many bytes of messages have been taken."""
        self._limits.append((math.inf, count, action))
        self._aim()

    def _aim(self) -> None:
        in_bytes = any(size_bytes < math.inf for _, size_bytes, _ in self._limits)
        messages = min((messages for messages, _, _ in self._limits), default=math.inf)
        self._halt_messages = 0 if in_bytes else messages

    def _halt(self) -> None:
        """Do what is due at the limits that are reached, if one is."""
        messages, size_bytes = self.received_messages, self.received_bytes
        due = [limit for limit in self._limits if messages >= limit[0] or size_bytes >= limit[1]]
        for limit in due:
            self._limits.remove(limit)
        self._aim()
        for _, _, action in due:
            action()

    def take(self) -> None:
        """Take what the gate has let in, until the behaviour says stop."""
        gate, stopped = self.gate, self._stopped
        if gate is None or stopped:
            return
        on_message = self._on_message
        reader = gate.reader
        only = reader.only()
        try:
            for opcode, payload in reader.messages() if only is None else ((TEXT, only),):
                if opcode > BINARY:
                    self._control(opcode, payload)
                else:
                    self.received_messages += 1
                    self.received_bytes += len(payload)
                    if on_message is not None:
                        on_message(self, payload)
                    if self._keep:
                        self._remember(opcode, payload)
                    if opcode == TEXT and b'"ping"' in payload and is_ping(payload):
                        self.on_application_ping()
                    if self.received_messages >= self._halt_messages:
                        self._halt()
                if self._stopped:
                    break
            if self.on_part is not None and not self._stopped:
                self.on_part()
        except FrameError as error:
            self.protocol_error = error
            self.send(CLOSE, close_payload(error.code, str(error)))
            self.hang_up(error.code, str(error))
        if self._waiters:
            self._waiters.wake()

    def _remember(self, opcode: int, payload: bytes) -> None:
        try:
            message = payload.decode() if opcode == TEXT else payload
        except UnicodeDecodeError as error:
            raise FrameError(f"text message that is not UTF-8: {error}", code=1007) from None
        self.received.append(Received(message, self.loop.time()))

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.on_ping(payload)
        elif opcode == CLOSE:
            self.on_close(payload)

    def _pong(self, payload: bytes) -> None:
        self.send(PONG, payload)

    def answer_application(self, timestamp: int | None = None) -> None:
        """Answer an application's ping as the original's page does."""
        self.send(TEXT, json.dumps(pong(self.loop.time(), timestamp=timestamp)).encode())

    def answer_close(self, payload: bytes) -> None:
        """Answer a close frame properly, and hang up."""
        code, reason = parse_close(payload)
        self.send(CLOSE, payload[:2])
        self.hang_up(code, reason)

    def heed_close(self, payload: bytes) -> None:
        """Remember what a close frame says, for the end, and do nothing about it."""
        self._told = parse_close(payload)

    def stall(self) -> None:
        """Stop reading, and keep the connection. What is on its way fills the kernel's buffers."""
        if self._stopped or not self.connected:
            return
        self._stopped = True
        self.stalled_at = self.loop.time()
        if self.gate is not None:
            self.gate.shut()

    def resume(self) -> None:
        """Read again: first what was read already and not taken, then what comes."""
        if self.closed is not None or not self._stopped:
            return
        self._stopped = False
        self.take()
        if self.gate is not None and not self.stalled:
            self.gate.open()

    def die(self) -> None:
        """Die with a TCP reset: no close frame, and the peer's next write fails."""
        if self.connected and self.socket is not None:
            reset_on_close(self.socket)
            self.break_off("reset by this client")

    def break_off(self, reason: str) -> None:
        """Close the socket now, without another word, and note that it died."""
        self.end(ABNORMAL, reason)
        self.died_at = self.closed.time if self.closed else None
        self.free()

    def say(self, message: str | bytes | Mapping[str, Any]) -> None:
        """Send a message; a mapping goes as JSON. It does not wait for the peer to take it.

        Raises:
            SimulatorError: the connection does not stand.
        """
        if not self.connected or self._close_sent:
            state = "not connected" if self.connected_at is None else "closing"
            state = f"closed: {self.closed}" if self.closed else state
            raise SimulatorError(f"{self.name} cannot say anything: it is {state}")
        if isinstance(message, bytes):
            self.send(BINARY, message)
            return
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        self.send(TEXT, text.encode())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close with a close frame. `wait_closed` sees the server's answer to it.

        Raises:
            OptionError: no close frame can hold this code or reason.
        """
        if (why := close_travels(code, reason)) is not None:
            raise OptionError(why)
        if self.connected:
            self.send(CLOSE, close_payload(code, reason))

    def send(self, opcode: int, payload: bytes) -> None:
        """Send a frame, unless a close frame went before."""
        if not self._close_sent:
            self._close_sent = opcode == CLOSE
            self.write(encode_frame(opcode, payload))

    def write(self, data: bytes) -> None:
        """Send bytes as they are. Without effect once it is mute or the connection is closing."""
        gate = self.gate
        if self._mute or gate is None or gate.transport is None or gate.transport.is_closing():
            return
        if self._held is None:
            gate.transport.write(data)
        else:
            self._held.append(data)

    def hush(self) -> None:
        """Send nothing more, whatever happens."""
        self._mute = True

    def finish(self) -> None:
        """End this side of the connection (FIN) and go on reading; nothing more can be sent."""
        self._mute = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def dribble(self, data: bytes, interval: float) -> None:
        """Send bytes one by one. What else is sent meanwhile waits until they are out."""
        if self._held is not None:
            self._held.append(data)
            return
        self._held = held = deque[bytes]()
        begun, sent = self.loop.time(), 0

        def drip() -> None:
            nonlocal sent
            now = self.loop.time()
            # Several at a time only where the loop's timers are too coarse for the interval.
            due = min(int((now - begun) / interval) + 1, len(data))
            self._held = None
            self.write(data[sent:due])
            sent = due
            if sent == len(data):
                self.write(b"".join(held))
                return
            self._held = held
            self.after(max(_LOOK_AGAIN, begun + sent * interval - now), drip)

        drip()

    def pour(self, pieces: Iterator[bytes]) -> None:
        """Send pieces as fast as the peer takes them, with at most about 256 KiB waiting."""
        gate = self.gate
        while gate is not None and gate.transport is not None and not gate.transport.is_closing():
            if self._mute or self._close_sent:
                return
            if gate.transport.get_write_buffer_size() > _ENOUGH_BYTES or self._held is not None:
                self.after(_LOOK_AGAIN, self.pour, pieces)
                return
            piece = next(pieces, None)
            if piece is None:
                return
            self.write(piece)

    def steadily(self, rate: float, piece: Callable[[], bytes], *, after_seconds: float) -> None:
        """Send so many pieces in a second, without end. A peer that takes fewer gets fewer."""
        begun = self.loop.time() + after_seconds
        sent = 0

        def send() -> None:
            nonlocal begun, sent
            gate = self.gate
            if self._mute or self._close_sent or gate is None or gate.transport is None:
                return
            now = self.loop.time()
            due = min(int((now - begun) * rate) + 1, sent + _MOST_AT_ONCE)
            if gate.transport.get_write_buffer_size() > _ENOUGH_BYTES or self._held is not None:
                begun, sent = now, 0
            elif due > sent:
                self.write(b"".join(piece() for _ in range(due - sent)))
                self.steady_pieces += due - sent
                sent = due
            self.after(max(_LOOK_AGAIN, begun + sent / rate - now), send)

        self.after(after_seconds, send)

    def end(self, code: int, reason: str) -> None:
        """Record the end, once; nothing is read or done after it."""
        self._stopped = True
        if self.closed is None:
            self.closed = Closed(code, reason, self.loop.time())
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._waiters:
            self._waiters.wake()

    def hang_up(self, code: int, reason: str) -> None:
        """End the connection once what was sent has gone out."""
        self.end(code, reason)
        if self.gate is not None:
            self.gate.close()

    def lost(self, error: Exception | None = None) -> None:
        """Note that the socket is gone, by an error that is no system's if it is given."""
        if self.connected_at is not None:
            why = f"broken off by {error!r} in this client" if error is not None else ""
            self.end(*(self._told or (ABNORMAL, why)))

    def free(self) -> None:
        """Free the socket in any case."""
        if self.gate is not None and self.gate.transport is not None:
            self.gate.abort()
        elif self.socket is not None:
            self.socket.close()
