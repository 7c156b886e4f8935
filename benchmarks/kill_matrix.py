"""Write ``docs/kill-matrix.md``: which check kills which faulty manager of the corpus.

python benchmarks/kill_matrix.py > docs/kill-matrix.md

Every check runs on every manager, so it takes minutes; it uses all cores. ``--only NAME`` runs one.
"""

import argparse
import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

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


def examine(manager: tuple[str, str, str]) -> Row:
    """Run every check on one manager."""
    folder, module, name = manager
    catalogue = _catalogue()
    kind = getattr(importlib.import_module(module), name)
    report: Report = check_manager(
        kind,
        profile=catalogue.profile_of(kind),
        sockets=True,
        protocol=catalogue.protocol_of(kind),
    )
    print(f"{report.elapsed:6.1f} s  {module}:{name}", file=sys.stderr)

    def of(verdict: str) -> tuple[str, ...]:
        return tuple(result.check_id for result in report.results if result.verdict == verdict)

    return Row(
        folder=folder,
        module=module.rpartition(".")[2],
        name=name,
        story=(kind.__doc__ or "").strip().partition("\n")[0],
        defects=tuple(vars(kind).get("DEFECTS", ())),
        meant=tuple(vars(kind).get("KILLED_BY", ()) or vars(kind).get("FLAWS", ())),
        fails=of("fail"),
        unknown=of("unknown"),
        not_offered=of("not_offered"),
    )


def page(rows: list[Row]) -> str:
    """Draw the page."""
    faulty = [row for row in rows if row.folder == "faulty"]
    correct = [row for row in rows if row.folder == "correct"]
    others = [row for row in rows if row.folder in {"designs", "original"}]
    kills = Counter(check for row in faulty for check in row.fails)
    meant = Counter(check for row in faulty for check in row.meant)
    alive = [row for row in faulty if not set(row.fails) & set(row.meant)]

    def unsure(row: Row) -> list[str]:
        return [f"{check} (unknown)" for check in row.unknown]

    return PAGE.format(
        checks=len(CHECKS),
        sockets=sum(check.tier == "sockets" for check in CHECKS.values()),
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
            for check in CHECKS.values()
        ),
        design_rows="\n".join(f"| `{row.module}.{row.name}` | {_kills(row)} |" for row in others),
        correct_rows="\n".join(
            f"| `{row.module}.{row.name}` | {'broken' if row.fails else 'kept'} "
            f"| {_list(row.fails)} | {_list((*row.not_offered, *unsure(row)))} |"
            for row in correct
        ),
    )


def _list(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


def _classes(row: Row) -> str:
    return _list(f"D{number}" for number in row.defects)


def _kills(row: Row) -> str:
    ids = sorted(row.fails, key=lambda check: (check not in row.meant, list(CHECKS).index(check)))
    return _list(f"**{check}**" if check in row.meant else check for check in ids)


def main() -> None:
    """Examine, in as many processes as there are cores, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="the name of one manager")
    chosen = parser.parse_args().only
    wanted = [manager for manager in managers() if chosen in {None, manager[2]}]
    # A fresh interpreter for each: a check may leave a thread behind, and a fork would inherit it.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        print(page(list(pool.map(examine, wanted))), end="")


if __name__ == "__main__":
    main()
