"""Opening handshakes that go wrong by the client's doing, and what the server answers.

`HandshakeClient` plays those faults of which no WebSocket connection comes. A client that has one
in spite of its fault, as after `slowloris`, is `simulators.sockets.SocketClient`.
"""

import asyncio
import errno
import os
import socket
import ssl as tls
from collections.abc import Mapping
from typing import Final, Self

from simulators.errors import OptionError, SimulatorError
from simulators.faults import (
    BacklogFull,
    BadUpgrade,
    ConnectSilent,
    Fault,
    Reset,
    ResetBeforeAccept,
    Slowloris,
)
from simulators.tcp.handshake import ConnectFailed, Target
from simulators.tcp.line import Answer, Line

__all__ = ["FOREIGN_ORIGIN", "HandshakeClient", "fill_backlog", "wrong_request"]

FOREIGN_ORIGIN: Final = "https://elsewhere.example"
"""The origin that a `bad_upgrade` of that kind claims."""

_HUGE_BYTES: Final = 1024 * 1024
_LINE_BYTES: Final = 4_000
_SMALLEST_PAUSE: Final = 0.001


def wrong_request(target: Target, fault: BadUpgrade, headers: Mapping[str, str] | None) -> bytes:
    """Encode a request for an upgrade with this one thing wrong."""
    fields = dict(headers or {})
    if fault.wrong == "version":
        fields["Sec-WebSocket-Version"] = "7"
    elif fault.wrong == "upgrade":
        fields["Upgrade"] = "h2c"
    elif fault.wrong == "origin":
        fields["Origin"] = FOREIGN_ORIGIN
    elif fault.wrong == "huge_headers":
        fields |= {f"X-{n}": "x" * _LINE_BYTES for n in range(_HUGE_BYTES // _LINE_BYTES)}
    request = target.request(os.urandom(16), headers=fields, subprotocol=None)
    if fault.wrong == "missing_key":
        lines = request.split(b"\r\n")
        request = b"\r\n".join(line for line in lines if not line.startswith(b"Sec-WebSocket-Key"))
    return request


def fill_backlog(target: Target, connections: int) -> list[socket.socket]:
    """Open so many TCP connections and say nothing on them; close them to make room again.

    Nothing is waited for: where the queue is full, the rest stays half-way. It takes an address,
    not a name.

    Raises:
        SimulatorError: this process has too few file descriptors left.
    """
    opened: list[socket.socket] = []
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    try:
        for _ in range(connections):
            sock = socket.socket(family, socket.SOCK_STREAM)
            opened.append(sock)
            sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
            sock.connect_ex((target.host, target.port))
    except OSError as error:
        for sock in opened:
            sock.close()
        if error.errno != errno.EMFILE:
            raise
        raise SimulatorError(
            f"no file descriptor left after {len(opened)} of {connections} connections: "
            "raise the limit (ulimit -n), or ask for fewer"
        ) from error
    return opened


class HandshakeClient:
    """A client with a fault of the handshake.

    Use it as ``async with HandshakeClient(url, fault) as client``, which begins the fault, and then
    ``await client.answer()``. An upgrade that succeeds in spite of all is answered with status 101;
    it is not used.

    Args:
        url: ``ws://`` or ``wss://``.
        fault: `ConnectSilent`, `Slowloris`, `BadUpgrade`, `ResetBeforeAccept`, `BacklogFull`, or
            `Reset` with ``when="before_accept"``.
        headers: further headers of the request.
        ssl: for ``wss://``; the system's default context when None.
        local_address: where to connect from.

    Raises:
        OptionError: another fault.
    """

    def __init__(
        self,
        url: str,
        fault: Fault,
        *,
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | None = None,
        local_address: str | None = None,
    ) -> None:
        known = ConnectSilent | Slowloris | BadUpgrade | ResetBeforeAccept | BacklogFull
        before_accept = isinstance(fault, Reset) and fault.when == "before_accept"
        if not (isinstance(fault, known) or before_accept):
            raise OptionError(f"{fault.kind} is no fault of the handshake that a client can have")
        self.url = url
        self.fault = fault
        self._headers = headers
        self._ssl = ssl
        self._local_address = local_address
        self._line: Line | None = None
        self._failure: ConnectFailed | None = None
        self._talk: asyncio.Task[None] | None = None
        self._crowd: list[socket.socket] = []

    async def open(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the answer
        """Connect, and begin to do wrong. That no connection comes about is an answer, no error."""
        target = Target.parse(self.url)
        if isinstance(self.fault, BacklogFull):
            self._crowd = fill_backlog(target, self.fault.connections)
        try:
            self._line = await Line.open(
                self.url, timeout=timeout, ssl=self._ssl, local_address=self._local_address
            )
        except ConnectFailed as failure:
            self._failure = failure
            return
        if isinstance(self.fault, ConnectSilent):
            return
        if isinstance(self.fault, BadUpgrade):
            request = wrong_request(target, self.fault, self._headers)
        else:
            request = target.request(os.urandom(16), headers=self._headers, subprotocol=None)
        if isinstance(self.fault, Slowloris):
            self._talk = asyncio.create_task(self._drip(request, self.fault.bytes_per_second))
            return
        self._line.write(request)
        if isinstance(self.fault, ResetBeforeAccept | Reset):
            self._line.reset()

    async def _drip(self, request: bytes, rate: float) -> None:
        line = self._line
        step = max(1, round(rate * _SMALLEST_PAUSE))
        for start in range(0, len(request), step):
            if line is not None:
                line.write(request[start : start + step])
            await asyncio.sleep(step / rate)

    async def answer(self, *, limit: float = 10.0) -> Answer:
        """Return what the server does within `limit` seconds; see `Answer`.

        `ConnectSilent` with a `hold` waits no longer than that, and is answered ``held`` when the
        server let it. A reset is answered ``reset``, by this client.
        """
        if self._failure is not None:
            return Answer("unreachable", reason=self._failure.reason)
        if self._line is None:
            raise SimulatorError("open() comes first")
        if isinstance(self.fault, ResetBeforeAccept | Reset):
            return Answer("reset", reason="by this client")
        if isinstance(self.fault, ConnectSilent) and (self.fault.hold or limit) < limit:
            limit = self.fault.hold or limit
            answer = await self._line.status(limit=limit)
            return answer._replace(outcome="held") if answer.outcome == "silent" else answer
        return await self._line.status(limit=limit)

    async def free(self) -> None:
        """Close all that it opened."""
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.wait([self._talk])
        if self._line is not None:
            await self._line.free()
        for sock in self._crowd:
            sock.close()
        self._crowd.clear()

    async def __aenter__(self) -> Self:
        """Begin."""
        try:
            await self.open()
        except BaseException:
            await self.free()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Free everything."""
        await self.free()
