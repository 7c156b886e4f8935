"""The behaviours of `simulators.behaviours` over real TCP, on asyncio or uvloop.

A `SocketClient` reads exactly: while it is stalled, nothing takes a byte from its socket, and a
slow one takes its chunk and no more. So the peer meets the pressure that a real client of that
kind makes, once the kernel's buffers are full. For ``wss://`` this holds with the grain of the
TLS layer below, which takes up to 256 KiB at a time.

Compression is offered only by a behaviour that wants to abuse it. Proxies and redirects are not
followed.
"""

import asyncio
import contextlib
import os
import socket
import ssl as tls
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from simulators import faults
from simulators.acts import behave
from simulators.behaviours import Behaviour, require
from simulators.errors import NotSeen, OptionError, SimulatorError
from simulators.records import Closed
from simulators.tcp.actor import Actor
from simulators.tcp.connection import Gate, SocketFactory, deafen, open_socket, peer_gone
from simulators.tcp.handshake import ConnectFailed, Target
from simulators.tcp.knocks import FOREIGN_ORIGIN, HandshakeClient, fill_backlog
from simulators.tcp.line import Answer
from simulators.tcp.relay import PATH_FAULTS, Relay

__all__ = ["ConnectFailed", "NotSeen", "SocketClient"]

_SMALL_RECEIVE_BUFFER: Final = 4_096
_TLS_FAREWELL: Final = 1.0
# What makes pressure only if it cannot hide behind megabytes of kernel buffer.
_READS_BADLY: Final = (
    faults.SlowReader
    | faults.StalledReader
    | faults.PulsingReader
    | faults.HalfOpen
    | faults.CloseWithUnread
    | faults.ClosesWhileBlocked
)


def _reads_badly(fault: faults.Fault) -> bool:
    during_send = isinstance(fault, faults.Reset) and fault.when == "during_send"
    return during_send or isinstance(fault, _READS_BADLY)


def _never_connects(fault: faults.Fault) -> bool:
    if isinstance(fault, faults.Reset):
        return fault.when == "before_accept"
    if isinstance(fault, faults.BadUpgrade):
        return fault.last_word
    return isinstance(fault, faults.ConnectSilent | faults.ResetBeforeAccept)


class SocketClient(Actor):
    """One WebSocket client with a behaviour, on a real socket.

    It answers protocol pings, and an application ping ``{"type": "ping", …}`` with
    ``{"type": "pong", "timestamp": <the loop's time in ms>}``, but only while it reads: what it has
    not taken, it does not answer. What it says is buffered without a bound; its floods are not.

    Use it as ``async with SocketClient(url) as client``, which connects, leaves politely and
    frees the socket in any case. It connects once.

    Faults of the path are done by a relay of its own. With a fault of the handshake of which no
    connection comes, `connect` raises, and `answer` tells what the server did. What else it shows
    is told at `Actor`; the methods that are not told here are for those who write faults.

    Args:
        url: ``ws://`` or ``wss://``.
        behaviour: what it does; healthy by default.
        name: for messages; the behaviour's name by default.
        receive_buffer_bytes: ``SO_RCVBUF``, set before the connection; the kernel doubles it. By
            default 4096 for a behaviour that reads badly, so that it cannot hide behind megabytes,
            what `TinyWindow` says, and the system's own for any other; 0 is the system's own for
            all.
        headers: further headers of the request.
        subprotocol: offered to the server; several as ``"chat.v2, chat.v1"``.
        ssl: for ``wss://``; the system's default context when None.
        local_address: where to connect from, say ``127.0.0.7``; see `loopback_addresses`.
        on_message: called with the client and the payload of each text or binary message, before
            anything else is done with it. It must be quick and must not raise. Text comes as
            undecoded bytes.
        keep: whether `received` keeps the messages; without, text is not checked to be UTF-8.
        socket_factory: makes the socket from family, type and protocol, for processes in which
            `socket.socket` is patched.

    Attributes:
        answer: what the server answered to a faulty handshake.
        relay: what does the faults of its path, if it has some.

    Raises:
        BehaviourError: a fault that does not exist on TCP.
        SimulatorError: `PausedProcess`, which takes a `simulators.child.ChildClient`.
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
        local_address: str | None = None,
        on_message: Callable[["SocketClient", bytes], None] | None = None,
        keep: bool = True,
        socket_factory: SocketFactory | None = None,
    ) -> None:
        behaviour = Behaviour.healthy() if behaviour is None else behaviour
        require(behaviour, wire="tcp")
        super().__init__(behaviour, name=name, on_message=on_message, keep=keep)
        if behaviour.fault(faults.PausedProcess) is not None:
            raise SimulatorError(
                f"{self.name}: paused_process stops a whole process: give the client one of its "
                "own with simulators.child.ChildClient"
            )
        self.answer: Answer | None = None
        self.relay: Relay | None = None
        self._target = Target.parse(url)
        if ssl is not None and not self._target.secure:
            raise ConnectFailed(url, "ssl= is given, but the URL is ws://: use wss://")
        self._ssl = ssl
        self._headers = dict(headers or {})
        self._subprotocol = subprotocol
        self._local_address = local_address
        self._socket_factory = socket_factory or socket.socket
        if receive_buffer_bytes is None:
            badly = any(map(_reads_badly, behaviour.faults))
            receive_buffer_bytes = _SMALL_RECEIVE_BUFFER if badly else 0
            if (tiny := behaviour.fault(faults.TinyWindow)) is not None:
                receive_buffer_bytes = tiny.receive_buffer_bytes
        self._receive_buffer_bytes = receive_buffer_bytes
        self._compression = behaviour.fault(faults.DeflateBomb) is not None
        self._path = tuple(x for x in behaviour.faults if isinstance(x, PATH_FAULTS))
        self._hopeless = next(filter(_never_connects, behaviour.faults), None)
        if isinstance(behaviour.fault(faults.BadUpgrade), faults.BadUpgrade):
            self._headers.setdefault("Origin", FOREIGN_ORIGIN)
        self._crowd: list[socket.socket] = []
        self._key = os.urandom(16)
        self._head: asyncio.Future[None] | None = None
        self._step = "TCP connection"

    def __repr__(self) -> str:
        """Show the client's name, what it took and how it ended."""
        end = "connected" if self.connected else f"closed={self.closed}"
        taken = f"{self.received_messages} messages"
        return f"<SocketClient {self.name} {self._target.url} {taken}, {end}>"

    @property
    def hung_up(self) -> bool | None:
        """Whether the peer has ended the connection, seen without reading a byte of it.

        A stalled client sees a reset so, and a FIN once nothing unsent is before it. None where the
        system cannot tell (it takes Linux), or there was no connection.
        """
        if self.socket is None:
            return None
        return self.gate is None or self.gate.gone.is_set() or peer_gone(self.socket)

    def vanish(self) -> None:
        """Stop reading and sending, and let the kernel not even acknowledge what comes.

        To the server the machine is gone. It lasts until the socket is freed.

        Raises:
            OSError: this is not Linux, or the kernel does not allow it; the client then only
                neither reads nor sends.
        """
        self.hush()
        self.stall()
        if self.socket is not None:
            deafen(self.socket)

    async def connect(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Connect, and begin to behave.

        Raises:
            ConnectFailed: refused, not answered within `timeout` seconds, not a WebSocket, ….
        """
        if self.gate is not None or self.answer is not None:
            raise SimulatorError(f"{self.name}: a SocketClient connects once; make another one")
        self.loop = asyncio.get_running_loop()
        if self._hopeless is not None:
            await self._knock(self._hopeless, timeout)
        try:
            async with asyncio.timeout(timeout) as limit:
                await self._open()
        except BaseException as error:
            self.free()
            await self._clear()
            if isinstance(error, TimeoutError) and limit.expired():
                reason = f"no {self._step} within {timeout:g} s"
            elif isinstance(error, OSError):
                reason = self._target.why_not(error, step=self._step)
            else:
                raise
            raise ConnectFailed(self._target.url, reason) from error

    async def _knock(self, fault: faults.Fault, timeout: float) -> None:  # noqa: ASYNC109 - as in connect
        """Do what no connection comes of, and raise what came of it."""
        async with HandshakeClient(
            self._target.url,
            fault,
            headers=self._headers,
            ssl=self._ssl,
            local_address=self._local_address,
        ) as client:
            self.answer = answer = await client.answer(limit=timeout)
        if answer.outcome == "reset":
            self.died_at = self.loop.time()
        status = answer.code if answer.outcome == "status" else None
        reason = f"it {fault.describe()}; the server's part: {answer}"
        raise ConnectFailed(self._target.url, reason, status=status)

    async def _open(self) -> None:
        target = self._target
        host, port = target.host, target.port
        if (backlog := self.behaviour.fault(faults.BacklogFull)) is not None:
            self._crowd = fill_backlog(target, backlog.connections)
        if self._path:
            self.relay = Relay(target.url, faults=self._path)
            host, port = await self.relay.start()
        self.socket = await open_socket(
            host,
            port,
            receive_buffer_bytes=self._receive_buffer_bytes,
            local_address=self._local_address,
            factory=self._socket_factory,
        )
        self._head = self.loop.create_future()
        gate = self.gate = Gate(self._take_answer, self.lost, exact=bool(self.behaviour.faults))
        secure: dict[str, Any] = {}
        if target.secure:
            self._step = "TLS handshake"
            context = self._ssl or tls.create_default_context()
            secure = {
                "ssl": context,
                "server_hostname": target.host,
                "ssl_shutdown_timeout": _TLS_FAREWELL,
            }
        await self.loop.create_connection(lambda: gate, sock=self.socket, **secure)
        self._step = "answer to the upgrade"
        request = target.request(
            self._key,
            headers=self._headers,
            subprotocol=self._subprotocol,
            compression=self._compression,
        )
        if (slowloris := self.behaviour.fault(faults.Slowloris)) is not None:
            self.dribble(request, 1 / slowloris.bytes_per_second)
        else:
            self.write(request)
        await self._head

    def _take_answer(self) -> None:
        if self.gate is None or self._head is None or self._head.done():
            return
        try:
            head = self.gate.take_head()
            if head is None:
                self._target.check_size(self.gate.reader.buffered_bytes)
                return
            self.compresses = self._target.check(
                head, self._key, subprotocol=self._subprotocol, compression=self._compression
            )
        except ConnectFailed as error:
            self._head.set_exception(error)
            return
        self._head.set_result(None)
        self.gate.reader.inflates = self.compresses
        self.gate.take = self.take
        self.connected_at = self.loop.time()
        behave(self)
        self.take()

    def lost(self, error: Exception | None = None) -> None:
        """Note that the socket is gone, by an error that is no system's if it is given."""
        if self._head is not None and not self._head.done():
            closed = "the server closed the connection before it answered the upgrade"
            self._head.set_exception(ConnectFailed(self._target.url, closed))
        super().lost(error)

    async def leave(self, *, timeout: float = 1.0) -> None:  # noqa: ASYNC109 - bounds the politeness, raises nothing
        """Close politely if that is still possible, and free the socket in any case.

        It waits at most `timeout` seconds for the server; a client that does not read, or that no
        longer sends, does not wait for what it could not see.
        """
        gate = self.gate
        if gate is None:
            return
        self.close()
        if not self._stopped and not self._mute:
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

    async def _clear(self) -> None:
        """Free what it opened beside its socket."""
        for sock in self._crowd:
            sock.close()
        self._crowd.clear()
        if self.relay is not None:
            await self.relay.stop()

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        try:
            await self.leave()
        finally:
            self.free()
            await self._clear()

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Wait until it has taken at least `count` messages in all.

        Raises:
            NotSeen: it has not within `timeout` seconds, or its connection ended before.
            OptionError: `count` is no whole number.
        """
        if not isinstance(count, int):
            raise OptionError(f"wait_received takes a number of messages, not {count!r}")
        await self._waiters.until(
            lambda: self.received_messages >= count or self.closed is not None, limit=timeout
        )
        if self.received_messages < count:
            end = (
                f"before the connection ended: {self.closed}"
                if self.closed
                else f"within {timeout:g} s{self._doing()}"
            )
            raise NotSeen(
                f"{self.name} took {self.received_messages} messages, expected {count}, {end}"
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
        if self.connected_at is None:
            return "; it has not connected: use it as 'async with', or await connect() first"
        if self.stalled:
            return "; it is stalled: what it has not read it cannot see"
        return f"; it {self.behaviour.describe()}"
