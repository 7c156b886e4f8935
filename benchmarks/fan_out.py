"""What one delivery costs: the reference beside the managers people write, and the floor.

Each contestant serves the same clients over real sockets, one server at a time, in rounds that
alternate. The clients live in a process of their own and read with `recv_into`. Measured is the
CPU time of the server process, user and system, until the last client has the last event, and the
wall time until then, for each delivery. Compare ratios within one run; the absolute numbers belong
to the machine, and the wall time to the clients as well, where they are slower than the server.

    python benchmarks/fan_out.py --clients 300 --rounds 5 --svg docs/images/fan-out.svg
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command_line import add_clients, add_rounds, at_least_one, end_with, parser_of
from contestants import CONTESTANTS
from pairs import Spoiled, pair
from picture import chart
from readers import allow_files

KINDS = ("single", "burst")
NEEDS = {"websockets": "websockets", "socketio": "socketio"}
NODE = "node"
_NPM_LIMIT = 90.0

Results = dict[str, list[dict[str, dict[str, float]]]]


@contextlib.contextmanager
def node_with_ws(wanted: str) -> Iterator[tuple[Path | None, str]]:
    """Install `ws` into a temporary folder; give the folder, or None and why not."""
    if wanted == "no":
        yield None, "not asked for (--node no)"
        return
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        yield None, "node or npm is not installed"
        return
    with tempfile.TemporaryDirectory(prefix="flock-ws-bench-") as name:
        folder = Path(name)
        shutil.copy(Path(__file__).with_name("broadcast.js"), folder)
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", name, "ws"]
        print("installing ws with npm into a temporary folder", file=sys.stderr)
        try:
            done = subprocess.run(  # noqa: S603 # npm, found above
                command, cwd=folder, timeout=_NPM_LIMIT, capture_output=True, text=True, check=False
            )
        except subprocess.TimeoutExpired:
            yield None, f"npm install ws took longer than {_NPM_LIMIT:g} s"
            return
        package = folder / "node_modules" / "ws" / "package.json"
        if done.returncode or not package.exists():
            yield None, f"npm install ws failed with code {done.returncode}"
            return
        version = json.loads(package.read_text())["version"]
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607 # found above
        yield folder, f"ws {version} on Node {node.stdout.strip()}"


def measure(
    name: str, arguments: argparse.Namespace, node: Path | None
) -> dict[str, dict[str, float]]:
    """Run one contestant once: single events, then bursts."""
    order: dict[str, Any] = {"do": "publish", "event_bytes": arguments.event_bytes}
    with pair(name, clients=arguments.clients, loop=arguments.loop, node=node) as both:
        both.run(**order, events=20, burst=1)
        both.run(**order, events=40, burst=20)
        single = both.run(**order, events=arguments.events, burst=1)
        burst = both.run(**order, events=arguments.events, burst=arguments.burst)
        if both.usage()["clients"] != arguments.clients:
            raise Spoiled(f"{name} has lost a client")
    return {"single": single, "burst": burst}


def spread(rounds: list[dict[str, dict[str, float]]], kind: str, what: str) -> list[float]:
    """Return the median, the least and the most of all rounds."""
    values = [one[kind][what] for one in rounds]
    return [statistics.median(values), min(values), max(values)]


def table(results: Results, labels: dict[str, str], arguments: argparse.Namespace) -> str:
    """Return what was measured, as text."""
    lines = []
    for kind, title in headings(arguments).items():
        common = spread(results["common"], kind, "cpu")[0] if "common" in results else None
        lines += [
            f"{title:<48}{'µs of CPU':>10}  {'min to max':<15}{'of common':>10}{'µs of wall':>12}"
        ]
        for name, rounds in results.items():
            cpu, least, most = spread(rounds, kind, "cpu")
            wall = spread(rounds, kind, "wall")[0]
            ratio = f"{cpu / common:.3f}" if common else ""
            between = f"{least:.2f} to {most:.2f}"
            lines.append(
                f"  {name:<12}{labels[name]:<34}{cpu:>10.2f}  {between:<15}{ratio:>10}{wall:>12.2f}"
            )
        lines.append("")
    return "\n".join(lines)


def headings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what the two kinds are called."""
    return {"single": "one awaited event", "burst": f"{arguments.burst} events in one turn"}


def picture(
    results: Results, labels: dict[str, str], arguments: argparse.Namespace, note: str
) -> str:
    """Return the SVG."""
    panels = [
        (
            f"{title}, µs of CPU",
            [
                (labels[name], *spread(rounds, kind, "cpu"))  # three numbers
                for name, rounds in results.items()
            ],
        )
        for kind, title in headings(arguments).items()
    ]
    return chart(
        "CPU of the server for one delivery (less is better)",
        panels,  # type: ignore[arg-type] # a list of three is three numbers
        note=note,
        ours=[labels[name] for name in ("fast", "plain") if name in labels],
        floor=[label for name, label in labels.items() if name.endswith("floor")],
    )


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add_clients(parser)
    add(
        "--events",
        type=at_least_one,
        default=300,
        help="broadcasts of each kind a round (%(default)s)",
    )
    add("--event-bytes", type=at_least_one, default=300, help="on the wire (%(default)s)")
    add(
        "--burst",
        type=at_least_one,
        default=20,
        help="events published together (%(default)s)",
    )
    add_rounds(parser, default=5)
    add("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="of the Python servers")
    add("--only", nargs="+", choices=[*CONTESTANTS, NODE], metavar="NAME", help="these alone")
    add("--node", choices=("auto", "no"), default="auto", help="Node's ws, where npm is there")
    add("--json", type=Path, metavar="FILE", help="write every number")
    add("--svg", type=Path, metavar="FILE", help="draw a picture")
    return parser


def main() -> int:
    """Run the rounds; print the table; write what is asked for."""
    arguments = options().parse_args()
    allow_files(arguments.clients + 200)
    wanted = arguments.only or [*CONTESTANTS, NODE]
    labels = {name: what for name, (what, _) in CONTESTANTS.items() if name in wanted}
    missing: dict[str, str] = {}
    for name, module in NEEDS.items():
        if name in labels and importlib.util.find_spec(module) is None:
            missing[labels.pop(name)] = f"{module} is not installed"
    with node_with_ws(arguments.node if NODE in wanted else "no") as (folder, what):
        if folder is not None:
            labels[NODE] = what
        elif NODE in wanted:
            missing["Node's ws"] = what
        results: Results = {name: [] for name in labels}
        for number in range(arguments.rounds):
            # Each round begins with another one: what warms up or cools down meets everybody.
            names = list(labels)
            first = number % len(names)
            for name in names[first:] + names[:first]:
                print(f"round {number + 1} of {arguments.rounds}: {name}", file=sys.stderr)
                try:
                    results[name].append(measure(name, arguments, folder))
                except Spoiled as error:
                    missing[f"{labels[name]}, round {number + 1}"] = str(error)
    results = {name: rounds for name, rounds in results.items() if rounds}
    packages = ("uvicorn", "websockets", "python-socketio", "uvloop")
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in packages
        if importlib.util.find_spec(package.removeprefix("python-")) is not None
    )
    machine = (
        f"{arguments.clients} clients, {arguments.event_bytes} bytes, {arguments.loop}, "
        f"medians of {arguments.rounds} rounds; Python {platform.python_version()}, "
        f"{versions}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    print(f"\nFor each delivery: {machine}\n\n{table(results, labels, arguments)}")
    for name, why in missing.items():
        print(f"missing: {name}: {why}")
    if arguments.json:
        record = {"machine": machine, "labels": labels, "missing": missing, "rounds": results}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")
    if arguments.svg:
        arguments.svg.parent.mkdir(parents=True, exist_ok=True)
        arguments.svg.write_text(picture(results, labels, arguments, machine))
    return 0 if results else 1


if __name__ == "__main__":
    end_with(main)
