"""Clients that break RFC 6455."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from simulators.faults.fault import ClientFault, Seconds, Wires, wires

__all__ = ["VIOLATIONS", "ProtocolViolation", "Violation"]

Violation = Literal[
    "unmasked",
    "reserved_bits",
    "reserved_data_opcode",
    "reserved_control_opcode",
    "invalid_utf8",
    "split_utf8",
    "surrogate_utf8",
    "long_ping",
    "fragmented_control",
    "orphan_continuation",
    "interleaved_text",
    "close_body_of_one_byte",
    "forbidden_close_code",
    "bad_utf8_in_close_reason",
    "length_2_63",
    "declared_oversize",
    "non_minimal_length_16",
    "non_minimal_length_64",
    "http_after_upgrade",
    "data_after_close",
    "truncated_frame_then_fin",
]
"""The ways to break the protocol, in the order of the catalogue."""

VIOLATIONS: dict[Violation, str] = {
    "unmasked": "a frame without a mask",
    "reserved_bits": "a frame with reserved bits set",
    "reserved_data_opcode": "a frame with the reserved opcode 3",
    "reserved_control_opcode": "a frame with the reserved opcode 11",
    "invalid_utf8": "text that is not UTF-8",
    "split_utf8": "text that ends in the middle of a character",
    "surrogate_utf8": "text with an encoded surrogate",
    "long_ping": "a ping of 126 bytes",
    "fragmented_control": "a ping in two fragments",
    "orphan_continuation": "a continuation of nothing",
    "interleaved_text": "a text message in the middle of another",
    "close_body_of_one_byte": "a close frame with a body of one byte",
    "forbidden_close_code": "a close frame with code 1005",
    "bad_utf8_in_close_reason": "a close frame whose reason is not UTF-8",
    "length_2_63": "a frame that declares 2**63 bytes",
    "declared_oversize": "a frame that declares a gigabyte",
    "non_minimal_length_16": "a short frame with its length in 16 bits",
    "non_minimal_length_64": "a short frame with its length in 64 bits",
    "http_after_upgrade": "an HTTP request after the upgrade",
    "data_after_close": "a message after its own close frame",
    "truncated_frame_then_fin": "half a frame, then a FIN",
}
"""The same with what each of them sends, to walk through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolViolation(ClientFault):
    """Breaks the protocol once; a server fails the connection then.

    Attributes:
        violation: how. ``truncated_frame_then_fin`` ends the connection itself.
        after_seconds: how long after the connection.
    """

    kind: ClassVar[str] = "protocol_violation"
    wires: ClassVar[Wires] = wires(
        in_process="frames are the server's affair: an application sees none, and the modelled wire"
        " carries whole messages"
    )
    expected: ClassVar[str] = "loses this client only; the server closes with 1002, 1007 or 1009"
    violation: Violation
    after_seconds: Seconds = 0.0

    def describe(self) -> str:
        """Say in one line what the client does."""
        return f"sends {VIOLATIONS[self.violation]} after {self.after_seconds:g} s"
