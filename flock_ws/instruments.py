"""The table of what an operator watches, for Prometheus and for OpenTelemetry.

Names follow both conventions at once: ``flock_ws.lag.age`` in seconds is, by OpenTelemetry's own
rule, ``flock_ws_lag_age_seconds`` for Prometheus, and a counter ends in ``_total`` there. There is
no label for a client: thousands of them come and go. `/api/stats` tells about each.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from flock_ws.evictions import CLOSE_CODES
from flock_ws.inbound import REFUSALS

__all__ = ["INSTRUMENTS", "Instrument", "table"]

_SUFFIXES = {"By": "_bytes", "s": "_seconds"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that is measured.

    Attributes:
        name: OpenTelemetry's name for it.
        kind: whether it only ever grows.
        unit: as UCUM writes it: ``By``, ``s``, or ``{what is counted}``.
        help: one line.
        label: what its values are told apart by.
        values: all that the label can be.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()

    @property
    def prometheus(self) -> str:
        """Prometheus' name for it."""
        suffix = _SUFFIXES.get(self.unit, "")
        total = "_total" if self.kind == "counter" else ""
        return f"{self.name.replace('.', '_')}{suffix}{total}"


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("flock_ws.clients", "gauge", "{client}", "Clients in the pool."),
    Instrument(
        "flock_ws.connections",
        "gauge",
        "{connection}",
        "Open WebSockets, in the pool or not. Lastingly more than clients: some are not closed.",
    ),
    Instrument(
        "flock_ws.closing", "gauge", "{client}", "Evicted clients whose socket is not gone yet."
    ),
    Instrument(
        "flock_ws.behind",
        "gauge",
        "{client}",
        "Clients for whom something has waited a quarter of a second or longer.",
    ),
    Instrument("flock_ws.joins", "counter", "{client}", "Clients that came into the pool."),
    Instrument(
        "flock_ws.leaves", "counter", "{client}", "Clients that left the pool and were not evicted."
    ),
    Instrument(
        "flock_ws.evictions",
        "counter",
        "{client}",
        "Clients that were dropped for a limit they broke.",
        "reason",
        tuple(CLOSE_CODES),
    ),
    Instrument(
        "flock_ws.refusals",
        "counter",
        "{client}",
        "Clients and requests that were turned away, or dropped for what they sent.",
        "reason",
        REFUSALS,
    ),
    Instrument(
        "flock_ws.published", "counter", "{event}", "Events published, with or without clients."
    ),
    Instrument(
        "flock_ws.deliveries", "counter", "{event}", "Sends of events that completed, all clients."
    ),
    Instrument(
        "flock_ws.lag.messages",
        "gauge",
        "{event}",
        "Events that wait for the client furthest behind; 0 while `flock_ws_behind` is.",
    ),
    Instrument("flock_ws.lag.size", "gauge", "By", "The size of those events."),
    Instrument("flock_ws.lag.age", "gauge", "s", "The age of the oldest of them."),
    Instrument(
        "flock_ws.round_trip.median",
        "gauge",
        "s",
        "What the last acknowledgement of a client took, the median of all.",
    ),
    Instrument("flock_ws.round_trip.max", "gauge", "s", "The same, the longest."),
    Instrument("flock_ws.history.events", "gauge", "{event}", "Events remembered, of all agents."),
    Instrument(
        "flock_ws.history.agents", "gauge", "{agent}", "Agents of whom some are remembered."
    ),
    Instrument(
        "flock_ws.loop.lag",
        "gauge",
        "s",
        "How late the event loop woke whom it promised to, the worst of the last second or two.",
    ),
    Instrument("flock_ws.loop.tasks", "gauge", "{task}", "Tasks on the event loop."),
)
"""The table. What the process takes comes beside it from prometheus_client itself."""


def table() -> str:
    """Return the instruments as a table in Markdown, for the page about them."""
    lines = [
        "| Prometheus | OpenTelemetry | kind | unit | label | what it says |",
        "|---|---|---|---|---|---|",
    ]
    for one in INSTRUMENTS:
        label = f"`{one.label}`: {', '.join(one.values)}" if one.label else ""
        lines.append(
            f"| `{one.prometheus}` | `{one.name}` | {one.kind} | `{one.unit}` | {label} "
            f"| {one.help} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
