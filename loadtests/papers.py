"""Which reports of a run are written where: the options that two commands share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtests.output import check_writable, save
from loadtests.report import junit, markdown, page
from loadtests.report.documents import Run

__all__ = ["add_arguments", "check", "write"]

_KINDS = {
    "html": "a page with every chart and table, in one file",
    "junit": "JUnit XML for continuous integration",
    "markdown": "a short summary for a pull request",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an option for each kind of report."""
    group = parser.add_argument_group("reports")
    for name, what in _KINDS.items():
        group.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {what}")


def check(arguments: argparse.Namespace) -> None:
    """Find out before the work whether everything that was asked for can be written.

    Raises:
        LoadTestError: something cannot; the message says what and why.
    """
    for name in _KINDS:
        if (path := getattr(arguments, name)) is not None:
            check_writable(path, option=f"--{name}")


def write(
    arguments: argparse.Namespace, runs: Sequence[Run], *, names: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """Write what was asked for and return what and where.

    Raises:
        LoadTestError: something could not be written; the message says where it is instead.
    """
    made: dict[str, Callable[[], str]] = {
        "html": lambda: page.render(runs, names=names),
        "junit": lambda: junit.render(runs),
        "markdown": lambda: markdown.render(runs, names=names),
    }
    written = []
    for name, render in made.items():
        if (path := getattr(arguments, name)) is not None:
            save(path, render(), what="report")
            written.append((name, path))
    return written
