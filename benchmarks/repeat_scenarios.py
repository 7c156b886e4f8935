"""Each built-in scenario again and again, as a person runs it: does the verdict stay the same?

One run of `flock-ws load` after another, each a process of its own. A line tells of each as it
ends, a table of all at the end. Beside the scenarios there are three managers with a fault, on
`storm`: each must fail, with the right reason first.

The exit code is 1 when the verdicts of a row differ, a scenario does not pass, or a faulty manager
does not fail for the right reason. Ctrl-C ends it with what there is: the runs that are over.

    python benchmarks/repeat_scenarios.py --rounds 10
    python benchmarks/repeat_scenarios.py --rounds 3 --only storm --only eviction --duration 25
    python benchmarks/repeat_scenarios.py --manager yourapp.ws:ConnectionManager --only storm
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from command_line import above_zero, at_least_one, parser_of

from loadtests.catalogue import BUILT_IN

ROOT = Path(__file__).resolve().parents[1]
MANAGERS = ROOT / "tests" / "loadtests" / "managers"
FAULTY = {
    "storm, gather of wait_for": (
        "common_pattern:GatheringManager",
        "evicted clients still had their connection at the end",
    ),
    "storm, naive loop": ("waits_for_all:SequentialManager", "clients were never evicted"),
    "storm, no timeout": ("no_timeout:GatheringWithoutTimeout", "clients were never evicted"),
}
"""Manager, and what the first reason must say."""

LIMIT = 600.0
PATIENCE = 8.0
SHOWN = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is repeated."""

    name: str
    scenario: str
    manager: str | None
    exit_code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended; `reason` is the first that it gives, empty when all was kept."""

    row: str
    number: int
    verdict: str
    exit_code: int
    seconds: float
    reason: str
    as_expected: bool


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Return what to repeat."""
    for name in BUILT_IN:
        yield Row(name, name, options.manager, 0)
    if options.manager is None:
        for name, (manager, reason) in FAULTY.items():
            yield Row(name, "storm", manager, 1, reason)


def run_once(row: Row, number: int, options: argparse.Namespace, folder: Path) -> Outcome:
    """Run it. On Ctrl-C the run is ended in order and the interrupt goes on."""
    output = folder / "run.json"
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flock_ws", "load", "--scenario", row.scenario]
    command += ["--output", str(output)]
    if row.manager is not None:
        command += ["--manager", row.manager]
    if options.duration is not None:
        command += ["--duration", str(options.duration)]
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        cwd=Path.cwd() if options.manager else MANAGERS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for this process, which ends the run in order.
        start_new_session=True,
    ) as process:
        try:
            told = process.communicate(timeout=LIMIT)[1].strip()
        except subprocess.TimeoutExpired:
            process.kill()
            told = f"it did not end within {LIMIT:g} s"
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    form: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {}
    lines = form.get("reasons") or ([] if form else told.splitlines()[-1:])
    code, reason = process.returncode, lines[0] if lines else ""
    return Outcome(
        row=row.name,
        number=number,
        verdict=str(form.get("verdict", "NO VERDICT")),
        exit_code=code,
        seconds=round(time.monotonic() - began, 1),
        reason=reason,
        as_expected=code == row.exit_code and row.reason in reason,
    )


def tell(outcome: Outcome, rounds: int) -> None:
    """Print the line of one run."""
    mark = " " if outcome.as_expected else "!"
    print(
        f"{mark} {outcome.number:2}/{rounds} {outcome.row:26} {outcome.verdict:12}"
        f" exit {outcome.exit_code:<3} {outcome.seconds:6.1f} s  {outcome.reason[:SHOWN]}",
        flush=True,
    )


def table(outcomes: list[Outcome]) -> bool:
    """Print how often each row had each verdict; return whether all is as it must be.

    Where nothing was run to its end, nothing is.
    """
    if not outcomes:
        print("\nno run came to its end")
        return False
    print(f"\n{'':2}{'scenario':26} {'runs':>4}  {'seconds':>12}  verdicts")
    well = True
    for name in dict.fromkeys(one.row for one in outcomes):
        mine = [one for one in outcomes if one.row == name]
        verdicts = Counter(one.verdict for one in mine)
        good = len(verdicts) == 1 and all(one.as_expected for one in mine)
        well = well and good
        times = [one.seconds for one in mine]
        told = ", ".join(f"{verdict} x {count}" for verdict, count in verdicts.most_common())
        span = f"{min(times):.0f} to {max(times):.0f}"
        print(f"{' ' if good else '!':2}{name:26} {len(mine):4}  {span:>12}  {told}")
        for reason, count in Counter(one.reason for one in mine if one.reason).most_common(3):
            print(f"{'':8}{count} x {reason}")
    return well


def main() -> int:
    """Repeat them all, round by round, so that each meets the machine in all its moods."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--rounds", type=at_least_one, default=10, metavar="N", help="of all [%(default)s]"
    )
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="rows with it in their name; repeatable"
    )
    parser.add_argument(
        "--duration", type=above_zero, metavar="SECONDS", help="[the scenario's own]"
    )
    parser.add_argument("--manager", metavar="MODULE:FACTORY", help="[the reference]")
    parser.add_argument(
        "--output", type=Path, default=Path("build/repeated.json"), help="[%(default)s]"
    )
    options = parser.parse_args()
    chosen = [
        row
        for row in rows(options)
        if not options.only or any(text in row.name for text in options.only)
    ]
    if not chosen:
        parser.error(f"--only: choose from {', '.join(row.name for row in rows(options))}")
    outcomes: list[Outcome] = []
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="flock-repeated-") as folder:
        try:
            for number in range(1, options.rounds + 1):
                for row in chosen:
                    outcomes.append(run_once(row, number, options, Path(folder)))
                    tell(outcomes[-1], options.rounds)
        except KeyboardInterrupt:
            interrupted = True
            print("\ninterrupted: this is what there is")
    well = table(outcomes)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    form = {"rounds": options.rounds, "interrupted": interrupted, "well": well}
    text = json.dumps(form | {"runs": [asdict(one) for one in outcomes]}, indent=1)
    options.output.write_text(f"{text}\n")
    print(f"\nwritten: {options.output}")
    return 0 if well and not interrupted else 130 if interrupted else 1


if __name__ == "__main__":
    sys.exit(main())
