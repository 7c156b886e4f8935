"""Text that any terminal, XML parser and browser can show."""

import re

__all__ = ["printable", "shortened"]

# What XML 1.0 forbids, what moves a terminal's cursor, and what turns the direction of writing.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: object) -> str:
    r"""Return the text with what cannot be shown spelled out, as in ``\x1b``.

    Line breaks and tabs stay. It does not escape for HTML or XML.
    """
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def shortened(text: str, *, width: int) -> str:
    """Return the text on one line of at most this many characters, with an ellipsis if cut."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: max(width - 1, 0)].rstrip()}…"
