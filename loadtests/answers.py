"""What a question about a run is answered with, and how numbers are put into words."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Answer", "Verdict", "counted", "milliseconds", "seconds", "span"]

_ROUND_SECONDS = 10


class Verdict(StrEnum):
    """How a question ended."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_OFFERED = "NOT OFFERED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question, what was expected, what was seen, and the verdict.

    Attributes:
        key: a word for machines.
        reason: why it is no PASS, as a clause for the last line; empty otherwise.
    """

    key: str
    question: str
    expected: str
    seen: str
    verdict: Verdict
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def counted(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def seconds(duration: float) -> str:
    """Write a duration in seconds."""
    if math.isinf(duration):
        return "no time"
    digits = 0 if duration >= _ROUND_SECONDS else 1
    return f"{duration:.{digits}f} s"


def milliseconds(duration: float) -> str:
    """Write a short duration, given in seconds, in milliseconds; an infinite one is never."""
    if math.isinf(duration):
        return "never"
    value = duration * 1_000
    digits = 0 if value >= _ROUND_SECONDS else 1
    return f"{value:.{digits}f} ms"


def span(durations: Iterable[float]) -> str:
    """Write the range of some durations in seconds."""
    values = sorted(durations)
    if not values:
        return "never"
    low, high = f"{values[0]:.1f}", f"{values[-1]:.1f}"
    return f"{high} s" if low == high else f"{low} to {high} s"
