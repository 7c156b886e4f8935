"""Clients that read too slowly, now and then, or not at all."""

import math
from dataclasses import dataclass
from typing import ClassVar

from simulators.faults.fault import ClientFault, Count, Limit, Pause, Rate, Seconds, Wires, wires

__all__ = [
    "PausedProcess",
    "PulsingReader",
    "SlowReader",
    "StalledReader",
    "TinyWindow",
]

# Measured: with 4096 bytes asked for at both ends the kernels of both hold 10 to 12 kB.
_HELD_FOR_EACH_BYTE_ASKED = 10_000 / 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowReader(ClientFault):
    """Takes what it is sent at a steady, low rate.

    Attributes:
        bytes_per_second: the rate at which it reads.
        chunk_bytes: how much it takes at a time; the pause between two chunks follows from the
            rate.
        after_seconds: how long after the connection it becomes slow.
    """

    kind: ClassVar[str] = "slow_reader"
    expected: ClassVar[str] = (
        "evicts it once it lags more than the limits allow; delays nobody else"
    )
    bytes_per_second: Rate
    chunk_bytes: Count = 512
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        later = f" from {self.after_seconds:g} s on" if self.after_seconds else ""
        return f"reads {self.bytes_per_second:g} bytes/s{later}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledReader(ClientFault):
    """Stops reading and keeps its connection open. The first limit that is reached counts.

    Attributes:
        after_messages: stalls when it has taken this many messages.
        after_bytes: stalls when it has taken this many bytes of messages.
        after_seconds: stalls this long after the connection.
        resume_after: reads again this long after it stalled; never when None.

    With no limit given it stalls at once.
    """

    kind: ClassVar[str] = "stalled_reader"
    expected: ClassVar[str] = "evicts it within its send timeout; delays nobody else"
    after_messages: Limit | None = None
    after_bytes: Limit | None = None
    after_seconds: Seconds | None = None
    resume_after: Pause | None = None

    @property
    def at_once(self) -> bool:
        """Whether it never reads anything before it stalls."""
        limits = (self.after_messages, self.after_bytes, self.after_seconds)
        return 0 in limits or limits == (None, None, None)

    def describe(self) -> str:
        """Say in one line what the client does."""
        limits = [
            f"{value:g} {unit}"
            for value, unit in (
                (self.after_messages, "messages"),
                (self.after_bytes, "bytes"),
                (self.after_seconds, "s"),
            )
            if value is not None
        ]
        when = "at once" if self.at_once else f"after {' or '.join(limits)}"
        again = f", for {self.resume_after:g} s" if self.resume_after is not None else ""
        return f"stops reading {when}{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulsingReader(ClientFault):
    """Reads for a while, does not for a while, and so on. It begins by reading.

    Attributes:
        on: how long it reads.
        off: how long it does not.
        after_seconds: how long after the connection the first `on` begins; it reads until then.
    """

    kind: ClassVar[str] = "pulsing_reader"
    expected: ClassVar[str] = (
        "keeps it while its lag stays within the limits, and loses none of its messages"
    )
    on: Pause
    off: Pause
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        later = f", from {self.after_seconds:g} s on" if self.after_seconds else ""
        return f"reads for {self.on:g} s, then not for {self.off:g} s, and so on{later}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyWindow(ClientFault):
    """Asks the kernel for a small receive buffer, so that little hides a slow reader.

    Alone it reads everything as it comes. In process it bounds what the kernels' part of the wire
    holds, by the ratio that was measured; the server's own buffer stays.

    Attributes:
        receive_buffer_bytes: ``SO_RCVBUF``, set before the connection; Linux doubles it.
    """

    kind: ClassVar[str] = "tiny_window"
    expected: ClassVar[str] = "serves it like any other"
    receive_buffer_bytes: Count = 4_096

    @property
    def kernel_bytes(self) -> int:
        """What the kernels of both sides hold in all."""
        return math.ceil(self.receive_buffer_bytes * _HELD_FOR_EACH_BYTE_ASKED)

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"asks for a receive buffer of {self.receive_buffer_bytes} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedProcess(ClientFault):
    """Its whole process stands still for a while, as in a debugger or a swapped-out container.

    Attributes:
        seconds: how long.
        after_seconds: how long after the connection it begins.
    """

    kind: ClassVar[str] = "paused_process"
    wires: ClassVar[Wires] = wires(
        in_process="a fake client has no process of its own; stalled_reader(resume_after=…) is what"
        " the server sees of it",
        load_test="the load generator's clients share one process, which would stop as a whole",
    )
    expected: ClassVar[str] = "evicts it if the pause exceeds the limits, like a stalled reader"
    seconds: Pause
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"its process is stopped for {self.seconds:g} s after {self.after_seconds:g} s"
