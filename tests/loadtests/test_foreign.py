"""Whole runs against servers of other kinds: what they tell is judged, what not is said so."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flock_ws.cli import main
from loadtests.access import Access
from loadtests.answers import Verdict
from loadtests.catalogue import read
from loadtests.live import Progress
from loadtests.report.documents import Run
from loadtests.run import execute
from loadtests.scenario import Scenario
from loadtests.verdict import Judgement, judge

pytestmark = pytest.mark.sockets

SERVERS = Path(__file__).with_name("servers")
CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"
LIMIT = 90.0
SCENARIO = """\
name = "feed"
proves = "every viewer gets every tick"
rate = 100
size_bytes = 300
duration = 2
ramp = 0.2
baseline = 1
thresholds = ["healthy.latency.p99 < 5", "healthy.lost == 0"]

# What is asked here does not depend on how busy the machine is.
[limits]
generator_lag = 5
generator_cpu = 5
publisher_late = 5

[[cohorts]]
name = "healthy"
user = "viewer"
count = 3
"""
ENTRY = Access(
    headers={"X-Api-Key": "open-sesame"},
    subprotocols=("feed.v2",),
    messages=('{"subscribe": "ticks"}',),
    sequence_path="data.seq",
)
WORDS = [
    *("--header", "X-Api-Key: open-sesame", "--subprotocol", "feed.v2"),
    *("--message", '{"subscribe": "ticks"}'),
    *("--sequence-path", "data.seq", "--time-path", "data.ts"),
]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "feed.toml"
    path.write_text(SCENARIO)
    return path


@contextlib.contextmanager
def feed(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(SERVERS / "feed.py"), *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process
        finally:
            process.kill()


def known(output: Path, scenario: Path) -> dict[str, Any]:
    """Run the command in this process against a feed, and return what it wrote."""
    with feed(str(CERTIFICATE)) as (url, _), pytest.MonkeyPatch.context() as patch:
        words = ["load", url, *WORDS, "--ca", str(CERTIFICATE), "--scenario", str(scenario)]
        words += ["--output", str(output)]
        # The record tells what repeats it.
        patch.setattr(sys, "argv", ["flock-ws", *words])
        code = main(words)
    form: dict[str, Any] = json.loads(output.read_text())
    assert code == form["exit_code"]
    return form


def unknown(scenario: Scenario) -> Run:
    record = execute(scenario, app="chat:app", path="/chat")
    return Run(record, judge(record))


def dying(scenario: Scenario) -> Judgement:
    with feed() as (url, server):

        def kill_it_in_the_middle(progress: Progress) -> None:
            if progress.note == "listening begins":
                server.kill()

        return judge(execute(scenario, url=url, access=ENTRY, on_progress=kill_it_in_the_middle))


class Runs(NamedTuple):
    """Runs against servers of three kinds."""

    known: dict[str, Any]
    unknown: Run
    dying: Judgement

    def verdict(self, key: str) -> str:
        answers = {one["key"]: one["verdict"] for one in self.known["answers"]}
        return str(answers[key])


@pytest.fixture(scope="module")
def runs(scenario: Path) -> Runs:
    """Run them side by side: each waits for most of its time."""
    read_here = read(scenario)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as threads:
        # The application is looked for in the working directory.
        patch.chdir(SERVERS)
        foreign = threads.submit(unknown, read_here)
        dead = threads.submit(dying, read_here.changed(duration=60))
        seen = known(scenario.with_name("run.json"), scenario)
        return Runs(seen, foreign.result(timeout=LIMIT), dead.result(timeout=LIMIT))


def test_a_feed_over_tls_is_judged_by_its_own_numbers_and_times(runs: Runs) -> None:
    assert runs.known["exit_code"] == 0, runs.known["line"]
    clients = runs.known["record"]["results"]["clients"]
    assert len(clients) == 3
    # 2 s at 100 a second, and what came before and after.
    assert all(client["received"] >= 180 for client in clients)
    assert runs.verdict("healthy.complete") == "PASS"
    assert runs.verdict("healthy.latency.p99 < 5") == "PASS"


def test_what_cannot_be_seen_from_outside_is_not_offered(runs: Runs) -> None:
    assert runs.verdict("zombies") == "NOT OFFERED"
    assert runs.verdict("publisher") == "NOT OFFERED"


def test_what_lets_one_in_is_not_written_down(runs: Runs) -> None:
    assert "open-sesame" not in json.dumps(runs.known)
    assert "X-Api-Key: ***" in runs.known["record"]["command"]


def test_of_events_without_number_and_time_nothing_is_claimed(runs: Runs) -> None:
    judgement = runs.unknown.judgement
    assert judgement.exit_code == 0, judgement.line
    verdicts = {one.key: one.verdict for one in judgement.answers}
    for key in ("healthy.lost == 0", "healthy.latency.p99 < 5", "healthy.complete"):
        assert verdicts[key] is Verdict.NOT_OFFERED


def test_an_application_of_somebody_elses_is_served_and_its_messages_counted(runs: Runs) -> None:
    record = runs.unknown.record
    assert all(client.others > 20 for client in record.results.clients)
    assert record.server.started_here


def test_a_server_that_dies_in_the_middle_and_tells_nothing_is_a_failure_that_says_when(
    runs: Runs,
) -> None:
    assert runs.dying.exit_code == 1
    assert "FAIL: the server died" in runs.dying.line
    assert "into the run: nothing listens any more" in runs.dying.line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--app", "chat:app", "--path", "/nowhere"], "HTTP 403 Forbidden"),
        (["--app", "chat:app", "--path", "chat"], "--path begins with a slash"),
        (["--app", "chat:app", "--manager", "a:B"], "leave out --manager"),
        (["ws://h/ws", "--app", "chat:app"], "leave out the URL"),
        (["ws://h/ws", "--insecure"], "--insecure is for wss:// addresses"),
        (["wss://h/ws", "--ca", "missing.pem"], "missing.pem: No such file"),
        (["ws://h/ws", "--header", "nothing"], "expected 'Name: value'"),
    ],
)
def test_a_wrong_way_in_is_one_line_and_exit_code_2(
    words: list[str],
    message: str,
    scenario: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The application is looked for in the working directory.
    monkeypatch.chdir(SERVERS)
    output = ["--output", str(scenario.with_name("nothing.json"))]
    assert main(["load", *words, "--scenario", str(scenario), *output]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert not scenario.with_name("nothing.json").exists()
