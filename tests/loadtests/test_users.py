"""The users in locustfiles of somebody's own: real locust, real server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from loadtests.kinds import KINDS
from loadtests.ports import ReservedPort
from tests.nursery import Nursery

pytestmark = pytest.mark.sockets

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "locust-users.md"
LIMIT = 90.0
EVERY_KIND = """
import sys
from loadtests import users
from loadtests.errors import ScenarioError

OPTIONS = {
    # As many bytes as 200 events of 300, for a quarter of the cost.
    "publisher": {"rate": 50.0, "size_bytes": 1_200},
    "flapping": {"up": 1.0, "down": 0.3},
    "history_reader": {"path": "/api/streaming-history/publisher"},
}
for one in list(vars(users).values()):
    if isinstance(one, type) and issubclass(one, users.FlockUser) and one is not users.FlockUser:
        fields = {"fixed_count": 1, "turns": 1.0, "options": OPTIONS.get(one.kind, {})}
        if one.kind == "viewer":
            fields |= {"fixed_count": 3}
        globals()[f"One{one.__name__}"] = type(f"One{one.__name__}", (one,), fields)
try:
    type("Snail", (users.SlowUser,), {"options": {"rate": 1}})
except ScenarioError as error:
    print("refused:", error, file=sys.stderr)
"""
NOWHERE = """
from loadtests.users import ViewerUser

class Nowhere(ViewerUser):
    host = "ws://127.0.0.1:9/ws"
"""


class Run(NamedTuple):
    """What locust said at its end."""

    code: int
    entries: dict[str, dict[str, Any]]
    errors: str


@contextmanager
def serving(nursery: Nursery) -> Iterator[str]:
    words = ["--port", "0", "--heartbeat-interval", "0.5", "--pong-timeout", "1"]
    with nursery.start("flock_ws", "serve", *words) as server:
        yield json.loads(server.line())["url"]


def forked(port: int) -> list[str]:
    """Let locust fork two workers: a thread or a loop from before would be in neither.

    Its master listens on this machine alone, at a port of its own.
    """
    where = ["--master-bind-host", "127.0.0.1", "--master-bind-port", f"{port}"]
    return ["--processes", "2", *where, "--master-port", f"{port}"]


def locust(path: Path, *words: str, users: int, seconds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "locust", "--locustfile", str(path), "--headless", "--json"]
    command += ["--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s"]
    return subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--loglevel", "WARNING", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Run:
    shown, errors = process.communicate(timeout=LIMIT)
    entries = {entry["name"]: entry for found in lists(shown) for entry in found}
    return Run(process.returncode, entries, errors)


def lists(text: str) -> Iterator[list[dict[str, Any]]]:
    """Read list after list: forked workers write theirs, empty by then, beside the master's.

    They share its output, so that one may end in the middle of another's line.
    """
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        found, end = decoder.raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()


def test_lists_are_read_however_their_writers_took_turns() -> None:
    assert list(lists('[][]\n\n[{"name": "a"}]\n[]')) == [[], [], [{"name": "a"}], []]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> dict[str, Run]:
    """Run some locustfiles side by side, each against a server of its own if it needs one.

    The publishers of two would flood each other's viewers.
    """
    folder = tmp_path_factory.mktemp("locustfiles")
    files = {
        "own": PAGE.read_text().partition("```python\n")[2].partition("```")[0],
        "every": EVERY_KIND,
        "nowhere": NOWHERE,
    }
    paths = {name: folder / f"{name}.py" for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    with ReservedPort("127.0.0.1") as master, serving(nursery) as first, serving(nursery) as second:
        started = {
            "own": locust(paths["own"], *forked(master.port), "--host", first, users=12, seconds=4),
            "every": locust(paths["every"], "--host", second, users=13, seconds=5),
            "nowhere": locust(paths["nowhere"], users=1, seconds=2),
        }
        return {name: ended(process) for name, process in started.items()}


def test_the_pages_locustfile_runs_and_its_viewers_miss_nothing(runs: dict[str, Run]) -> None:
    code, entries, errors = runs["own"]
    assert code == 0, errors
    assert "Traceback" not in errors
    assert entries["push viewer"]["num_requests"] > 1_000
    assert not any(entry["num_failures"] for entry in entries.values())


def test_a_class_may_name_its_cohort(runs: dict[str, Run]) -> None:
    assert runs["own"].entries["return trains"]["num_requests"] >= 1


def test_tasks_of_a_subclass_run(runs: dict[str, Run]) -> None:
    assert runs["own"].entries["looked"]["num_requests"] >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_users_of_every_kind_connect(kind: str, runs: dict[str, Run]) -> None:
    entry = runs["every"].entries[f"connect {kind}"]
    assert (entry["num_requests"], entry["num_failures"]) == (3 if kind == "viewer" else 1, 0)


@pytest.mark.parametrize(
    "kind", ["viewer", "pulsing", "flooder", "history_reader", "publisher", "flapping"]
)
def test_who_is_no_trouble_is_pushed_to_and_not_dropped(kind: str, runs: dict[str, Run]) -> None:
    entries = runs["every"].entries
    assert entries[f"push {kind}"]["num_requests"] > 100
    assert not [name for name in entries if name.startswith(f"close {kind}")]


@pytest.mark.parametrize("kind", ["slow", "stalled"])
def test_who_reads_badly_finds_at_the_end_that_it_was_dropped(
    kind: str, runs: dict[str, Run]
) -> None:
    entries = runs["every"].entries
    # One that still reads a little may find the close frame before the end of its connection.
    found = [entries[name] for name in entries if name.startswith(f"close {kind} ")]
    assert [(entry["num_requests"], entry["num_failures"]) for entry in found] == [(1, 0)]


def test_who_answers_no_ping_is_closed_with_a_code(runs: dict[str, Run]) -> None:
    names = [name for name in runs["every"].entries if name.startswith("close never_pongs")]
    assert len(names) == 1
    # The pong timeout of one second, and the heartbeat's rhythm.
    assert 500 < runs["every"].entries[names[0]]["min_response_time"] < 5_000


def test_a_flapping_user_returns(runs: dict[str, Run]) -> None:
    entry = runs["every"].entries["return flapping"]
    assert entry["num_requests"] >= 2
    assert entry["min_response_time"] >= 290


@pytest.mark.parametrize("name", ["history history_reader", "publish publisher"])
def test_requests_are_counted(name: str, runs: dict[str, Run]) -> None:
    entry = runs["every"].entries[name]
    assert entry["num_requests"] >= 4
    assert entry["num_failures"] == 0


def test_an_option_that_a_kind_does_not_take_is_refused_with_its_class(
    runs: dict[str, Run],
) -> None:
    refusal = "refused: a user of kind slow has no option 'rate'; it takes bytes_per_second"
    assert refusal in runs["every"].errors


def test_without_a_server_a_user_fails_to_connect_and_locust_says_so(runs: dict[str, Run]) -> None:
    code, entries, _ = runs["nowhere"]
    assert list(entries) == ["connect viewer"]
    assert entries["connect viewer"]["num_failures"] == 1
    assert code == 1
