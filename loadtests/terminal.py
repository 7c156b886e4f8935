"""What a run shows on a terminal: a head, lines while it lasts, a table, the verdict."""

import os
import sys
from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.answers import Verdict, counted, milliseconds, seconds
from loadtests.run import Begun, Progress
from loadtests.scenario import COHORTS, FOREIGN_BUFFER_BYTES, SCENARIOS, SERVER_BUFFER_BYTES
from loadtests.verdict import Judgement

__all__ = ["Terminal"]

_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NOT_OFFERED: "dim",
}
_PLAIN_WIDTH = 120
_WIDEST = 140


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
        if width is None:
            room = self._console.width if stream.isatty() else _PLAIN_WIDTH
            self._console.width = min(room, _WIDEST)

    def say(self, text: str, *, style: str = "") -> None:
        """Write a line, wrapped where it is too long."""
        self._console.print(Text(text, style=style))

    def scenarios(self) -> None:
        """List the scenarios that come with the package."""
        for scenario in SCENARIOS.values():
            self.say(f"{scenario.name}: {scenario.proves}")
            clients = ", ".join(f"{getattr(scenario, cohort)} {cohort}" for cohort in COHORTS)
            self.say(f"  {clients}; {scenario.rate:g} events/s of {scenario.size_bytes} bytes")
            self.say(f"  for {scenario.duration:g} s")

    def begun(self, begun: Begun) -> None:
        """Say what is about to be done."""
        scenario, server = begun.scenario, begun.server
        buffers = SERVER_BUFFER_BYTES if server.tuned else FOREIGN_BUFFER_BYTES
        where = "own process" if server.started_here else "already there"
        clients = [f"{scenario.healthy} healthy"]
        if scenario.slow:
            clients.append(f"{scenario.slow} slow ({scenario.slow_bytes_per_second:g} bytes/s)")
        clients += [
            f"{getattr(scenario, name)} {name}"
            for name in ("stalled", "dead")
            if getattr(scenario, name)
        ]
        events = f"{scenario.rate:g}/s of {scenario.size_bytes} bytes for {scenario.duration:g} s"
        if not begun.publishing:
            events = f"not published by this run; listening for {scenario.duration:g} s"
        began = "publishing" if begun.publishing else "listening"
        pipe = counted(scenario.pipe_bytes(server_buffer_bytes=buffers))
        fill = seconds(scenario.fill_time("stalled", server_buffer_bytes=buffers))
        limit = seconds(scenario.eviction_limit("stalled", server_buffer_bytes=buffers))
        lines = {
            "scenario": f"{scenario.name}: {scenario.proves}",
            "server": f"{server.manager or 'unknown'} at {server.url} ({where})",
            "clients": ", ".join(clients),
            "events": events,
        }
        if scenario.clients > scenario.healthy:
            lines["faults"] = f"{seconds(scenario.baseline)} after {began} began"
        if scenario.slow or scenario.stalled:
            lines["pipe"] = f"a client that does not read absorbs {pipe} bytes"
            if begun.publishing:
                lines["pipe"] += f": {fill} at this rate; it must be out of the pool within {limit}"
        for name, line in lines.items():
            self._console.print(Text.assemble((f"{name:9}", "bold"), line))
        self._console.print()

    def progress(self, progress: Progress) -> None:
        """Write one line about where the run stands."""
        if progress.note:
            line = f"{progress.time:4.0f} s  {progress.note}"
            self._console.print(Text(line, style="cyan"))
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
            table.add_row(Text(answer.question), Text(answer.expected), Text(answer.seen), verdict)
        self._console.print()
        self._console.print(table)
        self._console.print()
        self.say(judgement.line, style=_STYLES[judgement.verdict])
