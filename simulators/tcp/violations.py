"""What breaks RFC 6455, as bytes, and what a server answers to it.

    python -m simulators.tcp.violations ws://127.0.0.1:8000/ws

prints a Markdown table. Each violation has a connection of its own, opened properly before.
"""

import argparse
import asyncio
import ssl as tls
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from simulators.faults import VIOLATIONS, Violation
from simulators.tcp.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    close_payload,
    encode_frame,
)
from simulators.tcp.handshake import ConnectFailed
from simulators.tcp.line import Answer, Line

__all__ = ["RULES", "BrokenRule", "main", "markdown", "violate", "violate_all"]

_FIN: Final = 0x80
_RSV2: Final = 0x20
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_RESERVED_DATA_OPCODE: Final = 0x3
_RESERVED_CONTROL_OPCODE: Final = 0xB
_MASK: Final = b"mask"


def _frame(first: int, payload: bytes) -> bytes:
    """Encode a masked frame whose first byte is as given."""
    return bytes((first,)) + encode_frame(TEXT, payload, mask=_MASK)[1:]


def _announced(size_bytes: int) -> bytes:
    """Encode the head of a binary frame with a length of 64 bits, and no payload."""
    return bytes((_FIN | BINARY, _MASKED | _LENGTH_64)) + size_bytes.to_bytes(8, "big") + _MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """One rule of RFC 6455, and how it is broken after a good handshake.

    Attributes:
        name: of the violation, as in the catalogue.
        section: of RFC 6455.
        asks: what a server must do there, in words.
        codes: the close codes that answer it properly; empty when no close frame is owed.
        data: the bytes that are sent.
        finishes: whether a FIN follows the bytes.
    """

    name: Violation
    section: str
    asks: str
    codes: tuple[int, ...]
    data: bytes = field(repr=False)
    finishes: bool = False

    def kept(self, answer: Answer) -> bool:
        """Say whether this answer is what the RFC asks.

        To drop the connection without a close frame is allowed (7.1.7), to go on is not.
        """
        if answer.outcome == "closed":
            return answer.code in self.codes
        return answer.outcome in ("ended", "reset")


_RULES: Final = (
    BrokenRule(
        name="unmasked",
        section="5.1",
        asks="close, 1002",
        codes=(1002,),
        data=b"\x81\x05hello",
    ),
    BrokenRule(
        name="reserved_bits",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | _RSV2 | TEXT, b"hello"),
    ),
    BrokenRule(
        name="reserved_data_opcode",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | _RESERVED_DATA_OPCODE, b"hello"),
    ),
    BrokenRule(
        name="reserved_control_opcode",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | _RESERVED_CONTROL_OPCODE, b""),
    ),
    BrokenRule(
        name="invalid_utf8",
        section="8.1",
        asks="fail, 1007",
        codes=(1007,),
        data=_frame(_FIN | TEXT, b"hello \xff\xfe"),
    ),
    BrokenRule(
        name="split_utf8",
        section="8.1",
        asks="fail, 1007",
        codes=(1007,),
        data=_frame(TEXT, b"\xe2") + _frame(_FIN | CONTINUATION, b"\x82"),
    ),
    BrokenRule(
        name="surrogate_utf8",
        section="8.1",
        asks="fail, 1007",
        codes=(1007,),
        data=_frame(_FIN | TEXT, b"\xed\xa0\x80"),
    ),
    BrokenRule(
        name="long_ping",
        section="5.5",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | PING, b"x" * 126),
    ),
    BrokenRule(
        name="fragmented_control",
        section="5.5",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(PING, b"one") + _frame(_FIN | CONTINUATION, b"two"),
    ),
    BrokenRule(
        name="orphan_continuation",
        section="5.4",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | CONTINUATION, b"hello"),
    ),
    BrokenRule(
        name="interleaved_text",
        section="5.4",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(TEXT, b"one ") + _frame(_FIN | TEXT, b"two"),
    ),
    BrokenRule(
        name="close_body_of_one_byte",
        section="5.5.1",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | CLOSE, b"\x03"),
    ),
    BrokenRule(
        name="forbidden_close_code",
        section="7.4.1",
        asks="fail, 1002",
        codes=(1002,),
        data=_frame(_FIN | CLOSE, close_payload(1005, "")),
    ),
    BrokenRule(
        name="bad_utf8_in_close_reason",
        section="5.5.1, 8.1",
        asks="fail, 1007",
        codes=(1007,),
        data=_frame(_FIN | CLOSE, b"\x03\xe8\xff\xfe"),
    ),
    BrokenRule(
        name="length_2_63",
        section="5.2",
        asks="fail, 1002 or 1009",
        codes=(1002, 1009),
        data=_announced(1 << 63),
    ),
    BrokenRule(
        name="declared_oversize",
        section="7.4.1, 10.4",
        asks="refuse what is too big, 1009",
        codes=(1009,),
        data=_announced(1 << 30),
    ),
    BrokenRule(
        name="non_minimal_length_16",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=bytes((_FIN | TEXT, _MASKED | _LENGTH_16, 0, 5)) + _frame(0, b"hello")[2:],
    ),
    BrokenRule(
        name="non_minimal_length_64",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=_announced(5) + bytes(a ^ b for a, b in zip(b"hello", _MASK * 2, strict=False)),
    ),
    BrokenRule(
        name="http_after_upgrade",
        section="5.2",
        asks="fail, 1002",
        codes=(1002,),
        data=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    BrokenRule(
        name="data_after_close",
        section="5.5.1",
        asks="answer the close, or fail, 1002; take nothing more",
        codes=(1000, 1002),
        data=_frame(_FIN | CLOSE, close_payload(1000, "")) + _frame(_FIN | TEXT, b"late"),
    ),
    BrokenRule(
        name="truncated_frame_then_fin",
        section="7.1.7",
        asks="end the connection; a close frame is not owed",
        codes=(1002,),
        data=_frame(_FIN | TEXT, b"x" * 100)[:-50],
        finishes=True,
    ),
)
RULES: Final[Mapping[Violation, BrokenRule]] = MappingProxyType(
    {rule.name: rule for rule in _RULES}
)
"""The rules by the name of their violation, in the order of the catalogue."""


async def violate(
    url: str,
    violation: Violation,
    *,
    limit: float = 5.0,
    headers: Mapping[str, str] | None = None,
    ssl: tls.SSLContext | None = None,
) -> Answer:
    """Break the protocol once, on a connection of its own, and return what the server did.

    A server that answers neither with a close nor an end is asked with a ping whether it goes on:
    ``accepted`` if it answers, ``silent`` if not within `limit` seconds. Whether the application
    was given the message cannot be seen from here.

    Raises:
        ConnectFailed: there was no proper WebSocket connection to break.
    """
    async with await Line.open(url, ssl=ssl) as line:
        await line.upgrade(headers=headers)
        rule = RULES[violation]
        line.write(rule.data)
        if rule.finishes:
            await line.drain()
            line.finish()
            return await line.farewell(limit=limit)
        return await line.verdict(limit=limit)


async def violate_all(
    url: str,
    *,
    limit: float = 5.0,
    headers: Mapping[str, str] | None = None,
    ssl: tls.SSLContext | None = None,
) -> dict[Violation, Answer]:
    """Try all of them, at the same time. Arguments and errors as `violate`."""
    answers = await asyncio.gather(
        *(violate(url, violation, limit=limit, headers=headers, ssl=ssl) for violation in RULES)
    )
    return dict(zip(RULES, answers, strict=True))


def markdown(answers: Mapping[Violation, Answer]) -> str:
    """Show what a server answered as a Markdown table, without times: they differ each run."""
    lines = ["| violation | what is sent | RFC 6455 | asks | answer | kept |", "|---" * 6 + "|"]
    for violation, answer in answers.items():
        rule = RULES[violation]
        kept = "yes" if rule.kept(answer) else "**no**"
        cells = (f"`{violation}`", VIOLATIONS[violation], rule.section, rule.asks)
        lines.append(f"| {' | '.join(cells)} | {answer} | {kept} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table for a URL; 2 when no connection came about."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.tcp.violations", description=__doc__
    )
    parser.add_argument("url", help="ws:// or wss://")
    parser.add_argument(
        "--limit", type=float, default=5.0, help="seconds to wait for each answer [%(default)s]"
    )
    options = parser.parse_args(arguments)
    try:
        answers = asyncio.run(violate_all(options.url, limit=options.limit))
    except ConnectFailed as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(markdown(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
