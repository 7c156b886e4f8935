"""What a run shows on a terminal: a head, lines while it lasts, a table, the verdict."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.answers import Verdict, counted, milliseconds, seconds
from loadtests.live import Progress
from loadtests.metrics import Metric
from loadtests.pipe import LAGGING_KINDS, Pipe
from loadtests.report.comparison import Compared, notable
from loadtests.run import Begun
from loadtests.scenario import Scenario
from loadtests.screen import Screen
from loadtests.verdict import Judgement
from simulators.report.printable import printable

__all__ = ["Terminal"]

_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NOT_OFFERED: "dim",
}
_PLAIN_WIDTH = 120
_WIDEST = 140
_LINE_EVERY = 2.9


class Terminal:
    """Writes to one stream; plain when that is no terminal or ``NO_COLOR`` is set.

    Args:
        stream: standard output by default.
        width: columns; those of the terminal, at most 140, by default.
    """

    def __init__(self, stream: TextIO | None = None, *, width: int | None = None) -> None:
        stream = stream or sys.stdout
        # Under NO_COLOR rich would still write bold and dim: plain means plain.
        colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(file=stream, highlight=False, width=width, color_system=colours)
        self._draws = self._console.is_terminal and not self._console.is_dumb_terminal
        self._draws = self._draws and colours is not None
        self._screen: Screen | None = None
        self._told_at = -_LINE_EVERY
        if width is None:
            room = self._console.width if stream.isatty() else _PLAIN_WIDTH
            self._console.width = min(room, _WIDEST)

    def say(self, text: str, *, style: str = "") -> None:
        """Write a line, wrapped where it is too long."""
        self._console.print(Text(printable(text), style=style))

    def scenarios(self, scenarios: Iterable[Scenario]) -> None:
        """List scenarios: what each proves, and who connects."""
        for one in scenarios:
            self._hung(f"{one.name:10}", one.proves)
            events = f"{one.rate:g} events/s of {one.size_bytes} bytes for {one.duration:g} s"
            self._hung(" " * 10, f"{_clients(one)}; {events}", style="dim")

    def _hung(self, head: str, told: str, *, style: str = "", head_style: str = "bold") -> None:
        """Write a text beside its head; what is too long for a line goes on below itself."""
        lines = Text(printable(told)).wrap(self._console, max(20, self._console.width - len(head)))
        for line in lines:
            line.rstrip()
            self._console.print(Text.assemble((head, head_style), (line.plain, style)))
            head = " " * len(head)

    def metrics(self, metrics: Iterable[Metric]) -> None:
        """List metrics: the name that a threshold takes, and what each is."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("metric", no_wrap=True)
        table.add_column("unit", no_wrap=True)
        table.add_column("what it is")
        for one in metrics:
            name = f"{one.name}[window]" if one.windowed else one.name
            table.add_row(Text(name), Text(one.unit), Text(one.summary))
        self._console.print(table)

    def begun(self, begun: Begun) -> None:
        """Say what is about to be done."""
        scenario, server = begun.scenario, begun.server
        where = "own process" if server.started_here else "already there"
        events = f"{scenario.rate:g}/s of {scenario.size_bytes} bytes for {scenario.duration:g} s"
        if not begun.publishing:
            events = f"not published by this run; listening for {scenario.duration:g} s"
        lines = {
            "scenario": f"{scenario.name}: {scenario.proves}",
            "server": f"{server.manager or 'unknown'} at {server.url} ({where})",
            "clients": _clients(scenario),
            "events": events,
        }
        if scenario.faulty_clients:
            began = "publishing" if begun.publishing else "listening"
            lines["faults"] = f"from {seconds(scenario.first_turn)} after {began} began"
        if told := _pipe(begun):
            lines["pipe"] = told
        for name, line in lines.items():
            self._hung(f"{name:9}", line)
        self._console.print()

    @contextmanager
    def watching(self, scenario: Scenario) -> Iterator[None]:
        """Show progress in place, as one view that is drawn anew, while this lasts.

        Where there is no terminal to draw on, or ``NO_COLOR`` is set, it changes nothing: each
        progress is a line then.
        """
        if not self._draws:
            yield
            return
        with Screen(self._console, scenario) as screen:
            self._screen = screen
            try:
                yield
            finally:
                self._screen = None

    def progress(self, progress: Progress) -> None:
        """Show where the run stands: in the view, or as a line every three seconds."""
        if self._screen is not None:
            self._screen.progress(progress)
            return
        if not progress.note and progress.time - self._told_at < _LINE_EVERY:
            return
        self._told_at = progress.time
        if progress.note:
            self._hung(f"{progress.time:4.0f} s  ", progress.note, style="cyan", head_style="cyan")
            return
        parts = [f"clients {progress.clients}/{progress.asked}"]
        if progress.published is not None:
            parts.append(f"published {counted(progress.published)}")
        parts.append(f"received {counted(progress.received)}")
        if progress.evicted is not None:
            parts.append(f"evicted {progress.evicted}")
        parts.append(f"p99 {milliseconds(progress.p99)}" if progress.p99 else "p99 -")
        figures = Text(f"{progress.time:4.0f} s  {'  '.join(parts)}")
        if progress.blocked >= 1:
            figures.append(f"  publisher blocked for {seconds(progress.blocked)}", style="red")
        self._console.print(figures)

    def judgement(self, judgement: Judgement) -> None:
        """Write the table of answers and the verdict."""
        table = Table(show_lines=True, padding=(0, 1), header_style="bold")
        table.add_column("question", ratio=3)
        table.add_column("expected", ratio=4)
        table.add_column("seen", ratio=4)
        table.add_column("verdict", no_wrap=True)
        for answer in judgement.answers:
            verdict = Text(answer.verdict.value, style=_STYLES[answer.verdict])
            told = (answer.question, answer.expected, answer.seen)
            table.add_row(*(Text(printable(one)) for one in told), verdict)
        self._console.print()
        self._console.print(table)
        self._console.print()
        self.verdict(judgement)

    def verdict(self, judgement: Judgement, *, name: str = "") -> None:
        """Write the verdict in one line, after the name of its run where there are several."""
        line = f"{name}: {judgement.line}" if name else judgement.line
        self.say(line, style=_STYLES[judgement.verdict])

    def comparison(self, rows: Iterable[Compared], names: Sequence[str]) -> None:
        """Write what clearly changed from one run to another."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("metric")
        for name in (*names, "ratio"):
            table.add_column(Text(printable(name)), justify="right")
        for row in notable(rows):
            style = {True: "green", False: "red", None: ""}[row.better]
            word = {True: " better", False: " worse", None: ""}[row.better]
            ratio = Text(f"{row.ratio_told}{word}", style=style)
            cells = (Text(told) for told in (row.name, row.before_told, row.after_told))
            table.add_row(*cells, ratio)
        self._console.print()
        self._console.print(table)


def _clients(scenario: Scenario) -> str:
    if scenario.search is not None:
        search, first = scenario.search, scenario.cohorts[0]
        return (
            f"{first.count} {first.name}, then {search.clients} more every {search.every:g} s,"
            f" up to {scenario.clients}"
        )
    return ", ".join(f"{one.count} {one.name}" for one in scenario.cohorts if one.count)


def _pipe(begun: Begun) -> str:
    """Say how long a client that does not read can hide; empty when there is none."""
    scenario, pipe = begun.scenario, Pipe(begun.scenario, begun.server.tuned)
    lagging = [one for one in scenario.cohorts if one.count and one.user in LAGGING_KINDS]
    if not lagging:
        return ""
    told = f"a client that does not read absorbs {counted(pipe.size_bytes)} bytes"
    if not begun.publishing:
        return told
    slowest = max(map(pipe.fill_time, lagging))
    limit = max(map(pipe.eviction_limit, lagging))
    due = f"it must be out of the pool within {seconds(limit)}"
    return f"{told}: {seconds(slowest)} at this rate; {due}"
