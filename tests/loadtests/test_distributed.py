"""Runs in several processes: nothing is lost on the way to the master, or it is said so."""

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests import generator
from loadtests.errors import LoadTestError
from loadtests.generator import Crew
from loadtests.ports import ReservedPort
from loadtests.record import Record
from loadtests.run import execute
from loadtests.scenario import Scenario
from loadtests.verdict import judge

pytestmark = pytest.mark.sockets

SLOW_STOP = Path(__file__).with_name("servers") / "slow_stop.py"
FLOCK = [sys.executable, "-m", "flock_ws"]
LIMIT = 90.0
HEALTHY, RATE, DURATION = 7, 50, 3
SCENARIO = {
    "name": "shared",
    "proves": "that nothing is lost",
    "rate": RATE,
    "size_bytes": 300,
    "duration": DURATION,
    "ramp": 0.3,
    "baseline": 1.0,
    "cohorts": [
        {"name": "healthy", "user": "viewer", "count": HEALTHY},
        {"name": "stalled", "user": "stalled", "count": 3},
    ],
    "limits": {"generator_lag": 5, "generator_cpu": 5, "publisher_late": 5},
}


@contextlib.contextmanager
def guest(address: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [*FLOCK, "load", "--join", address], stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Record, int]]:
    """A run of a worker here and of one that joined; the users of the first are slow to stop."""
    with (
        ReservedPort("127.0.0.1") as reserved,
        guest(address := f"127.0.0.1:{reserved.port}") as process,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(generator, "LOCUSTFILE", SLOW_STOP)
        scenario = Scenario.from_json(SCENARIO)
        record = execute(scenario, crew=Crew(workers=1, guests=1, bind=address))
        yield record, process.wait(timeout=LIMIT)


def test_every_push_is_accounted_for_though_the_users_are_slow_to_stop(
    shared: tuple[Record, int],
) -> None:
    record, _ = shared
    results = record.results
    assert results.generator.error is None
    healthy = [client for client in results.clients if client.cohort == "healthy"]
    assert [client.received for client in healthy] == [RATE * DURATION] * HEALTHY
    pushes = sum(histogram.count for histogram in results.series["healthy"].values())
    entries = {entry["name"]: entry["num_requests"] for entry in results.statistics}
    assert pushes == entries["push healthy"] == RATE * DURATION * HEALTHY


def test_the_clients_are_shared_and_no_two_have_the_same_name(
    shared: tuple[Record, int],
) -> None:
    names = [client.name for client in shared[0].results.clients]
    assert len(names) == len(set(names)) == 10
    numbers = [int(name.partition("-")[2].partition(".")[0]) for name in names]
    # Of two processes each second number belongs to one.
    assert len(Counter(number % 2 for number in numbers)) == 2
    assert shared[0].results.generator.processes == 2


def test_they_begin_and_turn_at_the_same_moment(shared: tuple[Record, int]) -> None:
    turned = [
        client.faulty_at
        for client in shared[0].results.clients
        if client.cohort == "stalled" and client.faulty_at is not None
    ]
    assert len(turned) == 3
    assert max(turned) - min(turned) < 0.5
    assert min(turned) == pytest.approx(shared[0].faults_at, abs=0.5)


def test_one_that_joined_ends_with_the_run(shared: tuple[Record, int]) -> None:
    assert shared[1] == 0


def test_a_failed_generator_is_never_a_pass(shared: tuple[Record, int]) -> None:
    record = shared[0].model_copy(deep=True)
    record.results.generator.error = "no results came from worker 1 of 2"
    judgement = judge(record)
    assert judgement.exit_code != 0
    assert "no results came from worker 1 of 2" in " ".join(judgement.reasons)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "--workers must be at least 0, not -1"),
        ({"bind": "nowhere"}, "--bind takes HOST:PORT"),
        ({"bind": "h:70000"}, "--bind takes HOST:PORT"),
        ({"guests": 1}, "--remote-workers needs --bind HOST:PORT"),
    ],
)
def test_a_crew_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(LoadTestError, match=message):
        Crew(**options)  # type: ignore[arg-type]  # of several kinds


def test_one_process_does_it_all_unless_more_are_asked_for() -> None:
    assert not Crew().distributed
    assert Crew(workers=1).distributed


@pytest.mark.parametrize(
    ("workers", "servers", "cores", "told"),
    [
        (2, 1, 2, "2 workers and the server share 2 cores"),
        (3, 0, 2, "3 workers share 2 cores"),
        (1, 1, 1, "1 worker and the server share 1 core:"),
        (1, 1, 2, ""),
        (2, 0, 2, ""),
        (0, 1, 1, ""),
        (8, 1, None, ""),
    ],
)
def test_more_workers_than_free_cores_are_said_to_carry_no_more(
    workers: int, servers: int, cores: int | None, told: str
) -> None:
    said = Crew(workers=workers).crowding(servers=servers, cores=cores)
    assert said.startswith(told)
    assert bool(said) == bool(told)
