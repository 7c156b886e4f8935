"""Whole runs, as a person starts them: real server, real locust, exit code and all."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flock_ws.cli import main
from loadtests.catalogue import BUILT_IN, built_in, read, text
from loadtests.live import Progress
from loadtests.metrics import METRICS
from loadtests.observer import Observer
from loadtests.plan import Plan
from loadtests.record import ServerRecord
from loadtests.run import _Course, execute
from loadtests.scenario import Scenario
from loadtests.verdict import Judgement, judge
from tests.nursery import Nursery

pytestmark = pytest.mark.sockets

MANAGERS = Path(__file__).with_name("managers")
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "own-scenario.md"
LIMIT = 120.0
PATIENT = """
[limits]
generator_lag = 5
generator_cpu = 5
publisher_late = 5
"""
LENIENT = [
    *("--threshold", "healthy.latency.p99 < 5"),
    *("--threshold", "healthy.latency.p99[faults] < 5"),
    *("--threshold", "evicted.laptops.max < 9"),
    *("--threshold", "evicted.trains.max < 9"),
    *("--threshold", "publisher.block_max < 9"),
]
FEW: dict[str, Any] = {"rate": 50.0, "size_bytes": 1_200}
"""As many bytes a second in a quarter of the events, which is what a run costs."""

WRONG = {
    "waits for all": "waits_for_all:SequentialManager",
    "forgets": "common_pattern:GatheringManager",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the scenario that the page on own scenarios shows.

    What it asks of the time that things take must not depend on how busy this machine is.
    """
    path = tmp_path_factory.mktemp("scenario") / "mine.toml"
    shown = PAGE.read_text().partition("```toml\n")[2].partition("```")[0]
    path.write_text(f"{shown}{PATIENT}")
    return path


def load(own: Path, *words: str, output: Path) -> dict[str, Any]:
    """Run the command in this process; its server and its generator have their own."""
    asked = ["--scenario", str(own), "--rate", "50", "--size", "1200", *LENIENT, *words]
    code = main(["load", *asked, "--output", str(output)])
    form: dict[str, Any] = json.loads(output.read_text())
    assert code == form["exit_code"]
    return form


@pytest.fixture(scope="module")
def kept(own: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run with the reference left behind, where locust's own options would disturb it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCUST_USERS", "1")
        patch.setenv("LOCUST_PROCESSES", "2")
        return load(own, output=tmp_path_factory.mktemp("kept") / "run.json")


class Killed(NamedTuple):
    """A run whose server was killed in the middle."""

    judgement: Judgement
    notes: list[str]


def killed(scenario: Scenario, nursery: Nursery) -> Killed:
    notes: list[str] = []
    with nursery.start("flock_ws", "serve", "--port", "0") as server:
        url = json.loads(server.line())["url"]

        def kill_it_in_the_middle(progress: Progress) -> None:
            notes.append(progress.note)
            if progress.note == "publishing begins":
                server.kill()

        record = execute(scenario, url=url, on_progress=kill_it_in_the_middle)
    return Killed(judge(record), notes)


class Runs(NamedTuple):
    """Runs that end badly."""

    failed: dict[str, Judgement]
    killed: Killed


@pytest.fixture(scope="module")
def runs(own: Path, nursery: Nursery) -> Runs:
    """Run the scenario side by side: each waits for most of its time."""
    few = read(own).changed(**FEW)
    long = few.changed(size_bytes=4_800, duration=4.6)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as threads:
        # A server looks for its manager in the working directory.
        patch.chdir(MANAGERS)
        wrong = {
            name: threads.submit(lambda manager: judge(execute(long, manager=manager)), manager)
            for name, manager in WRONG.items()
        }
        dying = threads.submit(killed, few.changed(duration=60), nursery)
        return Runs(
            failed={name: run.result(timeout=LIMIT) for name, run in wrong.items()},
            killed=dying.result(timeout=LIMIT),
        )


def test_the_reference_passes_and_locust_counted_every_push(kept: dict[str, Any]) -> None:
    # Whatever is asked of time may stay open on a busy machine, and for no other reason.
    assert kept["verdict"] != "FAIL", kept["line"]
    assert [one for one in kept["reasons"] if "no core free" not in one] == []
    results = kept["record"]["results"]
    healthy = [client for client in results["clients"] if client["cohort"] == "dashboards"]
    received = sum(client["received"] for client in healthy)
    assert received == 8 * 300
    entries = {entry["name"]: entry for entry in results["statistics"]}
    assert entries["push dashboards"]["num_requests"] == received
    reasons = {
        one["client"].partition("-")[0]: one for one in kept["record"]["server"]["evictions"]
    }
    assert reasons["laptops"]["reason"] == reasons["snails"]["reason"] == "send_timeout"


def test_a_manager_that_waits_for_everybody_never_evicts(runs: Runs) -> None:
    failed = runs.failed["waits for all"]
    assert failed.exit_code == 1
    assert failed.reasons[0] == "laptops and snails clients were never evicted"
    assert failed.reasons[1].startswith("the publisher was blocked for")
    assert "healthy clients missed up to" in failed.line


def test_a_manager_that_forgets_whom_it_drops_leaves_zombies(runs: Runs) -> None:
    failed = runs.failed["forgets"]
    assert failed.exit_code == 1
    assert "evicted clients still had their connection at the end" in failed.reasons[0]


def test_a_run_too_short_to_fill_the_pipe_is_inconclusive(own: Path, tmp_path: Path) -> None:
    form = load(own, "--duration", "1", output=tmp_path / "run.json")
    assert form["exit_code"] == 3, form["line"]
    told = " ".join(form["reasons"])
    assert "after laptops clients stopped reading, and" in told
    assert "s are needed: try --duration" in told


def test_a_server_that_dies_in_the_middle_fails_with_the_time(runs: Runs) -> None:
    judgement, notes = runs.killed
    assert judgement.exit_code == 1
    assert "FAIL: the server died" in judgement.line
    assert "nothing listens any more" in judgement.line
    assert any(note.startswith("the server is gone") for note in notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenario", "strom"], "no scenario 'strom' (there are: storm, isolation"),
        (["--scenario", "mine.toml"], "mine.toml: cannot be read: No such file"),
        (["--healthy", "0"], "there must be at least one viewer"),
        (["--clients", "healthy"], "--clients takes COHORT=N, like healthy=100, not 'healthy'"),
        (["--clients", "ded=3"], "storm has no cohort 'ded' (there are: healthy, slow"),
        (["--threshold", "healthy.latency.p98 < 1"], "there is no metric 'healthy.latency.p98'"),
        (["--threshold", "healthy.latency.p99"], "it must be one comparison"),
        (["--threshold", "healthy.latency.p99[soon] < 1"], "storm has no window 'soon'"),
        (["ws://127.0.0.1:9/ws"], "nothing listens at 127.0.0.1:9"),
        (["ws://h/ws", "--manager", "a:B"], "leave out the URL"),
        (["--no-publish"], "--no-publish needs the URL"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", *words, "--output", str(tmp_path / "run.json")]) == 2
    shown, told = capsys.readouterr()
    assert shown == ""
    assert told.count("\n") == 1
    assert message in told
    assert not (tmp_path / "run.json").exists()


def test_the_list_names_every_scenario_with_what_it_proves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["load", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name:10}{built_in(name).proves}"[:60] in shown for name in BUILT_IN)


def test_a_shown_scenario_is_the_file_as_it_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["load", "--show", "storm"]) == 0
    assert capsys.readouterr().out == text("storm")


def test_the_list_of_metrics_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--list-metrics"]) == 0
    shown = capsys.readouterr().out
    assert all(metric.name in shown for metric in METRICS)


def test_an_output_that_cannot_be_written_is_found_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", "--output", str(tmp_path / "missing" / "run.json")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "there is no folder" in told.err


def test_only_of_cohorts_that_must_be_dropped_the_dropped_are_told() -> None:
    users = {"healthy": "viewer", "laptops": "stalled", "trains": "flapping"}
    form = [{"name": name, "user": user, "count": 2} for name, user in users.items()]
    scenario = Scenario.from_json({"name": "mixed", "proves": "who goes", "cohorts": form})
    plan, record = Plan(scenario=scenario, url="ws://127.0.0.1:9/ws"), ServerRecord(url="")
    observer, told = Observer(plan, record), list[Progress]()
    # A client that drops its connection in the middle of a send is evicted, and comes back.
    names = [f"laptops-1.{plan.tag}", f"laptops-2.{plan.tag}", f"trains-1.{plan.tag}"]
    evictions = [{"number": n, "client": name, "at": 3.0} for n, name in enumerate(names)]
    answer = {"evictions": evictions, "server": {"time": 3.0, "clock": 3.0}}
    observer._take(answer, at=plan.origin + 3.0)
    _Course(plan, record, None, observer, told.append).note("so far")
    assert told[0].evicted == 3
    assert told[0].dropped == {"laptops": 2}


def test_the_process_that_runs_and_judges_is_never_patched() -> None:
    # Locust patches whatever imports it; a server or a judge in the same process would hang.
    script = "import sys, loadtests.command; print(*{'locust', 'gevent'} & set(sys.modules))"
    told = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == []
