"""Write ``docs/kill-matrix.md``: which check kills which faulty manager of the corpus.

    python benchmarks/kill_matrix.py > docs/kill-matrix.md

Every check runs on every manager, so it takes minutes; it uses all cores. ``--only NAME`` runs one.
``--virtual`` leaves out the checks on sockets, whose findings on a fault that they are not meant
for may differ from run to run: the rest is the same each time, and made with every build.

``--compare PAGE`` holds what was found against a page that was written before, sockets left out.

The exit code is 1 when a fault is killed by no check that is meant for it, a correct manager
fails anything, or the page says something else.
"""

import gc
import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from command_line import end_with, parser_of

from flock_ws import WebSocketManager
from simulators.contract import CHECKS, Report, check_manager

_TESTS = Path(__file__).resolve().parent.parent / "tests"

PAGE = """\
# Which check kills which fault

Produced by `python benchmarks/kill_matrix.py`: all {checks} checks, {sockets} of them on real
sockets, on {faults} faulty managers of
`tests/contract_corpus/faulty`, {designs} designs of the field, and {correct} correct managers of
different design. A test runs the checks in bold, which are meant for the fault, with every build.

## Faults

| manager | the mistake | classes | killed by |
|---|---|---|---|
{fault_rows}

{survivors}

## Checks

How many of the faulty managers each check kills, and how many it was meant for.

| check | level | kills | meant for |
|---|---|---|---|
{check_rows}

## The five designs, and the original

| manager | fails |
|---|---|
{design_rows}

## Correct managers

| manager | verdict | fails | not offered |
|---|---|---|---|
{correct_rows}
"""


@dataclass(frozen=True)
class Row:
    """What all checks said about one manager."""

    folder: str
    module: str
    name: str
    story: str
    defects: tuple[int, ...]
    meant: tuple[str, ...]
    fails: tuple[str, ...]
    unknown: tuple[str, ...]
    not_offered: tuple[str, ...]


def managers() -> list[tuple[str, str, str]]:
    """Return the folder, the module and the name of every manager, in the order of the page."""
    catalogue = _catalogue()
    groups = {
        "faulty": catalogue.faulty_managers(),
        "designs": catalogue.designs(),
        "original": [catalogue.original()],
        "correct": catalogue.correct_managers(),
    }
    found = [
        (folder, kind.__module__, kind.__name__)
        for folder, kinds in groups.items()
        for kind in kinds
    ]
    return [*found, ("correct", WebSocketManager.__module__, WebSocketManager.__name__)]


def _catalogue() -> Any:
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    return importlib.import_module("contract_corpus.catalogue")


def examine(manager: tuple[str, str, str], *, sockets: bool) -> Row:
    """Run every check on one manager, those on sockets too if they are wanted."""
    gc.freeze()  # each check that fails collects garbage; what was imported is none
    folder, module, name = manager
    catalogue = _catalogue()
    kind = getattr(importlib.import_module(module), name)
    report: Report = check_manager(
        kind,
        profile=catalogue.profile_of(kind),
        sockets=sockets,
        protocol=catalogue.protocol_of(kind),
    )
    print(f"{report.elapsed:6.1f} s  {module}:{name}", file=sys.stderr)

    def of(verdict: str) -> tuple[str, ...]:
        return tuple(result.check_id for result in report.results if result.verdict == verdict)

    ran = {result.check_id for result in report.results}
    meant = vars(kind).get("KILLED_BY", ()) or vars(kind).get("FLAWS", ())

    return Row(
        folder=folder,
        module=module.rpartition(".")[2],
        name=name,
        story=(kind.__doc__ or "").strip().partition("\n")[0],
        defects=tuple(vars(kind).get("DEFECTS", ())),
        meant=tuple(check for check in meant if check in ran),
        fails=of("fail"),
        unknown=of("unknown"),
        not_offered=of("not_offered"),
    )


def survivors(rows: list[Row]) -> list[Row]:
    """Return the faulty managers that no check kills which is meant for them and ran."""
    faulty = [row for row in rows if row.folder == "faulty" and row.meant]
    return [row for row in faulty if not set(row.fails) & set(row.meant)]


def page(rows: list[Row], *, sockets: bool) -> str:
    """Draw the page."""
    faulty = [row for row in rows if row.folder == "faulty"]
    correct = [row for row in rows if row.folder == "correct"]
    others = [row for row in rows if row.folder in {"designs", "original"}]
    kills = Counter(check for row in faulty for check in row.fails)
    meant = Counter(check for row in faulty for check in row.meant)
    alive = survivors(rows)
    checks = [check for check in CHECKS.values() if sockets or check.tier != "sockets"]

    def unsure(row: Row) -> list[str]:
        return [f"{check} (unknown)" for check in row.unknown]

    return PAGE.format(
        checks=len(checks),
        sockets=sum(check.tier == "sockets" for check in checks),
        faults=len(faulty),
        designs=sum(row.folder == "designs" for row in others),
        correct=len(correct),
        fault_rows="\n".join(
            f"| `{row.module}.{row.name}` | {row.story} | {_classes(row)} | {_kills(row)} |"
            for row in faulty
        ),
        survivors=(
            "Not killed by a check that is meant for it: "
            + ", ".join(f"`{row.module}.{row.name}`" for row in alive)
            + "."
            if alive
            else "Every fault is killed by a check that is meant for it."
        ),
        check_rows="\n".join(
            f"| `{check.id}` | {check.level} | {kills[check.id]} | {meant[check.id]} |"
            for check in checks
        ),
        design_rows="\n".join(f"| `{row.module}.{row.name}` | {_kills(row)} |" for row in others),
        correct_rows="\n".join(
            f"| `{row.module}.{row.name}` | {'broken' if row.fails else 'kept'} "
            f"| {_list(row.fails)} | {_list((*row.not_offered, *unsure(row)))} |"
            for row in correct
        ),
    )


def differences(now: str, before: str) -> list[str]:
    """Return the rows that one page has and the other has not, what sockets showed left out."""
    mine, theirs = _rows(now), _rows(before)
    return [
        *(f"now    {row}" for row in mine if row not in theirs),
        *(f"before {row}" for row in theirs if row not in mine),
    ]


def _rows(text: str) -> list[str]:
    """Return the table rows of a page without the checks on sockets."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    kept = [row for row in rows if not row.startswith("| `sockets.")]
    return ["|".join(_without_sockets(cell) for cell in row.split("|")) for row in kept]


def _without_sockets(cell: str) -> str:
    parts = [part.strip() for part in cell.split(", ")]
    return _list(part for part in parts if not part.strip("*").startswith("sockets."))


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _classes(row: Row) -> str:
    return _list(f"D{number}" for number in row.defects)


def _kills(row: Row) -> str:
    ids = sorted(row.fails, key=lambda check: (check not in row.meant, list(CHECKS).index(check)))
    return _list(f"**{check}**" if check in row.meant else check for check in ids)


def main() -> int:
    """Examine, in as many processes as there are cores, and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", metavar="NAME", help="the name of one manager")
    parser.add_argument("--virtual", action="store_true", help="leave out the checks on sockets")
    parser.add_argument("--compare", type=Path, metavar="PAGE", help="such a page of before")
    options = parser.parse_args()
    wanted = [manager for manager in managers() if options.only in {None, manager[2]}]
    if not wanted:
        parser.error(f"no manager of the corpus is called {options.only}")
    # A fresh interpreter for each: a check may leave a thread behind, and a fork would inherit it.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(partial(examine, sockets=not options.virtual), wanted))
    text = page(rows, sockets=not options.virtual)
    print(text, end="")
    before = options.compare.read_text() if options.compare else text
    differing = differences(text, before)
    for line in differing:
        print(f"{options.compare} says something else: {line}", file=sys.stderr)
    failing = [row for row in rows if row.folder == "correct" and row.fails]
    for row in failing:
        print(f"{row.name} is correct, and fails {_list(row.fails)}", file=sys.stderr)
    for row in survivors(rows):
        print(f"{row.name} survives {_list(row.meant)}", file=sys.stderr)
    return 1 if failing or survivors(rows) or differing else 0


if __name__ == "__main__":
    end_with(main)
