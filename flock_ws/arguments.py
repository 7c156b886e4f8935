"""Words of a command line as numbers, each refused with what was expected."""

import argparse
import math

__all__ = ["count", "port", "rate", "seconds"]

_HIGHEST_PORT = 65_535


def port(text: str) -> int:
    """Read a port."""
    if not (text.isascii() and text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """Read a number of things."""
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read a duration."""
    return _number(text, zero=False, what="a number of seconds")


def rate(text: str) -> float:
    """Read how many a second, of what the option is about."""
    return _number(text, zero=True, what="a number a second")


def _number(text: str, *, zero: bool, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        bound = "of at least 0" if zero else "above 0"
        raise argparse.ArgumentTypeError(f"expected {what} {bound}, not {text!r}")
    return number
