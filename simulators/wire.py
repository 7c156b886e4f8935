"""What lies between a server and a client, as data. `simulators.link` brings it to life."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from simulators.errors import OptionError

__all__ = ["Order", "Wire", "close_travels", "frame_bytes", "require_wire"]

Order = Literal["wait_then_write", "write_then_wait"]

# As measured on uvicorn 0.54: its default and wsproto protocols, and its legacy one.
_LOST: dict[Order, int] = {"wait_then_write": 1005, "write_then_wait": 1006}

# RFC 6455, 7.4 and 5.5, and what was registered since.
_CLOSE_CODES = frozenset({*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006})
_MAX_REASON_BYTES = 123


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What lies between a server and a client. Data only: `simulators.link.Link` lives by it.

    Attributes:
        kernel_bytes: how much the kernels of both sides hold before the server's own buffer begins
            to fill.
        high_water_bytes: the server's sends wait once its own buffer holds more than this.
        low_water_bytes: they go on once it holds no more than this.
        bytes_per_second: the bandwidth; None for no limit.
        latency: seconds that everything takes, in each direction.
        jitter: up to this many seconds more, drawn for each message. Order is kept.
        order: ``wait_then_write``, as uvicorn's default and wsproto protocols do: a send cancelled
            while it waits was never sent. ``write_then_wait``, as its legacy protocol: it arrives
            all the same, and a second send that has to wait raises AssertionError.
        filled: whenever the peer stops reading or reads too slowly, the buffers are full at once,
            as after minutes of traffic. The next send then waits without megabytes of messages
            before it.
    """

    kernel_bytes: int = 0
    high_water_bytes: int = 65_536
    low_water_bytes: int = 16_384
    bytes_per_second: float | None = None
    latency: float = 0.0
    jitter: float = 0.0
    order: Order = "wait_then_write"
    filled: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        for name in ("kernel_bytes", "high_water_bytes", "low_water_bytes", "latency", "jitter"):
            _check(name, getattr(self, name))
        if self.bytes_per_second is not None:
            _check("bytes_per_second", self.bytes_per_second)
            if self.bytes_per_second == 0:
                raise OptionError(
                    "wire: bytes_per_second must be above 0; for none, stall the peer"
                )
        if self.low_water_bytes > self.high_water_bytes:
            raise OptionError(
                f"wire: low_water_bytes ({self.low_water_bytes}) must not be above "
                f"high_water_bytes ({self.high_water_bytes})"
            )
        if self.order not in {"wait_then_write", "write_then_wait"}:
            raise OptionError(
                f"wire: order must be 'wait_then_write' or 'write_then_wait', not {self.order!r}"
            )

    @classmethod
    def uvicorn(cls, *, filled: bool = False) -> Self:
        """The default protocol of uvicorn, without the kernel's buffers."""
        return cls(filled=filled)

    @classmethod
    def uvicorn_legacy(cls, *, filled: bool = False) -> Self:
        """The legacy protocol of uvicorn (``ws="websockets"``), without the kernel's buffers."""
        return cls(order="write_then_wait", filled=filled)

    @classmethod
    def small(cls, *, filled: bool = False) -> Self:
        """A connection with SO_SNDBUF and SO_RCVBUF of 4096.

        Measured: the kernels hold 10 to 12 kB, and with the server's own buffer 75 kB are gone
        before a send waits.
        """
        return cls(kernel_bytes=10_000, filled=filled)

    @classmethod
    def loopback(cls, *, filled: bool = False) -> Self:
        """A connection over Linux's loopback with its defaults: the kernels hold about 4 MB."""
        return cls(kernel_bytes=4_000_000, filled=filled)

    @property
    def lost_code(self) -> int:
        """The code with which an application hears of a connection that broke without a close."""
        return _LOST[self.order]

    def describe(self) -> str:
        """Say in one line what it is."""
        parts = [f"{self.kernel_bytes + self.high_water_bytes} bytes of buffer"]
        if self.bytes_per_second is not None:
            parts.append(f"{self.bytes_per_second:g} bytes/s")
        if self.latency or self.jitter:
            more = f" and up to {self.jitter:g} s more" if self.jitter else ""
            parts.append(f"{self.latency:g} s away{more}")
        parts.append(self.order.replace("_", " "))
        return ", ".join(parts) + (", full when the peer does not keep up" * self.filled)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a wire back from its JSON form.

        Raises:
            OptionError: a field is unknown, or a value impossible.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(form.keys() - known):
            raise OptionError(
                f"wire: unknown field {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
            )
        return cls(**form)


def require_wire(wire: object) -> None:
    """Refuse what is no wire.

    Raises:
        OptionError: it says what one looks like.
    """
    if not isinstance(wire, Wire):
        raise OptionError(f"a Wire is expected, such as Wire.uvicorn(), not {wire!r}")


def _check(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise OptionError(f"wire: {name} must be a number from 0, not {value!r}")


def frame_bytes(payload_bytes: int) -> int:
    """Return the size of a server's WebSocket frame: its header and its payload."""
    if payload_bytes < 126:  # noqa: PLR2004  # RFC 6455, 5.2: longer payloads have longer headers
        return payload_bytes + 2
    return payload_bytes + (4 if payload_bytes < 65_536 else 10)  # noqa: PLR2004  # the same


def close_travels(code: object, reason: str = "") -> str | None:
    """Return why a close frame with this code and reason may not travel; None when it may."""
    if isinstance(code, bool) or code not in _CLOSE_CODES:
        return (
            f"close code {code!r} may not travel on the wire: it takes 1000 to 1014 but for 1004 "
            "to 1006, or 3000 to 4999"
        )
    if (size := len(reason.encode())) > _MAX_REASON_BYTES:
        return (
            f"a close reason of {size} bytes is too long: a frame holds {_MAX_REASON_BYTES} bytes "
            f"of UTF-8; it began {reason[:40]!r}"
        )
    return None
