"""The pytest plugin, by what it prints in runs of its own."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import simulators

pytest_plugins = ["pytester"]

# pytester forgets what an inner run imported; the package would go on holding those classes.
for _name in simulators.__all__:
    getattr(simulators, _name)

_ROOT = Path(__file__).parents[2]
_SCOPE = "asyncio_default_fixture_loop_scope=function"
_COMPANY = {
    "neither": [],
    "asyncio-strict": ["-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=strict", "-o", _SCOPE],
    "asyncio-auto": ["-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", "-o", _SCOPE],
    "anyio": ["-p", "anyio.pytest_plugin"],
}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Run(pytester)


class Run:
    """Runs a test file with our plugin in a process of its own loop."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def __call__(self, source: str, *options: str, settings: str = "") -> pytest.RunResult:
        self.pytester.makepyfile(test_it="import asyncio\nimport pytest\n" + source)
        # Two plugins of the environment have marks of these names, and are not always loaded.
        markers = "markers =\n    asyncio: of pytest-asyncio\n    anyio: of anyio\n"
        self.pytester.makeini(f"[pytest]\n{markers}{settings}")
        return self.again(*options)

    def again(self, *options: str) -> pytest.RunResult:
        plugin = ("-p", "simulators.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")
        # It was imported by the pytest around this one; before 9.2 that was worth a warning.
        known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        return self.pytester.runpytest_inprocess(*plugin, *known, "--strict-markers", *options)


# Asynchronous tests

_SUITE = """
from simulators import SimLoop

def in_virtual_time():
    return isinstance(asyncio.get_running_loop(), SimLoop)

@pytest.mark.flock
async def test_marked():
    await asyncio.sleep(86_400)
    assert in_virtual_time()

async def test_with_a_fixture(flock_clients):
    client = flock_clients.healthy()
    await client.send_text("x")
    await asyncio.sleep(86_400)
    assert in_virtual_time()

@pytest.mark.asyncio
@pytest.mark.flock(seed=3)
async def test_marked_for_both():
    assert asyncio.get_running_loop().seed == 3

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.flock
async def test_with_parameters(number, tmp_path):
    await asyncio.sleep(number)
    assert asyncio.get_running_loop().time() == number

@pytest.mark.flock
class TestInAClass:
    async def test_with_self(self, request):
        assert request.instance is self
        assert in_virtual_time()

def test_plain():
    pass
"""


@pytest.mark.parametrize("company", _COMPANY)
def test_it_runs_its_tests_beside_every_plugin(run: Run, company: str) -> None:
    run(_SUITE, *_COMPANY[company]).assert_outcomes(passed=7)


@pytest.mark.parametrize("company", ["asyncio-strict", "asyncio-auto"])
def test_a_module_marked_for_another_plugin_is_still_ours_where_the_marker_says_so(
    run: Run, company: str
) -> None:
    source = "pytestmark = pytest.mark.asyncio\n" + _SUITE
    result = run(source, *_COMPANY[company], "-k", "test_marked or parameters or self")
    result.assert_outcomes(passed=5, deselected=2)


def test_a_test_marked_for_another_plugin_may_use_the_fixtures_on_its_own_loop(run: Run) -> None:
    source = """
    @pytest.mark.asyncio
    async def test_real(flock_clients):
        from simulators import SimLoop
        assert not isinstance(asyncio.get_running_loop(), SimLoop)
        client = flock_clients.healthy()
        await client.send_text("x")
        assert client.messages == ["x"]
    """
    run(_dedent(source), *_COMPANY["asyncio-strict"]).assert_outcomes(passed=1)


def test_an_asynchronous_test_that_asks_for_nothing_of_ours_is_not_run(run: Run) -> None:
    result = run("async def test_foreign(): pass\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_a_fixture_of_the_projects_own_with_such_a_name_draws_nobody_in(run: Run) -> None:
    source = """
    @pytest.fixture
    def flock_of_sheep():
        return 3

    async def test_theirs(flock_of_sheep):
        from simulators import SimLoop
        assert not isinstance(asyncio.get_running_loop(), SimLoop)
    """
    run(_dedent(source), *_COMPANY["asyncio-auto"]).assert_outcomes(passed=1)


def test_the_marker_passes_its_options_on(run: Run) -> None:
    source = """
    @pytest.mark.flock(seed=7, interleaving="random", start=10, horizon=5)
    async def test_options(flock_clock):
        assert (flock_clock.seed, flock_clock.interleaving) == (7, "random")
        assert flock_clock.time() == 10
        await asyncio.sleep(6)
    """
    result = run(_dedent(source))
    result.stdout.fnmatch_lines(
        [
            "*lies beyond the horizon of 5 s*",
            "seed 7, interleaving random, start 10, horizon 5; the clock shows 10 s",
        ]
    )


def test_a_marker_with_an_unknown_option_is_refused_with_those_it_takes(run: Run) -> None:
    result = run("@pytest.mark.flock(sed=7)\nasync def test_typo(): pass\n")
    result.stdout.fnmatch_lines(["*takes horizon, interleaving, max_steps, seed, start*not sed*"])
    assert result.ret != 0


def test_a_seed_that_is_no_number_is_refused(run: Run) -> None:
    result = run("@pytest.mark.flock(seed='x')\nasync def test_typo(): pass\n")
    result.stdout.fnmatch_lines(["*the marker's seed must be a whole number, not 'x'*"])
    assert result.ret != 0


def test_the_clock_of_another_loop_is_refused(run: Run) -> None:
    source = """
    from simulators import sim_test

    @sim_test
    async def test_one(flock_clock):
        pass

    @pytest.mark.asyncio
    async def test_other(flock_clock):
        pass
    """
    result = run(_dedent(source), *_COMPANY["asyncio-strict"])
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["flock_clock is not the loop of this test*@pytest.mark.flock*"])


def test_a_failure_by_a_fixture_of_another_loop_names_the_fixture(run: Run) -> None:
    source = """
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def server():
        task = asyncio.create_task(asyncio.sleep(10))
        yield task
        task.cancel()

    @pytest.mark.flock
    async def test_mixed(server):
        await server
    """
    result = run(_dedent(source), *_COMPANY["asyncio-strict"])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["another plugin ran server on a loop of its own: make it a plain*"]
    )


# Synchronous tests and fixtures


def test_a_synchronous_test_drives_the_clock(run: Run) -> None:
    source = """
    def test_drives(flock_clock, flock_clients):
        client = flock_clients.healthy()
        flock_clock.call_later(60, client.die)
        flock_clock.run_until_complete(client.send_text("x"))
        flock_clock.advance(59)
        assert client.connected
        flock_clock.advance(1)
        assert not client.connected
    """
    run(_dedent(source)).assert_outcomes(passed=1)


def test_the_clients_are_named_by_kind_and_remembered(run: Run) -> None:
    source = """
    from simulators import Behaviour

    async def test_names(flock_clients):
        one, two = flock_clients.stalled(2)
        flock_clients.slow(delay=1.0)
        flock_clients.dead()
        flock_clients.of(Behaviour(name="mine"), name="me")
        assert [client.name for client in flock_clients] == [
            "stalled-1", "stalled-2", "slow-1", "dead-1", "me"
        ]
        assert len(flock_clients) == 5
    """
    run(_dedent(source)).assert_outcomes(passed=1)


def test_events_follow_from_the_seed(run: Run) -> None:
    source = """
    seen = []

    def test_events(flock_events):
        seen.append([next(flock_events).model_dump_json() for _ in range(20)])

    @pytest.mark.flock(seed=1)
    def test_of_another_seed(flock_events):
        seen.append([next(flock_events).model_dump_json() for _ in range(20)])

    def test_again(flock_events):
        seen.append([next(flock_events).model_dump_json() for _ in range(20)])
        assert seen[0] == seen[2] != seen[1]
    """
    run(_dedent(source)).assert_outcomes(passed=3)


def test_a_manager_that_nobody_gave_fails_and_says_how(run: Run) -> None:
    result = run("def test_it(flock_manager): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*override it in your conftest.py*", "*def flock_manager():"])


def test_a_manager_of_the_projects_own_is_used(run: Run) -> None:
    source = """
    @pytest.fixture
    def flock_manager():
        return "mine"

    async def test_it(flock_manager):
        assert flock_manager == "mine"
    """
    run(_dedent(source)).assert_outcomes(passed=1)


def test_a_fixture_of_the_projects_own_may_use_the_loop_to_its_end(run: Run) -> None:
    source = """
    @pytest.fixture
    def server(flock_clock):
        task = flock_clock.create_task(asyncio.sleep(10))
        yield task
        flock_clock.run_until_complete(task)

    async def test_it(server):
        assert not server.done()
    """
    run(_dedent(source)).assert_outcomes(passed=1)


# Failures

_FAILS = """
@pytest.mark.flock(seed=4)
async def test_fails(flock_clients):
    healthy, stalled = flock_clients.healthy(), flock_clients.stalled()
    await healthy.send_text("for the healthy one")
    asyncio.get_running_loop().create_task(stalled.send_text("for the stalled one"))
    await stalled.wait_received(1, timeout=2.5)
"""


def test_a_failure_prints_its_seed_and_the_command_that_repeats_it(run: Run) -> None:
    result = run(_FAILS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*NotSeen: <FakeClient stalled-1 *had 0 of 1 messages after 2.5 s*",
            "*- flock -*",
            "seed 4; the clock shows 2.5 s",
            "repeat it: pytest test_it.py::test_fails --flock-seed 4",
        ]
    )


def test_a_failure_shows_the_trace_of_the_clients_that_it_names(run: Run) -> None:
    result = run(_FAILS)
    section = result.stdout.str().partition("repeat it:")[2].partition("short test summary")[0]
    assert "entries of the trace, stalled-1:" in section
    assert "s  stalled-1  blocked" in section
    assert "healthy-1" not in section


def test_a_failure_that_names_nobody_shows_all_clients(run: Run) -> None:
    source = """
    async def test_fails(flock_clients):
        for client in flock_clients.healthy(2):
            await client.send_text("x")
        raise ZeroDivisionError
    """
    section = run(_dedent(source)).stdout.str().partition("repeat it:")[2]
    assert "entries of the trace, everybody:" in section
    assert "s  healthy-1  received" in section
    assert "s  healthy-2  received" in section


def test_a_synchronous_test_that_fails_shows_it_too(run: Run) -> None:
    result = run("def test_fails(flock_clock):\n    flock_clock.advance(3)\n    assert False\n")
    result.stdout.fnmatch_lines(["seed 0; the clock shows 3 s"])


def test_a_test_that_has_nothing_of_ours_prints_nothing_of_ours(run: Run) -> None:
    assert "flock -" not in run("def test_fails(): assert False\n").stdout.str()


def test_the_traceback_begins_in_the_test(run: Run) -> None:
    shown = run(_FAILS).stdout.str()
    assert "pytest_plugin.py" not in shown
    assert "await stalled.wait_received(1, timeout=2.5)" in shown


# Seeds

_LUCK = """
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.flock(seed=10)
async def test_luck(name, flock_clock):
    assert flock_clock.seed != 12 or name != "b", f"seed {flock_clock.seed}"
"""


def test_a_test_runs_with_so_many_seeds_from_its_own_on(run: Run) -> None:
    result = run(_LUCK, "--flock-seeds", "4", "-v")
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(["*test_luck?a-seed10? PASSED*", "*test_luck?b-seed12? FAILED*"])


def test_the_command_repeats_the_seed_that_failed_and_nothing_else(run: Run) -> None:
    shown = run(_LUCK, "--flock-seeds", "4").stdout.str()
    command = re.search("repeat it: pytest (.*)", shown)
    assert command is not None
    assert command[1] == "'test_it.py::test_luck[b]' --flock-seed 12"
    run.again(*shlex.split(command[1])).assert_outcomes(failed=1)


def test_only_tests_of_ours_are_repeated(run: Run) -> None:
    run("def test_plain(): pass\n" + _LUCK, "--flock-seeds", "3").assert_outcomes(
        passed=6, failed=1
    )


def test_the_command_line_overrides_the_marker_and_the_marker_the_setting(run: Run) -> None:
    source = """
    @pytest.mark.flock(seed=5)
    async def test_marked(flock_clock):
        assert flock_clock.seed == EXPECTED

    @pytest.mark.flock
    async def test_unmarked(flock_clock):
        assert flock_clock.seed == OTHERWISE
    """
    source = _dedent(source)
    settings = "flock_seed = 8\n"
    run("EXPECTED, OTHERWISE = 5, 8\n" + source, settings=settings).assert_outcomes(passed=2)
    source = "EXPECTED, OTHERWISE = 9, 9\n" + source
    run(source, "--flock-seed", "9", settings=settings).assert_outcomes(passed=2)


def test_the_number_of_seeds_may_be_a_setting(run: Run) -> None:
    source = "@pytest.mark.flock\nasync def test_it(): pass\n"
    run(source, settings="flock_seeds = 3\n").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--flock-seed", "x"), "--flock-seed must be a whole number, not 'x'"),
        (("--flock-seeds", "0"), "--flock-seeds must be at least 1, not 0"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    run: Run, options: tuple[str, str], message: str
) -> None:
    result = run("def test_it(): pass\n", *options)
    result.stderr.fnmatch_lines([f"*{message}*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


# Traces


@pytest.mark.parametrize("as_setting", [True, False])
def test_traces_are_written_into_a_folder(run: Run, *, as_setting: bool) -> None:
    if as_setting:
        result = run(_FAILS, settings="flock_trace = runs/traces\n")
    else:
        result = run(_FAILS, "--flock-trace", "runs/traces")
    (path,) = (run.pytester.path / "runs/traces").iterdir()
    assert path.name == "test_it.py_test_fails-seed4.jsonl"
    assert "healthy-1" in path.read_text()
    head = json.loads(path.read_text().splitlines()[0])
    assert head["about"] == {"test": "test_it.py::test_fails", "seed": 4}
    result.stdout.fnmatch_lines([f"the whole trace: *{path.name}"])


# What it costs others


def test_loading_it_loads_nothing_heavy() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import simulators.pytest_plugin; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    assert loaded.stdout.split() == ["simulators"]


def test_it_has_no_autouse_fixture_and_none_under_another_name(run: Run) -> None:
    shown = run("def test_it(): pass\n", "--fixtures", "-v").stdout.str()
    ours = re.findall(r"^(\w+).*simulators/pytest_plugin\.py", shown, re.MULTILINE)
    assert sorted(ours) == [
        "_flock_run",
        "flock_clients",
        "flock_clock",
        "flock_events",
        "flock_manager",
        "flock_trace",
    ]
    setup = run("def test_it(): pass\n", "--setup-show").stdout.str()
    assert "flock_" not in setup


def _dedent(source: str) -> str:
    return re.sub(r"^    ", "", source, flags=re.MULTILINE)
