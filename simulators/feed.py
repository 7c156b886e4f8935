"""``flock-ws events``: realistic events as JSON lines, to a file, a pipe or a server."""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from flock_ws.events import DashboardEvent
from simulators.arrivals import bursts, poisson, replay, steady
from simulators.errors import OptionError, SimulatorError
from simulators.events import START, Tape, agent_runs, with_payloads

__all__ = ["add_arguments", "run"]

_USAGE = 2
_BROKEN_PIPE = 141
_EPILOG = """\
exit codes:
  0    all are written
  2    wrong usage, or a FILE that cannot be read
  130  Ctrl-C
  141  whoever read them has had enough

examples:
  flock-ws events --rate 100 --count 6000 --seed 1 > events.jsonl
      a minute of three agents at work; the same seed writes the same file
  flock-ws events --replay events.jsonl --live
      the same events again, each at its time
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--rate", type=float, default=100.0, metavar="PER_SECOND", help="events a second [100]")
    add(
        "--arrivals",
        choices=("steady", "poisson", "bursts"),
        default="steady",
        help="how they come [%(default)s]",
    )
    add("--burst", type=int, default=20, metavar="N", help="events in one burst [%(default)s]")
    add("--count", type=int, metavar="N", help="stop after so many [never]")
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same one writes the same [%(default)s]",
    )
    add("--agents", type=int, default=3, metavar="N", help="agents at work at once [%(default)s]")
    add(
        "--error-rate",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="of the agents' runs that fail [%(default)s]",
    )
    add(
        "--payload-bytes",
        type=int,
        default=0,
        metavar="BYTES",
        help="added to each published message [%(default)s]",
    )
    add("--replay", metavar="FILE", help="play recorded events instead")
    add("--live", action="store_true", help="write each event at its time, not all at once")


def run(arguments: argparse.Namespace) -> int:
    """Write the events to standard output; return the exit code."""
    try:
        pairs = _pairs(arguments)
        _write(itertools.islice(pairs, arguments.count), live=arguments.live)
    except BrokenPipeError:
        # Whoever read has had enough. Nothing more may be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (SimulatorError, OSError, ValueError) as error:
        sys.stderr.write(f"flock-ws: {error}\n")
        return _USAGE
    return 0


def _pairs(arguments: argparse.Namespace) -> Iterator[tuple[float, DashboardEvent]]:
    """Return each event with its time in seconds."""
    if arguments.count is not None and arguments.count < 1:
        raise OptionError(f"--count must be at least 1, not {arguments.count}")
    if arguments.replay:
        tape = Tape.read(arguments.replay)
        return zip(replay(tape.events), tape.events, strict=True)
    kinds = {
        "steady": lambda: steady(rate=arguments.rate),
        "poisson": lambda: poisson(rate=arguments.rate, seed=arguments.seed),
        "bursts": lambda: bursts(rate=arguments.rate, size=arguments.burst),
    }
    due = [0.0]
    events = agent_runs(
        seed=arguments.seed,
        agents=arguments.agents,
        error_rate=arguments.error_rate,
        stamp=lambda: START + timedelta(seconds=due[0]),
    )
    return _stamped(
        kinds[arguments.arrivals](),
        with_payloads(events, size_bytes=arguments.payload_bytes),
        due,
    )


def _stamped(
    arrivals: Iterator[float], events: Iterator[DashboardEvent], due: list[float]
) -> Iterator[tuple[float, DashboardEvent]]:
    for at in arrivals:
        due[0] = at
        yield at, next(events)


def _write(pairs: Iterator[tuple[float, DashboardEvent]], *, live: bool) -> None:
    began = time.monotonic()
    for at, event in pairs:
        if live and (wait := began + at - time.monotonic()) > 0:
            sys.stdout.flush()
            time.sleep(wait)
        kind = type(event).__name__
        sys.stdout.write(f'{{"kind":"{kind}","event":{event.model_dump_json()}}}\n')
    sys.stdout.flush()
