"""``flock-ws report``: runs that were recorded, shown again, one or two beside each other."""

import argparse
import json
import sys
from pathlib import Path

from loadtests import papers
from loadtests.errors import LoadTestError
from loadtests.report import documents
from loadtests.report.comparison import Compared, compare, differences
from loadtests.report.documents import Run
from loadtests.terminal import Terminal

__all__ = ["add_arguments", "run"]

_EPILOG = """\
exit codes:
  0, 1, 3  as the run had; of two, as the second had
  2        wrong usage, or no record of a run

examples:
  flock-ws report run.json --html run.html
      the page of a run that was recorded
  flock-ws report before.json after.json --markdown comparison.md
      what a change did: every number with its ratio
"""
_MOST = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws report``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="what `flock-ws load --output` wrote: one, or the one before and the one after",
    )
    parser.add_argument(
        "--json", action="store_true", help="write verdicts, answers and ratios as JSON instead"
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a record")
    papers.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run ``flock-ws report`` and return its exit code.

    Raises:
        LoadTestError: a file is no record of a run, or something cannot be written.
    """
    if arguments.schema:
        sys.stdout.write(documents.make_schema())
        return 0
    if not 1 <= len(arguments.runs) <= _MOST:
        raise LoadTestError(
            f"give the record of one run, or of two to compare, not {len(arguments.runs)}:"
            " flock-ws report run.json"
        )
    papers.check(arguments)
    runs = [_read(path) for path in arguments.runs]
    names = _names(arguments.runs)
    rows = compare(runs[0].record, runs[1].record) if len(runs) > 1 else ()
    if arguments.json:
        sys.stdout.write(_form(runs, names, rows))
    else:
        _show(runs, names, rows)
    for _, path in papers.write(arguments, runs, names=names):
        if not arguments.json:
            Terminal().say(f"report: {path}", style="dim")
    return runs[-1].judgement.exit_code


def _read(path: Path) -> Run:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LoadTestError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LoadTestError(f"{path}: no text: expected what `flock-ws load` writes") from None
    try:
        return documents.parse(text)
    except LoadTestError as error:
        raise LoadTestError(f"{path}: {error}") from None


def _names(paths: list[Path]) -> list[str]:
    """Call runs by their files; by their paths where the files are called the same."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _show(runs: list[Run], names: list[str], rows: tuple[Compared, ...]) -> None:
    terminal = Terminal()
    if len(runs) == 1:
        terminal.judgement(runs[0].judgement)
        return
    for name, one in zip(names, runs, strict=True):
        terminal.verdict(one.judgement, name=name)
    if apart := differences(runs[0].record, runs[1].record):
        terminal.say(f"not the same load: {'; '.join(apart)}", style="yellow")
    terminal.comparison(rows, names)


def _form(runs: list[Run], names: list[str], rows: tuple[Compared, ...]) -> str:
    form = {
        "runs": [
            {"name": name, "command": one.record.command, **one.judgement.to_json()}
            for name, one in zip(names, runs, strict=True)
        ],
        "compared": [row.to_json() for row in rows],
        "differences": differences(runs[0].record, runs[-1].record),
    }
    return json.dumps(form, indent=1, allow_nan=False) + "\n"
