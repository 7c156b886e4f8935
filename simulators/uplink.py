"""The path between a client and its server, in process, as the faults of a behaviour make it."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from simulators.faults import (
    Bandwidth,
    DropFrame,
    DuplicateFrame,
    Fault,
    HoldFrame,
    Latency,
    Slicer,
    SlowClose,
    TinyWindow,
)
from simulators.link import Link
from simulators.wire import Wire

__all__ = ["Uplink", "wire_with"]

T = TypeVar("T")


def wire_with(wire: Wire, faults: Iterable[Fault]) -> Wire:
    """Return the wire to a client, with the faults of the path to it and of its window."""
    latency, jitter, rate, kernel = (
        wire.latency,
        wire.jitter,
        wire.bytes_per_second,
        wire.kernel_bytes,
    )
    for fault in faults:
        match fault:
            case Latency(direction="both" | "to_client"):
                latency += fault.seconds
                jitter += fault.jitter
            case Bandwidth(direction="to_client"):
                rate = min(rate or fault.bytes_per_second, fault.bytes_per_second)
            case Slicer(direction="to_client") if fault.pause:
                pieces = fault.piece_bytes / fault.pause
                rate = min(rate or pieces, pieces)
            case TinyWindow():
                kernel = min(kernel, fault.kernel_bytes)
            case _:
                pass
    if (latency, jitter, rate, kernel) == (
        wire.latency,
        wire.jitter,
        wire.bytes_per_second,
        wire.kernel_bytes,
    ):
        return wire
    return dataclasses.replace(
        wire, latency=latency, jitter=jitter, bytes_per_second=rate, kernel_bytes=kernel
    )


class Uplink:
    """The way from a client to its server. It has the latency of the wire, and faults of its own.

    Nothing waits here for the server: what a client sends piles up at its application.

    Args:
        link: the way from the server to the client: its loop and its seed count.
        wire: what it is like without the faults.
        faults: those of the behaviour; the ones of the path to the server are taken from them.

    Attributes:
        muted: whether nothing arrives any more.
    """

    __slots__ = (
        "_busy_until",
        "_close",
        "_frames",
        "_latency",
        "_latest",
        "_link",
        "_rate",
        "_sent",
        "muted",
    )

    def __init__(self, link: Link[Any], wire: Wire, faults: Iterable[Fault] = ()) -> None:
        self._link = link
        self.muted = False
        self._latest = 0.0
        self._busy_until = 0.0
        self._sent = 0
        self._latency = [(wire.latency, wire.jitter)]
        self._rate: float | None = None
        self._close = 0.0
        self._frames: list[DropFrame | DuplicateFrame | HoldFrame] = []
        for fault in faults:
            self._add(fault)

    def _add(self, fault: Fault) -> None:
        match fault:
            case Latency(direction="both" | "to_server"):
                self._latency.append((fault.seconds, fault.jitter))
            case Bandwidth(direction="to_server"):
                self._rate = min(self._rate or fault.bytes_per_second, fault.bytes_per_second)
            case Slicer(direction="to_server") if fault.pause:
                rate = fault.piece_bytes / fault.pause
                self._rate = min(self._rate or rate, rate)
            case SlowClose():
                self._close = fault.seconds
            case DropFrame() | DuplicateFrame() | HoldFrame() if fault.direction == "to_server":
                self._frames.append(fault)
            case _:
                pass

    def bind(self) -> None:
        """Live on the link's loop from now on: times of another one mean nothing."""
        self._latest = self._busy_until = 0.0

    def heal(self) -> None:
        """Have no faults from now on. What is under way stays so."""
        self.muted = False
        del self._latency[1:]
        self._frames.clear()
        self._rate = None
        self._close = 0.0

    def carry_message(self, act: Callable[[T], object], message: T, *, size: int) -> None:
        """Let a message of this many bytes arrive: then `act` is called with it."""
        self._sent += 1
        copies = 1
        for fault in self._frames:
            if fault.nth == self._sent:
                match fault:
                    case DropFrame():
                        copies = 0
                    case DuplicateFrame():
                        copies = 2
                    case HoldFrame():
                        self._latest = max(self._latest, self._link.now + fault.seconds)
        for _ in range(copies):
            self._carry(act, message, size)

    def carry_end(self, act: Callable[[T], object], how: T) -> None:
        """Let the end of the connection arrive."""
        self._carry(act, how, 0, ends=True)

    def _carry(self, act: Callable[[T], object], what: T, size: int, *, ends: bool = False) -> None:
        if self.muted:
            return
        loop = self._link.loop
        if loop is None:
            act(what)
            return
        now = sent = loop.time()
        if self._rate is not None:
            sent = self._busy_until = max(self._busy_until, now) + size / self._rate
        delay = self._close if ends else 0.0
        for seconds, jitter in self._latency:
            delay += seconds + (jitter and jitter * self._link.draw())
        self._latest = max(self._latest, sent + delay)
        if self._latest <= now:
            act(what)
        else:
            loop.call_at(self._latest, act, what)
