"""The behaviours of `simulators.behaviours` over real TCP, on asyncio or uvloop.

A `SocketClient` reads exactly: while it is stalled, nothing takes a byte from its socket, and a
slow one takes its chunk and no more. So the peer meets the pressure that a real client of that
kind makes, once the kernel's buffers are full. For ``wss://`` this holds with the grain of the
TLS layer below, which takes up to 256 KiB at a time.

Compression is not offered. Proxies and redirects are not followed.
"""

import asyncio
import contextlib
import json
import math
import os
import socket
import ssl as tls
import struct
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, cast

from simulators.behaviours import Behaviour
from simulators.connection import Gate, SocketFactory, open_socket, peer_gone
from simulators.errors import NotSeen, SimulatorError
from simulators.faults import Reset, SlowReader, StalledReader
from simulators.frames import (
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
from simulators.handshake import ConnectFailed, Target
from simulators.records import Closed, Received
from simulators.waiters import Waiters

__all__ = ["ConnectFailed", "NotSeen", "SocketClient"]

_SMALL_RECEIVE_BUFFER = 4_096
_ABNORMAL = 1006
_TLS_FAREWELL = 1.0


def _limit(value: float | None) -> float:
    return math.inf if value is None else value


class SocketClient:
    """One WebSocket client with a behaviour, on a real socket.

    It answers protocol pings, and an application ping ``{"type": "ping", …}`` with
    ``{"type": "pong", "timestamp": <the loop's time in ms>}``, but only while it reads: what it has
    not taken, it does not answer. What it sends is buffered without a bound.

    Use it as ``async with SocketClient(url) as client``, which connects, leaves politely and
    frees the socket in any case. It connects once.

    Args:
        url: ``ws://`` or ``wss://``.
        behaviour: how it reads and dies; healthy by default.
        name: for messages; the behaviour's name by default.
        receive_buffer_bytes: ``SO_RCVBUF``, set before the connection; the kernel doubles it. By
            default 4096 for a behaviour that reads slowly or stalls, so that it cannot hide behind
            megabytes, and the system's own for any other; 0 is the system's own for all.
        headers: further headers of the request.
        subprotocol: offered to the server.
        ssl: for ``wss://``; the system's default context when None.
        on_message: called with the client and the payload of each text or binary message, before
            anything else is done with it. It must be quick and must not raise. Text comes as
            undecoded bytes.
        keep: whether `received` keeps the messages; without, text is not checked to be UTF-8.
        socket_factory: makes the socket from family, type and protocol, for processes in which
            `socket.socket` is patched.

    Attributes:
        received: what it took, when `keep`.
        received_messages: how many messages it took, application pings included.
        received_bytes: the bytes of their payloads.
        closed: how the connection ended, None before.
        connected_at: the loop's time when the handshake was done.
        stalled_at: when it last stopped reading; it stays after `resume`.
        died_at: when it died of its own doing.
        protocol_error: what the server did against the protocol, if it did.
    """

    def __init__(
        self,
        url: str,
        behaviour: Behaviour | None = None,
        *,
        name: str | None = None,
        receive_buffer_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocol: str | None = None,
        ssl: tls.SSLContext | None = None,
        on_message: Callable[["SocketClient", bytes], None] | None = None,
        keep: bool = True,
        socket_factory: SocketFactory | None = None,
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
        self.protocol_error: FrameError | None = None

        self._target = Target.parse(url)
        if ssl is not None and not self._target.secure:
            raise ConnectFailed(url, "ssl= is given, but the URL is ws://: use wss://")
        self._ssl = ssl
        self._headers = headers
        self._subprotocol = subprotocol
        self._socket_factory = socket_factory or socket.socket
        self._on_message = on_message
        self._keep = keep

        self._slow = behaviour.fault(SlowReader)
        self._stall = behaviour.fault(StalledReader)
        self._reset = behaviour.fault(Reset)
        if receive_buffer_bytes is None:
            reads_all = self._slow is None and self._stall is None
            receive_buffer_bytes = 0 if reads_all else _SMALL_RECEIVE_BUFFER
        self._receive_buffer_bytes = receive_buffer_bytes
        self._stall_messages = self._stall_bytes = math.inf
        self._reset_messages = self._halt_messages = math.inf

        self._loop: asyncio.AbstractEventLoop
        self._gate: Gate | None = None
        self._socket: socket.socket | None = None
        self._key = os.urandom(16)
        self._answer: asyncio.Future[None] | None = None
        self._step = "TCP connection"
        self._stopped = False
        self._close_sent = False
        self._timers: list[asyncio.TimerHandle] = []
        self._waiters = Waiters()

    def __repr__(self) -> str:
        """Show the client's name, what it took and how it ended."""
        end = "connected" if self.connected else f"closed={self.closed}"
        taken = f"{self.received_messages} messages"
        return f"<SocketClient {self.name} {self._target.url} {taken}, {end}>"

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this client has read."""
        return self.connected_at is not None and self.closed is None

    @property
    def stalled(self) -> bool:
        """Whether it does not read now."""
        return self._stopped and self.closed is None

    @property
    def hung_up(self) -> bool | None:
        """Whether the peer has ended the connection, seen without reading a byte of it.

        A stalled client sees a reset so, and a FIN once nothing unsent is before it. None where the
        system cannot tell (it takes Linux), or there was no connection.
        """
        if self._socket is None:
            return None
        return self._gate is None or self._gate.gone.is_set() or peer_gone(self._socket)

    async def connect(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Connect, and begin to behave.

        Raises:
            ConnectFailed: refused, not answered within `timeout` seconds, not a WebSocket, ….
        """
        if self._gate is not None:
            raise SimulatorError(f"{self.name}: a SocketClient connects once; make another one")
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout) as limit:
                await self._open()
        except BaseException as error:
            self._abort()
            if isinstance(error, TimeoutError) and limit.expired():
                reason = f"no {self._step} within {timeout:g} s"
            elif isinstance(error, OSError):
                reason = self._target.why_not(error, step=self._step)
            else:
                raise
            raise ConnectFailed(self._target.url, reason) from error

    async def _open(self) -> None:
        self._socket = await open_socket(
            self._target.host,
            self._target.port,
            receive_buffer_bytes=self._receive_buffer_bytes,
            factory=self._socket_factory,
        )
        self._answer = self._loop.create_future()
        gate = self._gate = Gate(self._take_answer, self._lost, exact=bool(self.behaviour.faults))
        secure: dict[str, Any] = {}
        if self._target.secure:
            self._step = "TLS handshake"
            context = self._ssl or tls.create_default_context()
            secure = {
                "ssl": context,
                "server_hostname": self._target.host,
                "ssl_shutdown_timeout": _TLS_FAREWELL,
            }
        transport, _ = await self._loop.create_connection(lambda: gate, sock=self._socket, **secure)
        self._step = "answer to the upgrade"
        request = self._target.request(
            self._key, headers=self._headers, subprotocol=self._subprotocol
        )
        transport.write(request)
        await self._answer

    def _take_answer(self) -> None:
        if self._gate is None or self._answer is None or self._answer.done():
            return
        try:
            head = self._gate.take_head()
            if head is None:
                self._target.check_size(self._gate.reader.buffered_bytes)
                return
            self._target.check(head, self._key, subprotocol=self._subprotocol)
        except ConnectFailed as error:
            self._answer.set_exception(error)
            return
        self._answer.set_result(None)
        self._gate.take = self._take
        self._behave()

    def _behave(self) -> None:
        """Begin to behave: the connection stands."""
        self.connected_at = self._loop.time()
        gate = cast("Gate", self._gate)
        if (slow := self._slow) is not None:
            self._arm(slow.after_seconds, gate.narrow, slow)
            if not slow.after_seconds:
                gate.narrow(slow)
        if (reset := self._reset) is not None:
            self._arm(reset.after_seconds, self.die)
            self._reset_messages = _limit(reset.after_messages)
            if reset.at_once:
                self.die()
                return
        if (stall := self._stall) is not None:
            self._arm(stall.after_seconds, self._stall_as_told)
            self._stall_messages = _limit(stall.after_messages)
            self._stall_bytes = _limit(stall.after_bytes)
            if stall.at_once:
                self._stall_as_told()
        self._set_halt()
        self._take()

    def _arm(self, after: float | None, action: Callable[..., None], *arguments: Any) -> None:
        if after:
            self._timers.append(self._loop.call_later(after, action, *arguments))

    def _set_halt(self) -> None:
        """Say from which message on `_halt` must be asked: with a limit in bytes at each one."""
        messages = min(self._stall_messages, self._reset_messages)
        self._halt_messages = messages if self._stall_bytes == math.inf else 0

    def _take(self) -> None:
        """Take what the gate has let in, until the behaviour says stop."""
        gate, stopped = self._gate, self._stopped
        if gate is None or stopped:
            return
        on_message = self._on_message
        try:
            for opcode, payload in gate.reader.messages():
                if opcode > BINARY:
                    self._control(opcode, payload)
                else:
                    self.received_messages += 1
                    self.received_bytes += len(payload)
                    if on_message is not None:
                        on_message(self, payload)
                    if self._keep:
                        self._remember(opcode, payload)
                    if payload[:7] == b'{"type"':
                        self._answer_ping(payload)
                    if self.received_messages >= self._halt_messages:
                        self._halt()
                if self._stopped:
                    break
        except FrameError as error:
            self.protocol_error = error
            self._send(CLOSE, close_payload(error.code, str(error)))
            self._hang_up(error.code, str(error))
        if self._waiters:
            self._waiters.wake()

    def _halt(self) -> None:
        """Do what the behaviour does at the limit that is reached, if one is."""
        if self.received_messages >= self._reset_messages:
            self.die()
        elif (
            self.received_messages >= self._stall_messages
            or self.received_bytes >= self._stall_bytes
        ):
            self._stall_as_told()

    def _remember(self, opcode: int, payload: bytes) -> None:
        try:
            message = payload.decode() if opcode == TEXT else payload
        except UnicodeDecodeError as error:
            raise FrameError(f"text message that is not UTF-8: {error}", code=1007) from None
        self.received.append(Received(message, self._loop.time()))

    def _answer_ping(self, payload: bytes) -> None:
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError):
            return
        if message.get("type") == "ping":
            pong = {"type": "pong", "timestamp": round(self._loop.time() * 1000)}
            self._send(TEXT, json.dumps(pong).encode())

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            code, reason = parse_close(payload)
            self._send(CLOSE, payload[:2])
            self._hang_up(code, reason)

    def stall(self) -> None:
        """Stop reading, and keep the connection. What is on its way fills the kernel's buffers."""
        if self._stopped or not self.connected:
            return
        self._stopped = True
        self.stalled_at = self._loop.time()
        if self._gate is not None:
            self._gate.shut()

    def _stall_as_told(self) -> None:
        stall, self._stall = self._stall, None
        if stall is None:
            return
        # The first limit that is reached counts: no other one stalls it again after `resume`.
        self._stall_messages = self._stall_bytes = math.inf
        self._set_halt()
        self.stall()
        self._arm(stall.resume_after, self.resume)

    def resume(self) -> None:
        """Read again: first what was read already and not taken, then what comes."""
        if self.closed is not None or not self._stopped:
            return
        self._stopped = False
        self._take()
        if self._gate is not None and not self.stalled:
            self._gate.open()

    def die(self) -> None:
        """Die with a TCP reset: no close frame, and the peer's next write fails."""
        if not self.connected:
            return
        if self._socket is not None and self._socket.fileno() >= 0:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._end(_ABNORMAL, "reset by this client")
        self.died_at = self.closed.time if self.closed else None
        self._abort()

    def say(self, message: str | Mapping[str, Any]) -> None:
        """Send a text message; a mapping goes as JSON. It does not wait for the peer to take it.

        Raises:
            SimulatorError: the connection does not stand.
        """
        if not self.connected or self._close_sent:
            state = f"closed: {self.closed}" if self.closed else "not connected"
            raise SimulatorError(f"{self.name} cannot say anything: it is {state}")
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        self._send(TEXT, text.encode())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close with a close frame. `wait_closed` sees the server's answer to it."""
        if self.connected:
            self._send(CLOSE, close_payload(code, reason))

    async def leave(self, *, timeout: float = 1.0) -> None:  # noqa: ASYNC109 - bounds the politeness, raises nothing
        """Close politely if that is still possible, and free the socket in any case.

        It waits at most `timeout` seconds for the server; a client that does not read does not
        wait for what it could not see.
        """
        gate = self._gate
        if gate is None:
            return
        self.close()
        if not self._stopped:
            with contextlib.suppress(NotSeen):
                await self.wait_closed(timeout=timeout)
        if gate.transport is None:
            return
        gate.close()
        with contextlib.suppress(TimeoutError):
            # A peer that reads takes the last frame within moments, no other ever will.
            async with asyncio.timeout(min(timeout, 0.1)):
                await gate.gone.wait()
        gate.abort()
        await gate.gone.wait()

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        try:
            await self.leave()
        finally:
            self._abort()

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Wait until it has taken at least `count` messages in all.

        Raises:
            NotSeen: it has not within `timeout` seconds, or its connection ended before.
        """
        await self._waiters.until(
            lambda: self.received_messages >= count or self.closed is not None, limit=timeout
        )
        if self.received_messages < count:
            end = f"; the connection ended: {self.closed}" if self.closed else self._doing()
            raise NotSeen(
                f"{self.name} took {self.received_messages} messages within {timeout:g} s, "
                f"expected {count}{end}"
            )

    async def wait_closed(self, *, timeout: float = 10.0) -> Closed:  # noqa: ASYNC109 - the limit is part of the error
        """Wait until the connection has ended, and return how.

        Raises:
            NotSeen: it has not within `timeout` seconds.
        """
        await self._waiters.until(lambda: self.closed is not None, limit=timeout)
        if self.closed is None:
            raise NotSeen(
                f"{self.name} was not closed within {timeout:g} s, "
                f"{self.received_messages} messages taken{self._doing()}"
            )
        return self.closed

    def _doing(self) -> str:
        if self.stalled:
            return "; it is stalled: what it has not read it cannot see"
        return f"; it {self.behaviour.describe()}"

    def _send(self, opcode: int, payload: bytes) -> None:
        gate = self._gate
        if gate is None or gate.transport is None or gate.transport.is_closing():
            return
        if self._close_sent:
            return
        self._close_sent = opcode == CLOSE
        gate.transport.write(encode_frame(opcode, payload))

    def _end(self, code: int, reason: str) -> None:
        """Record the end, once; nothing is read or done after it."""
        self._stopped = True
        if self.closed is None:
            self.closed = Closed(code, reason, self._loop.time())
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._waiters:
            self._waiters.wake()

    def _hang_up(self, code: int, reason: str) -> None:
        self._end(code, reason)
        if self._gate is not None:
            self._gate.close()

    def _lost(self) -> None:
        if self._answer is not None and not self._answer.done():
            closed = "the server closed the connection before it answered the upgrade"
            self._answer.set_exception(ConnectFailed(self._target.url, closed))
        if self.connected_at is not None:
            self._end(_ABNORMAL, "")

    def _abort(self) -> None:
        if self._gate is not None and self._gate.transport is not None:
            self._gate.abort()
        elif self._socket is not None:
            self._socket.close()
