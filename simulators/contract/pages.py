"""The contract as a page of the documentation: ``python -m simulators.contract.pages``."""

import sys
from collections.abc import Mapping
from itertools import groupby

from simulators.contract.coverage import UNCOVERED, covering
from simulators.contract.defects import AREAS
from simulators.contract.registry import CHECKS, Check

__all__ = ["page"]

_INTRODUCTION = """# Every check

This page is made from the code: `python -m simulators.contract.pages > docs/contract.md`.

`flock-ws check`, `check_manager` and `ContractTests` run the same {count} checks. A **MUST**
decides the verdict, a **SHOULD** does not. A check whose promise a manager does not make is *not
offered*; one whose fault never took place is *unknown*, not passed. What they judge is what clients
saw and what the manager shows publicly, never its inside. The numbers (`D19`) are those of the
[classes of mistakes](#classes-of-mistakes) below.

The area `sockets` takes real connections, to a server on 127.0.0.1, and real time; everything else
is virtual. The command runs both unless `--no-sockets` says otherwise; the other two take
`sockets=True`, or such a check by its name. An application (`flock-ws check myapp.main:app`,
`check_application`) and a running server (`flock-ws check ws://…`, `check_server`) are looked at
from outside: what cannot be seen from there is not offered.
"""


def page() -> str:
    """Return the page, as Markdown. Every check must have been imported."""
    parts = [_INTRODUCTION.format(count=len(CHECKS))]
    ordered = sorted(CHECKS.values(), key=lambda check: list(CHECKS).index(_first(check.area)))
    for area, checks in groupby(ordered, key=lambda check: check.area):
        parts.append(f"## {area}\n")
        parts += [_entry(check) for check in checks]
    parts.append("## Classes of mistakes\n")
    parts += [_classes(title, classes) for title, classes in AREAS.items()]
    return "\n".join(parts)


def _first(area: str) -> str:
    return next(name for name, check in CHECKS.items() if check.area == area)


def _entry(check: Check) -> str:
    where = " on real sockets" if check.tier == "sockets" else ""
    defects = " ".join(f"D{number}" for number in check.defects)
    lines = [
        f"### {check.id}\n",
        f"**{check.level}**{where}: {check.title}. {defects}".rstrip() + "\n",
        f"{check.why} *To mend it:* {check.mend}",
    ]
    if check.promise is not None:
        lines.append(f"\nIt belongs to the profile's `{check.promise}`.")
    return "\n".join(lines) + "\n"


def _classes(title: str, classes: Mapping[int, str]) -> str:
    rows = [
        f"| D{number} | {text} | {_found_by(number)} |" for number, text in sorted(classes.items())
    ]
    return (
        "\n".join([f"### {title}\n", "| class | mistake | found by |", "|---|---|---|", *rows])
        + "\n"
    )


def _found_by(number: int) -> str:
    if number in UNCOVERED:
        return f"nothing: {UNCOVERED[number]}"
    return ", ".join(f"`{name}`" for name in covering(number))


if __name__ == "__main__":
    sys.stdout.write(page())
