"""Clients whose connection comes about badly, or never."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from simulators.faults.fault import Bound, ClientFault, Count, Pause, Rate, Wires, wires

__all__ = [
    "BacklogFull",
    "BadUpgrade",
    "ConnectSilent",
    "Denied",
    "Handshake",
    "ResetBeforeAccept",
    "SlowAccept",
    "Slowloris",
]

_BELOW = "it happens before the server calls the application, which a fake client goes straight to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake(ClientFault):
    """A fault of the upgrade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSilent(Handshake):
    """Opens a TCP connection and says nothing.

    Attributes:
        hold: how long it stays; None: until it is stopped.
    """

    kind: ClassVar[str] = "connect_silent"
    wires: ClassVar[Wires] = wires(in_process=_BELOW)
    expected: ClassVar[str] = "never hears of it; the server should time it out (uvicorn does not)"
    hold: Pause | None = None

    @property
    def last_word(self) -> bool:
        """It never has a WebSocket connection."""
        return True

    def describe(self) -> str:
        """Say in one line what the client does."""
        how_long = "for ever" if self.hold is None else f"for {self.hold:g} s"
        return f"connects and says nothing {how_long}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowloris(Handshake):
    """Sends its upgrade request drop by drop. Once it is through, it behaves.

    Attributes:
        bytes_per_second: the rate of the request.
    """

    kind: ClassVar[str] = "slowloris"
    wires: ClassVar[Wires] = wires(in_process=_BELOW)
    expected: ClassVar[str] = "never hears of it; the server should time it out (uvicorn does not)"
    bytes_per_second: Rate = 10.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends its upgrade request at {self.bytes_per_second:g} bytes/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadUpgrade(Handshake):
    """Sends an upgrade request that is wrong.

    Attributes:
        wrong: ``missing_key``: no ``Sec-WebSocket-Key``. ``version``: 7 in place of 13.
            ``upgrade``: to something else than ``websocket``. ``huge_headers``: a megabyte of them.
            ``origin``: one that is not ours; only an application that checks it refuses it.
    """

    kind: ClassVar[str] = "bad_upgrade"
    wires: ClassVar[Wires] = wires(in_process=_BELOW)
    expected: ClassVar[str] = "never hears of it: the server answers 4xx; with origin, the app's"
    wrong: Literal["missing_key", "version", "upgrade", "huge_headers", "origin"]

    @property
    def last_word(self) -> bool:
        """Whether no server lets it in; a foreign origin most do."""
        return self.wrong != "origin"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"asks for the upgrade wrongly: {self.wrong.replace('_', ' ')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetBeforeAccept(Handshake):
    """Asks for the upgrade and resets before it is answered. The same as ``reset`` with that when.

    In process the application's ``accept`` fails.
    """

    kind: ClassVar[str] = "reset_before_accept"
    expected: ClassVar[str] = "never has it in the pool, or not for longer than one send"

    @property
    def last_word(self) -> bool:
        """It never has a connection."""
        return True

    def describe(self) -> str:
        """Say in one line what the client does."""
        return "resets before its upgrade is answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogFull(Handshake):
    """Finds the server's queue of unaccepted connections full.

    Attributes:
        connections: how many silent connections fill it.
    """

    kind: ClassVar[str] = "backlog_full"
    wires: ClassVar[Wires] = wires(
        in_process="the queue belongs to a kernel's listening socket, and there is none"
    )
    expected: ClassVar[str] = "never hears of it; serves those it has, and newcomers afterwards"
    connections: Count = 2_048

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"comes when {self.connections} silent connections fill the server's queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowAccept(Handshake):
    """The answer to its upgrade takes long.

    In process the application's ``accept`` takes this long; on real sockets a relay holds the
    server's answer, so that only the client waits.

    Attributes:
        delay: how long.
    """

    kind: ClassVar[str] = "slow_accept"
    expected: ClassVar[str] = "adds it when it is accepted, not before; delays nobody else"
    delay: Pause

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"waits {self.delay:g} s for the answer to its upgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied(Handshake):
    """A proxy on the way answers its upgrade with an HTTP error, and drops the server's side.

    In process the application's ``accept`` fails, as for `ResetBeforeAccept`; on real sockets a
    relay answers.

    Attributes:
        code: the HTTP status.
    """

    kind: ClassVar[str] = "denied"
    expected: ClassVar[str] = "never has it in the pool, or not for longer than one send"
    code: Annotated[int, Bound(400, maximum=599, whole=True)] = 403

    @property
    def last_word(self) -> bool:
        """It never has a connection."""
        return True

    def describe(self) -> str:
        """Say in one line what happens."""
        return f"is denied its upgrade with HTTP {self.code}"
