"""What hostile clients try against ``flock-ws serve``, and what it costs it.

    python benchmarks/hostile.py              # all of them, about a minute
    python benchmarks/hostile.py --only ping  # those with this word in their name
    python benchmarks/hostile.py --write      # all of them, into docs/security.md

Each attack runs against a server in a process of its own, which publishes 50 events a second to a
healthy client. Printed is the table of docs/security.md: how it ended for the attackers, by how
much the server's memory grew at most (Linux keeps a high-water mark of the resident size), and how
late its event loop woke at worst, which is what healthy clients feel. The exit code is 1 when one
of the bounds does not hold. `tests/flock_ws/test_security.py` runs the same attacks, and judges
everything but the lag, which depends on what else the machine does.
"""

import asyncio
import contextlib
import itertools
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from attacks import ATTACKS, TOKEN, Attack, Served
from command_line import end_with, parser_of

from simulators.errors import NotSeen
from simulators.sockets import SocketClient

MIB = 1024 * 1024
PAGE = Path(__file__).parents[1] / "docs" / "security.md"
HEAD = (
    "| attack | what they do | what holds | how it ends | memory | loop lag |\n"
    "|---|---|---|---|---|---|\n"
)
OPTIONS = ("--events", "50")
PATIENCE = 15.0
_BEFORE_AND_AFTER = 3
# What the server tells is the worst of a second at least.
_LOOKED_AT_EVERY = 0.5
# Nothing is encrypted here, and to load the certificates of all authorities takes 20 ms.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What an attack did.

    Attributes:
        ended: what became of the attackers.
        grown_bytes: by how much the server's memory grew at most.
        loop_lag: seconds that its loop woke too late, at worst.
        missed: events that the healthy client did not get, or got in disorder.
        healthy: whether the healthy client was still there, and served.
    """

    ended: str
    grown_bytes: int
    loop_lag: float
    missed: int
    healthy: bool


@contextlib.contextmanager
def process(*options: str, environment: dict[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """Serve; give port and process id."""
    serving = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "flock_ws", "serve", "--port", "0", *OPTIONS, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line for each eviction: nobody would empty a pipe
        text=True,
        env=os.environ | (environment or {}),
    )
    try:
        line = serving.stdout.readline() if serving.stdout else ""
        if not line:
            raise SystemExit(f"no server: flock-ws serve {' '.join(options)} did not start")
        yield json.loads(line)["port"], serving.pid
    finally:
        serving.kill()
        serving.communicate()


async def suffer(attack: Attack, *, port: int, pid: int) -> Damage:
    """Play an attack against a server, and tell the damage."""
    headers = {"Authorization": f"Bearer {TOKEN}"} if attack.environment else {}
    # A connection that is kept may be closed by the server at the moment of its next use.
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers=headers,
        timeout=PATIENCE,
        limits=limits,
        verify=_NO_TLS,
    ) as http:
        served = Served(port=port, http=http)
        async with SocketClient(served.url, headers=headers) as healthy:
            await healthy.wait_received(_BEFORE_AND_AFTER, timeout=PATIENCE)
            memory = _Memory(pid)
            lags: list[float] = []
            watching = asyncio.create_task(_watch(served, lags))
            try:
                ended = await attack.play(served)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            grown_bytes = memory.grown_bytes()
            # The overview may be of before; this is of the last second or two.
            lags.append((await http.get("/api/stats")).json()["server"]["loop_lag"])
            seen = healthy.received_messages
            # Who was dropped is a finding, and the table's next rows are wanted as well.
            with contextlib.suppress(NotSeen):
                await healthy.wait_received(seen + _BEFORE_AND_AFTER, timeout=PATIENCE)
            served_after = healthy.received_messages >= seen + _BEFORE_AND_AFTER
            return Damage(
                ended=ended,
                grown_bytes=grown_bytes,
                loop_lag=max(lags),
                missed=_missed(healthy),
                healthy=healthy.connected and served_after,
            )


class _Memory:
    """The resident size of a process, and its high-water mark from now on."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        (self._process / "clear_refs").write_text("5", encoding="ascii")
        self._before = self._read("VmRSS")

    def grown_bytes(self) -> int:
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        status = (self._process / "status").read_text(encoding="ascii")
        return int(status.partition(f"{name}:")[2].split()[0]) * 1024


async def _watch(served: Served, lags: list[float]) -> None:
    while True:
        lags.append((await served.overview())["server"]["loop_lag"])
        await asyncio.sleep(_LOOKED_AT_EVERY)


def _missed(healthy: SocketClient) -> int:
    told = [json.loads(payload) for payload, _ in healthy.received]
    numbers = [event["sequence"] for event in told if event["agent_name"] == "synthetic"]
    return sum(later - number != 1 for number, later in itertools.pairwise(numbers))


def held(attack: Attack, damage: Damage) -> bool:
    """Whether everything was as the attack's row promises."""
    sound = damage.ended == attack.ends and damage.healthy and not damage.missed
    small = damage.grown_bytes <= attack.most_bytes
    return sound and small and damage.loop_lag <= attack.most_lag


def row(attack: Attack, damage: Damage) -> str:
    """Return one line of the table."""
    ended = damage.ended if damage.healthy else f"{damage.ended}; **the healthy one was lost**"
    return (
        f"| {attack.name} | {attack.tries} | {attack.held_by} | {ended} "
        f"| {damage.grown_bytes / MIB:.1f} of {attack.most_bytes // MIB} MiB "
        f"| {damage.loop_lag * 1_000:.0f} of {attack.most_lag * 1_000:.0f} ms "
        f"|{'' if held(attack, damage) else ' **not held** |'}"
    )


def write(rows: list[str]) -> None:
    """Put the rows into the page, in the place of those that are there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    _, _, after = rest.partition("\n\n")
    table = "".join(f"{line}\n" for line in rows)
    PAGE.write_text(f"{before}{HEAD}{table}\n{after}", encoding="utf-8")


def main() -> int:
    """Run the attacks and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", default="", help="attacks with this in their name")
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    arguments = parser.parse_args()
    chosen = [attack for attack in ATTACKS if arguments.only in attack.name]
    if not chosen:
        names = ", ".join(attack.name for attack in ATTACKS)
        parser.error(f"--only: no attack has {arguments.only!r} in its name: {names}")
    if arguments.write and len(chosen) < len(ATTACKS):
        parser.error("--write is for the whole table: leave --only out")
    if not Path("/proc/self/clear_refs").exists():
        parser.error("this needs Linux, which tells the most memory that a process has had")
    print(HEAD, end="")
    rows, broken = [], 0
    for attack in chosen:
        with process(*attack.options, environment=attack.environment) as (port, pid):
            damage = asyncio.run(suffer(attack, port=port, pid=pid))
        broken += not held(attack, damage)
        rows.append(row(attack, damage))
        print(rows[-1], flush=True)
    if arguments.write:
        write(rows)
    return 1 if broken else 0


if __name__ == "__main__":
    end_with(main)
