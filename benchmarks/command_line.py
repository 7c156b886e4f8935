"""What the command lines of all benchmarks share: help with the example, bad numbers, Ctrl-C."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["above_zero", "add_clients", "add_rounds", "at_least_one", "end_with", "parser_of"]

_INTERRUPTED = 130


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the module's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_clients(parser: argparse.ArgumentParser) -> None:
    """Let the number of clients be said."""
    parser.add_argument(
        "--clients", type=at_least_one, default=300, help="sockets on the server (%(default)s)"
    )


def add_rounds(parser: argparse.ArgumentParser, *, default: int = 3) -> None:
    """Let the number of rounds be said."""
    parser.add_argument(
        "--rounds", type=at_least_one, default=default, help="alternating rounds (%(default)s)"
    )


def at_least_one(text: str) -> int:
    """Read how many of something there are: at least one.

    Raises:
        ArgumentTypeError: it is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, not {text!r}")
    return int(text)


def above_zero(text: str) -> float:
    """Read a duration.

    Raises:
        ArgumentTypeError: it is no number above 0.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"seconds above 0 are needed, not {text!r}")
    return number


def end_with(main: Callable[[], int | None]) -> NoReturn:
    """Run a benchmark and end with its exit code; Ctrl-C ends it without a traceback."""
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted: what is printed is what there is", file=sys.stderr)
        code = _INTERRUPTED
    sys.exit(code)
