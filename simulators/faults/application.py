"""Faults of the socket object that an application holds: only fake clients have them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulators.faults.fault import ClientFault, Count, Pause, Seconds, Wires, wires

__all__ = [
    "ApplicationFault",
    "Raised",
    "SendCancelled",
    "SendDelay",
    "SendFault",
    "SendHangs",
    "SendRaises",
    "SendSwallowsCancel",
]

Raised = Literal[
    "WebSocketDisconnect",
    "RuntimeError",
    "ConnectionResetError",
    "BrokenPipeError",
    "OSError",
    "TimeoutError",
    "AssertionError",
    "ValueError",
]
"""What servers and libraries were seen to raise from a send, and some more."""

_BUILT_IN: dict[str, type[Exception]] = {
    "RuntimeError": RuntimeError,
    "ConnectionResetError": ConnectionResetError,
    "BrokenPipeError": BrokenPipeError,
    "OSError": OSError,
    "TimeoutError": TimeoutError,
    "AssertionError": AssertionError,
    "ValueError": ValueError,
}

_OWN_OBJECT = (
    "it is a fault of the application's own socket object: on a socket a send takes as long as the"
    " buffers make it, and fails as the server says"
)
_FAKES_ONLY = wires(tcp=_OWN_OBJECT, load_test=_OWN_OBJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationFault(ClientFault):
    """A fault of the application's own socket object."""

    wires: ClassVar[Wires] = _FAKES_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDelay(ApplicationFault):
    """Each send to it takes a while before anything is written.

    Attributes:
        seconds: how long each send takes at least.
        jitter: up to this many seconds more, drawn for each send.
    """

    kind: ClassVar[str] = "send_delay"
    expected: ClassVar[str] = "evicts it if the delay exceeds the send timeout; delays nobody else"
    seconds: Seconds
    jitter: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        more = f" and up to {self.jitter:g} s more" if self.jitter else ""
        return f"takes {self.seconds:g} s{more} for each send"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFault(ApplicationFault):
    """A fault of some sends: of data, not of a close.

    Attributes:
        at: the first send that it hits; 1 is the first of all.
        times: how many in a row; None: each from then on.
    """

    at: Count = 1
    times: Count | None = None

    def hits(self, send: int) -> bool:
        """Tell whether it hits the send of this number, from 1."""
        return send >= self.at and (self.times is None or send < self.at + self.times)

    def which(self) -> str:
        """Say which sends."""
        if self.times is None:
            return "each send" if self.at == 1 else f"each send from number {self.at} on"
        last = self.at + self.times - 1
        return f"send {self.at}" if self.times == 1 else f"sends {self.at} to {last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRaises(SendFault):
    """A send raises, as it is: Starlette does not see it, and the connection stays as it was.

    Attributes:
        exception: what it raises, by name.
        message: its text. Empty by default, as several of the real ones are.
    """

    kind: ClassVar[str] = "send_raises"
    expected: ClassVar[str] = "evicts it whatever it raises; raises nothing, loses nobody else"
    exception: Raised = "RuntimeError"
    message: str = ""

    def error(self) -> Exception:
        """Return what it raises."""
        if self.exception == "WebSocketDisconnect":
            # Starlette is not needed for the catalogue as such.
            from starlette.websockets import WebSocketDisconnect  # noqa: PLC0415  # the same

            return WebSocketDisconnect(1006, self.message)
        kind = _BUILT_IN[self.exception]
        return kind(self.message) if self.message else kind()

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"{self.which()} to it raises {self.exception}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHangs(SendFault):
    """A send never returns, unless it is cancelled. Nothing is written."""

    kind: ClassVar[str] = "send_hangs"
    expected: ClassVar[str] = "evicts it after its send timeout; delays nobody else"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"{self.which()} to it never returns"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSwallowsCancel(SendFault):
    """A send goes on in spite of being cancelled, and then succeeds.

    Attributes:
        seconds: how long it takes in all, cancelled or not.
    """

    kind: ClassVar[str] = "send_swallows_cancel"
    expected: ClassVar[str] = "evicts it after its send timeout, and waits for it no longer"
    seconds: Pause = 60.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"{self.which()} to it takes {self.seconds:g} s and cannot be cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCancelled(SendFault):
    """A send raises CancelledError, though nobody cancelled it."""

    kind: ClassVar[str] = "send_cancelled"
    expected: ClassVar[str] = "counts it as a failed send: evicts it, and is not cancelled itself"

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"{self.which()} to it is cancelled by nobody"
