"""The view of a run on a terminal while it lasts: one frame, drawn over the one before."""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtests.answers import counted
from loadtests.live import PARTS, STATES, History, Progress
from loadtests.report.markup import number
from loadtests.scenario import Scenario
from simulators.report.printable import printable

__all__ = ["Screen", "frame", "sparkline"]

_LEVELS = "▁▂▃▄▅▆▇█"
_SPARK = 32
_NOTES = 4
_SPEAKING = {
    "connected": "connected",
    "turned": "turned",
    "ended": "ended by server",
    "left": "left",
    "failed": "never connected",
}


class Screen:
    """Shows a run as it goes; to be used in a ``with``, whose end leaves the last frame standing.

    It draws when it is told of something, never by itself: no thread runs. What is written before
    the first frame stays above it.

    Args:
        console: of a terminal.
        scenario: what is run.
    """

    def __init__(self, console: Console, scenario: Scenario) -> None:
        self._scenario, self._history = scenario, History()
        self._live = Live(
            console=console, auto_refresh=False, vertical_overflow="crop", transient=False
        )

    def __enter__(self) -> Self:
        """Stand ready; the first frame begins to draw."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the cursor back, whatever happened."""
        self._live.stop()

    def progress(self, progress: Progress) -> None:
        """Draw the run as it stands."""
        self._history.add(progress)
        if not self._live.is_started:
            self._live.start()
        self._live.update(frame(self._history, self._scenario), refresh=True)


def frame(history: History, scenario: Scenario) -> RenderableType:
    """Return one frame: head, clients by state, rates and latency, server and generator, notes."""
    latest = history.latest
    if latest is None:
        return Text(scenario.name, style="bold")
    parts: list[RenderableType] = [_head(latest, scenario), _clients(latest, scenario)]
    parts += [_figures(history, latest)]
    if latest.blocked >= 1:
        parts.append(Text(f"publisher blocked for {latest.blocked:.0f} s", style="bold red"))
    notes = history.notes[-_NOTES:]
    parts += [Text(f"{time:4.0f} s  {printable(note)}", style="cyan") for time, note in notes]
    return Group(*parts)


def sparkline(values: Sequence[float | None], *, width: int = _SPARK) -> str:
    """Return one letter for each of the last values, on a logarithmic scale.

    It reaches from the lowest of them to the highest, and over a decade at least, so that what
    hardly changes looks calm. A gap is a space.
    """
    shown = values[-width:]
    known = [value for value in shown if value]
    if not known:
        return ""
    low = min(known)
    decades = max(1.0, math.log10(max(known) / low))

    def letter(value: float | None) -> str:
        if not value:
            return " "
        return _LEVELS[round(math.log10(value / low) / decades * (len(_LEVELS) - 1))]

    return "".join(map(letter, shown)).lstrip()


def _head(latest: Progress, scenario: Scenario) -> RenderableType:
    begins, lasts = latest.begins, scenario.duration
    done = 0.0 if begins is None else min(max(latest.time - begins, 0.0), lasts)
    where = (
        "connecting" if begins is None or latest.time < begins else f"{done:.0f} of {lasts:.0f} s"
    )
    if begins is not None and latest.time > begins + lasts:
        where = "collecting what is under way"
    head = Table.grid(padding=(0, 2), expand=False)
    head.add_column(no_wrap=True)
    head.add_column(width=28)
    head.add_column(no_wrap=True)
    bar = ProgressBar(total=lasts, completed=done, width=28, complete_style="cyan")
    head.add_row(Text(scenario.name, style="bold"), bar, Text(where))
    return head


def _clients(latest: Progress, scenario: Scenario) -> RenderableType:
    cohorts = latest.cohorts
    order = [cohort.name for cohort in scenario.cohorts if cohort.name in cohorts]
    if not cohorts:
        return Text(f"clients {latest.clients} of {latest.asked}")
    shown = [
        state
        for state in STATES
        if state == "connected" or any(states[state] for states in cohorts.values())
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("clients")
    for state in shown:
        table.add_column(_SPEAKING[state], justify="right", no_wrap=True)
    for name in dict.fromkeys([*order, *cohorts]):
        states = cohorts[name]
        table.add_row(name, *(_count(states[state]) for state in shown))
    return table


def _figures(history: History, latest: Progress) -> RenderableType:
    rates, sample = history.rates, latest.sample
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    going = [f"received {number(rates.received, 'per second')}/s"]
    if latest.published is not None:
        going.insert(0, f"published {number(rates.published, 'per second')}/s")
    if latest.evicted is not None:
        going.append(f"dropped {counted(latest.evicted)}")
    table.add_row("events", "  ".join(going))
    late = "  ".join(f"{part} {number(latest.quantile(part), 'seconds')}" for part in PARTS)
    spark = sparkline(history.p99s)
    table.add_row("latency", f"{late}  {spark}" if spark else late)
    if sample is not None:
        told = [
            f"loop lag {number(sample.loop_lag, 'seconds')}",
            f"memory {number(sample.memory_bytes, 'bytes')}",
            f"processor {number(rates.server_cpu, 'share')}",
            f"connections {number(sample.connections, 'count')}",
        ]
        table.add_row("server", "  ".join(told))
    told = [
        f"loop lag p99 {number(_known(latest, 'lag_p99'), 'seconds')}",
        f"processor {number(_known(latest, 'cpu'), 'share')}",
    ]
    table.add_row("generator", "  ".join(told))
    return table


def _known(latest: Progress, name: str) -> float | None:
    value = latest.told.get(name)
    return None if value is None else float(value)


def _count(clients: int) -> Text:
    return Text(counted(clients), style="" if clients else "dim")
