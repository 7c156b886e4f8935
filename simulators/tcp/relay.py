"""A TCP relay between clients and a server, for what goes wrong on the way.

    async with Relay(url, faults=[Latency(seconds=0.1)]) as relay, SocketClient(relay.url):
        ...
        relay.heal()

It passes on what it reads and holds little itself, so that a side that stops reading is felt by
the other one. Frame-aware faults and those of the upgrade need an open ``ws://``; messages that
are compressed across one another do not survive `DropFrame` and `DuplicateFrame`.
"""

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import Iterable
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from simulators.errors import OptionError, SimulatorError
from simulators.faults import (
    BlackHole,
    Denied,
    DropFrame,
    DuplicateFrame,
    Fault,
    HoldFrame,
    PathFault,
    SlowAccept,
)
from simulators.tcp.connection import open_socket
from simulators.tcp.handshake import Target
from simulators.tcp.path import Path

__all__ = ["PATH_FAULTS", "Relay"]

PATH_FAULTS: Final = PathFault | BlackHole | SlowAccept | Denied
"""The faults that a relay does."""

_NEED_SIGHT: Final = DropFrame | DuplicateFrame | HoldFrame | SlowAccept | Denied
_BACKLOG: Final = 4_096
_BUFFER_BYTES: Final = 16_384
# A segment of loopback's size never fits so small a buffer, and each would wait for a delayed
# acknowledgement.
_SEGMENT_BYTES: Final = 4_096


class Relay:
    """A relay to one server. Use it as ``async with``, or call `start` and `stop`.

    Args:
        url: of the server.
        faults: those of the path, and `BlackHole`, `SlowAccept`, `Denied`; each hits the fraction
            of the connections that its toxicity says.
        seed: of that draw and of the jitter.

    Attributes:
        faults: those that hold now, in their order.

    Raises:
        OptionError: a fault that no relay can do.
    """

    def __init__(self, url: str, *, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self.target = Target.parse(url)
        self.faults: list[Fault] = []
        self._random = random.Random(seed)
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._paths: dict[Path, asyncio.Task[None]] = {}
        for fault in faults:
            self.add(fault)

    @property
    def url(self) -> str:
        """Where clients connect to.

        Raises:
            SimulatorError: it has not started.
        """
        if self._listener is None:
            raise SimulatorError("the relay has not started: use it as `async with`, or start()")
        host = self.target.host if self.target.host == "localhost" else "127.0.0.1"
        port = self._listener.getsockname()[1]
        return urlunsplit(urlsplit(self.target.url)._replace(netloc=f"{host}:{port}"))

    @property
    def connections(self) -> int:
        """How many connections go through it now."""
        return len(self._paths)

    def add(self, fault: Fault) -> None:
        """Add a fault, for the connections that stand, from now on, and for those to come.

        Raises:
            OptionError: no relay can do it, or it is there already.
        """
        if not isinstance(fault, PATH_FAULTS):
            raise OptionError(f"{fault.kind} is no fault of a path: give it to a client")
        if self.target.secure and isinstance(fault, _NEED_SIGHT):
            raise OptionError(f"{fault.kind} must see the messages, which wss:// does not show")
        if any(fault.kind == other.kind for other in self.faults):
            raise OptionError(f"the relay does {fault.kind} already: remove that one first")
        self.faults.append(fault)
        for path in self._paths:
            self._infect(path, fault)

    def remove(self, kind: type[Fault]) -> None:
        """Take a fault away. Without effect if it is not there."""
        self.faults = [fault for fault in self.faults if not isinstance(fault, kind)]
        for path in self._paths:
            path.heal(kind)

    def heal(self) -> None:
        """Take all faults away: what was held flows on at once.

        A connection that lost bytes in a `BlackHole` cannot go on and is reset.
        """
        self.remove(Fault)

    def _infect(self, path: Path, fault: Fault) -> None:
        toxicity = getattr(fault, "toxicity", 1.0)
        if toxicity == 1 or self._random.random() < toxicity:
            path.infect(fault)

    async def start(self) -> tuple[str, int]:
        """Listen, and return the address."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener), name="relay accepts")
        return "127.0.0.1", listener.getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and reset all connections."""
        tasks = list(self._paths.values())
        if self._accepting is not None:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            path = Path(client, sees=not self.target.secure, jitter=self._random.random)
            for fault in self.faults:
                self._infect(path, fault)
            task = loop.create_task(self._carry(path), name="relay carries")
            self._paths[path] = task

    async def _carry(self, path: Path) -> None:
        try:
            with contextlib.suppress(OSError):
                server = await open_socket(
                    self.target.host, self.target.port, receive_buffer_bytes=_BUFFER_BYTES
                )
                server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
                await path.carry(server)
        finally:
            path.close()
            self._paths.pop(path, None)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()
