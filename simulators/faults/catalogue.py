"""The catalogue as a page of the documentation."""

import dataclasses
from types import ModuleType

from simulators.faults import (
    application,
    closing,
    death,
    handshake,
    inbound,
    liveness,
    path,
    population,
    protocol,
    reading,
    server,
)
from simulators.faults.fault import FAULTS, WIRES, Fault
from simulators.faults.protocol import VIOLATIONS, ProtocolViolation

__all__ = ["SECTIONS", "page", "signature"]

SECTIONS: dict[str, ModuleType] = {
    "Reading": reading,
    "The application's own socket object": application,
    "Death": death,
    "Handshake": handshake,
    "Liveness": liveness,
    "Inbound": inbound,
    "Protocol violations": protocol,
    "Closing": closing,
    "Path": path,
    "Population": population,
    "Server side": server,
}
"""The sections of the catalogue, with the modules whose faults they hold."""

_INTRODUCTION = """# The catalogue of faults

This page is made from the code: `python -m simulators.faults > docs/faults.md`.

Each fault is a frozen dataclass in `simulators.faults` with the name in CamelCase, and has a JSON
form: `{"kind": "slow_reader", "bytes_per_second": 1000}`. Those of one client go into a
`Behaviour`; every one of these also takes `toxicity`, the fraction of the connections that it hits.

Where a fault exists has three columns: **P** in process, **T** over TCP, **L** in a load test. A
number stands for the reason, below each table, why it cannot be produced there. In a load test a
user of one's own returns the behaviour (`loadtests.users.FlockUser`), where none of the
[kinds that are there](howto/locust-users.md#the-kinds) does.
"""


def signature(fault: type[Fault]) -> str:
    """Return how a fault is written, without its toxicity."""
    fields = [
        field.name if field.default is dataclasses.MISSING else f"{field.name}={field.default!r}"
        for field in dataclasses.fields(fault)
        if field.name != "toxicity"
    ]
    return f"{fault.kind}({', '.join(fields)})" if fields else fault.kind


def page() -> str:
    """Return the page, as Markdown."""
    parts = [_INTRODUCTION]
    for title, module in SECTIONS.items():
        faults = [fault for fault in FAULTS.values() if fault.__module__ == module.__name__]
        parts.append(_section(title, faults))
    return "\n".join(parts)


def _section(title: str, faults: list[type[Fault]]) -> str:
    lines = [
        f"## {title}",
        "",
        "| fault | what happens | P | T | L | what a correct manager does |",
        "|---|---|---|---|---|---|",
    ]
    reasons: list[str] = []
    for fault in faults:
        where = " | ".join(_mark(fault.wires[wire], reasons) for wire in WIRES)
        lines.append(f"| `{signature(fault)}` | {_summary(fault)} | {where} | {fault.expected} |")
    lines.append("")
    lines += [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    if reasons:
        lines.append("")
    if ProtocolViolation in faults:
        lines += [
            "| violation | what it sends |",
            "|---|---|",
            *(f"| `{violation}` | {sends} |" for violation, sends in VIOLATIONS.items()),
            "",
        ]
    return "\n".join(lines)


def _mark(where: str | bool, reasons: list[str]) -> str:  # noqa: FBT001  # True is half of what `Wires` holds
    if not isinstance(where, str):
        return "yes"
    if where not in reasons:
        reasons.append(where)
    return str(reasons.index(where) + 1)


def _summary(fault: type[Fault]) -> str:
    return (fault.__doc__ or "").partition("\n")[0]
