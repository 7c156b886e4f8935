"""Events that look like real agent runs, made from a seed, and tapes of them.

The same seed gives the same events, ids and times included, with the same version of Faker. No
event carries the wall clock's time unless it is asked for with ``stamp``; `numbered_events`, which
are for load and not for looks, do by default.

Making realistic events is slow (a few 10 000 a second). Record a `Tape` before time matters.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

from pydantic import ValidationError

from flock_ws.events import EVENT_KINDS, DashboardEvent, MessagePublishedEvent, StreamingOutputEvent
from simulators.agents import ROLES, Run, Source, Stamp, names, worker
from simulators.errors import OptionError, SimulatorError

__all__ = [
    "START",
    "Stamp",
    "Tape",
    "agent_run",
    "agent_runs",
    "numbered_events",
    "with_payloads",
]

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
"""The time of a run's first event, unless another is given."""


def _at_least(name: str, value: object, minimum: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= minimum:
        raise OptionError(f"{name} must be at least {minimum:g}, not {value!r}")


def agent_run(
    *,
    seed: int | str = 0,
    agent_name: str | None = None,
    tokens: int = 40,
    fails: bool = False,
    correlation_id: str | None = None,
    start: datetime = START,
    stamp: Stamp | None = None,
) -> Iterator[DashboardEvent]:
    """Make one run of one agent, from its activation to its completion or error.

    Args:
        seed: what everything follows from.
        agent_name: one of several roles when None.
        tokens: how many pieces of output it streams, log lines included, with ``sequence`` from
            0 on without a gap and ``is_final`` on the last.
        fails: it breaks off somewhere in its stream, with an `AgentErrorEvent`.
        correlation_id: made up when None.
        start: the run begins a moment after this.
        stamp: gives each event's time instead, at the moment it is made.

    Raises:
        SimulatorError: Faker is not installed.
        OptionError: `tokens` is below 1.
    """
    _at_least("tokens", tokens, 1)
    source = Source(seed, start, stamp)
    name = agent_name or source.draw.choice(list(ROLES))
    return Run(source, name, tokens, fails, correlation_id or source.id()).events()


def agent_runs(
    *,
    seed: int | str = 0,
    agents: int = 3,
    error_rate: float = 0.05,
    tokens: int = 40,
    start: datetime = START,
    stamp: Stamp | None = None,
) -> Iterator[DashboardEvent]:
    """Make runs of several agents without an end, interleaved as they would happen.

    Between runs come batches that fill and groups that wait for their other half. All seven kinds
    of event occur; within a run, sequences have no gap.

    Args:
        seed: what everything follows from.
        agents: how many work at once.
        error_rate: which share of the runs fails, from 0 to 1.
        tokens: how many pieces of output a run streams on average.
        start: the first event comes a moment after this.
        stamp: gives each event's time instead, at the moment it is made.

    Raises:
        SimulatorError: Faker is not installed.
        OptionError: a number is out of its range.
    """
    _at_least("agents", agents, 1)
    _at_least("tokens", tokens, 1)
    if not 0 <= error_rate <= 1:
        raise OptionError(f"error_rate must be from 0 to 1, not {error_rate!r}")
    source = Source(seed, start, stamp)
    workers = [
        worker(source, name, tokens, error_rate) for name in itertools.islice(names(source), agents)
    ]
    return (next(source.draw.choice(workers)) for _ in itertools.count())


def numbered_events(
    *,
    agent_name: str = "load",
    run_id: str = "load",
    size_bytes: int = 300,
    start: int = 0,
    stamp: Stamp | None = None,
) -> Iterator[StreamingOutputEvent]:
    """Make plain streaming events for load, numbered without an end. Needs no Faker.

    Args:
        agent_name: the agent of all of them.
        run_id: the run of all of them, and their correlation.
        size_bytes: how long their JSON text is, to within a few bytes; not below the some 240 that
            an empty one takes.
        start: the first ``sequence``; each next one is one more.
        stamp: gives each event's time; the wall clock at the moment it is made when None.

    Raises:
        OptionError: `size_bytes` or `start` is below 0.
    """
    _at_least("size_bytes", size_bytes, 0)
    _at_least("start", start, 0)
    now = stamp or functools.partial(datetime.now, UTC)
    shared: dict[str, Any] = {"correlation_id": run_id, "agent_name": agent_name, "run_id": run_id}
    shared["output_type"] = "llm_token"
    # A moment with microseconds, as nearly all have: without, the text is shorter by seven bytes.
    moment = START.replace(microsecond=123_456)
    empty = StreamingOutputEvent(**shared, timestamp=moment, content="", sequence=start)
    content = "x" * max(0, size_bytes - len(empty.model_dump_json()))
    return (
        StreamingOutputEvent(**shared, timestamp=now(), content=content, sequence=sequence)
        for sequence in itertools.count(start)
    )


class Tape:
    """Events made beforehand, to be played again and again at full speed.

    Playing makes nothing anew: the same objects come round, with the ids, times and sequences
    that they were recorded with.

    Args:
        events: what it holds; at least one.
    """

    def __init__(self, events: Iterable[DashboardEvent]) -> None:
        self.events: tuple[DashboardEvent, ...] = tuple(events)
        if not self.events:
            raise OptionError("a tape holds at least one event, and there was none")

    def __repr__(self) -> str:
        """Show how long it is."""
        return f"<Tape of {len(self.events)} events>"

    def __len__(self) -> int:
        """Return how many events it holds."""
        return len(self.events)

    @classmethod
    def record(cls, events: Iterable[DashboardEvent], count: int) -> Self:
        """Take the first `count` events, or as many as there are."""
        return cls(itertools.islice(events, count))

    @classmethod
    def of(
        cls,
        *,
        seed: int | str = 0,
        count: int = 10_000,
        agents: int = 3,
        error_rate: float = 0.05,
        tokens: int = 40,
    ) -> Self:
        """Record the first `count` events of `agent_runs`."""
        runs = agent_runs(seed=seed, agents=agents, error_rate=error_rate, tokens=tokens)
        return cls.record(runs, count)

    @functools.cached_property
    def texts(self) -> tuple[str, ...]:
        """The events' JSON texts, encoded once, in the same order."""
        return tuple(event.model_dump_json() for event in self.events)

    def play(self) -> Iterator[DashboardEvent]:
        """Give the events in their order, from the start again after the last, without an end."""
        return itertools.cycle(self.events)

    def write(self, path: str | Path) -> None:
        """Write it as JSON lines: ``{"kind": "StreamingOutputEvent", "event": {…}}``."""
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(
                f'{{"kind":"{type(event).__name__}","event":{text}}}\n'
                for event, text in zip(self.events, self.texts, strict=True)
            )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what `write` wrote. Empty lines are passed over.

        Raises:
            SimulatorError: a line is malformed; the message names the file, the line, what was
                expected and what was there.
        """
        with Path(path).open(encoding="utf-8") as file:
            events = [
                _parse(line, where=f"{path}:{number}")
                for number, line in enumerate(file, start=1)
                if line.strip()
            ]
        if not events:
            raise SimulatorError(f"{path}: no events; expected one JSON line for each")
        return cls(events)


def _parse(line: str, *, where: str) -> DashboardEvent:
    expected = 'expected {"kind": "…", "event": {…}}'
    try:
        form = json.loads(line)
    except ValueError as error:
        raise SimulatorError(f"{where}: not JSON ({error}); {expected}") from None
    if not isinstance(form, dict) or form.keys() != {"kind", "event"}:
        raise SimulatorError(f"{where}: {expected}, not {line.strip()[:80]}")
    kind = EVENT_KINDS.get(str(form["kind"]))
    if kind is None:
        known = ", ".join(EVENT_KINDS)
        raise SimulatorError(f"{where}: unknown kind {form['kind']!r}; expected one of {known}")
    try:
        return cast("DashboardEvent", kind.model_validate(form["event"]))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'event'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise SimulatorError(f"{where}: not a {kind.__name__}: {wrong}") from None


def with_payloads(events: Iterable[DashboardEvent], *, size_bytes: int) -> Iterator[DashboardEvent]:
    """Give the events with payloads of about this size in every published message.

    Args:
        events: any events; those of other kinds pass as they are.
        size_bytes: of the text that is added to each payload, as ``attachment``.

    Raises:
        OptionError: `size_bytes` is below 0.
    """
    _at_least("size_bytes", size_bytes, 0)
    attachment = "x" * size_bytes

    def grown(event: DashboardEvent) -> DashboardEvent:
        if not (isinstance(event, MessagePublishedEvent) and size_bytes):
            return event
        payload = {**event.payload, "attachment": attachment}
        return event.model_copy(update={"payload": payload})

    return map(grown, events)
