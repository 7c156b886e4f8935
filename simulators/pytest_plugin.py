"""The pytest plugin: fixtures, a marker and options for tests in virtual time.

It is loaded by itself where this package is installed. It imports nothing heavy, has no autouse
fixture, and touches no test that neither carries the marker ``flock`` nor uses one of the fixtures
here. An ``async def`` test that does runs on a `SimLoop`, beside pytest-asyncio in either mode,
beside anyio's plugin, and without both. One that uses a fixture only and is marked for another
plugin, as ``asyncio`` or ``anyio``, is left to it.

Asynchronous fixtures are not run: make the manager in a plain fixture, and its tasks in the test.
"""

import functools
import inspect
import re
import shlex
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from flock_ws.events import DashboardEvent
    from simulators.clients import FakeClient
    from simulators.clock import SimLoop
    from simulators.factory import ClientFactory
    from simulators.trace import Trace

__all__ = [
    "FlockRun",
    "flock_clients",
    "flock_clock",
    "flock_events",
    "flock_manager",
    "flock_trace",
    "pytest_addoption",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_pycollect_makeitem",
    "pytest_runtest_makereport",
]

_MARKER = (
    "flock(*, seed=0, interleaving='fifo', start=0.0, horizon=100000.0, max_steps=None): run the "
    "test in virtual time (see simulators.clock.SimLoop for the options)"
)
_OPTIONS = frozenset({"seed", "interleaving", "start", "horizon", "max_steps"})
_FIXTURES = frozenset(
    {"flock_clients", "flock_clock", "flock_events", "flock_manager", "flock_trace"}
)
_FOREIGN = ("asyncio", "anyio", "trio")
_SEED = "flock_seed"
_OTHER_LOOP = re.compile("attached to a different loop|bound to a different event loop")
# pytest-asyncio complains about a test that it was to run and that is no coroutine any more. A
# warning cannot be told apart by who marked the test, but its text can.
_NO_COMPLAINT = "ignore:The test .* is marked with '@pytest.mark.asyncio' but it is not an async"
_LINES = 12
_DRIVEN = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options, each with a setting of the same name."""
    group = parser.getgroup("flock", "faulty WebSocket clients in virtual time")
    for name, metavar, text in (
        ("seed", "SEED", "the seed of tests in virtual time, whatever their marker says"),
        ("seeds", "N", "run each test in virtual time with N seeds, from its own on"),
        ("trace", "DIR", "write the trace of each test in virtual time into this folder"),
    ):
        group.addoption(f"--flock-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"flock_{name}", f"{text}; as --flock-{name}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse settings that mean nothing."""
    config.addinivalue_line("markers", _MARKER)
    _number(config, "seed")
    if (count := _number(config, "seeds")) is not None and count < 1:
        raise pytest.UsageError(f"--flock-seeds must be at least 1, not {count}")


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test with several seeds, if it was asked for."""
    count = _number(metafunc.config, "seeds") or 1
    if count > 1 and _is_ours(metafunc.definition):
        first = _seed_of(metafunc.definition)
        seeds = range(first, first + count)
        metafunc.fixturenames.append(_SEED)
        metafunc.parametrize(_SEED, seeds, ids=[f"seed{seed}" for seed in seeds])


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Make an asynchronous test of ours synchronous, before any other plugin sees it."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            foreign = any(item.get_closest_marker(name) for name in _FOREIGN)
            if item.get_closest_marker("flock") or (_is_ours(item) and not foreign):
                _make_synchronous(item)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in the report of a failure how to repeat it, and what happened last."""
    report = yield
    run = item.stash.get(_RUN, None)
    if run is not None and report.failed and call.when == "call":
        report.sections.append(("flock", run.story(report.longreprtext)))
    return report


class FlockRun:
    """One test's seed, its virtual time and its trace. Each is made when it is first asked for.

    Args:
        item: the test.

    Attributes:
        seed: what all that is random in it follows from.
    """

    def __init__(self, item: pytest.Item) -> None:
        self.seed = _seed_of(item)
        self._item = item
        self._runner: asyncio.Runner | None = None
        self._clock: SimLoop | None = None
        self._trace: Trace | None = None
        self._clients: list[FakeClient] = []
        self._options = {name: value for name, value in _marked(item).items() if name != "seed"}

    @property
    def clock(self) -> "SimLoop":
        """The loop, before, while and after the test runs on it."""
        if self._clock is None:
            import asyncio  # noqa: PLC0415  # a plugin costs nothing unused

            from simulators.clock import SimLoop  # noqa: PLC0415  # the same

            clock = SimLoop(seed=self.seed, **self._options)
            self._clock = clock
            self._runner = asyncio.Runner(loop_factory=lambda: clock)
            self._runner.get_loop()
        return self._clock

    def run(self, main: "Callable[[], Coroutine[Any, Any, None]]") -> None:
        """Run an asynchronous test in virtual time."""
        __tracebackhide__ = True
        # It is called when there is a clock: a coroutine of a test that cannot run is none.
        _ = self.clock
        if self._runner is not None:
            self._runner.run(main())

    @property
    def trace(self) -> "Trace":
        """What happened to the clients that the test made by `flock_clients`."""
        if self._trace is None:
            from simulators.trace import Trace  # noqa: PLC0415  # a plugin costs nothing unused

            about = {"test": self._nodeid(), "seed": self.seed, **self._options}
            self._trace = Trace(about=about)
        return self._trace

    def watch(self, client: "FakeClient") -> None:
        """Record what happens to a client."""
        self._clients.append(client)
        self.trace.watch(client)

    def story(self, failure: str) -> str:
        """Say how to repeat a failure, and what happened last to the clients that it names."""
        options = "".join(f", {name} {value}" for name, value in self._options.items())
        command = f"pytest {shlex.quote(self._nodeid())} --flock-seed {self.seed}"
        at = f"; the clock shows {self._clock.time():g} s" if self._clock is not None else ""
        lines = [f"seed {self.seed}{options}{at}", f"repeat it: {command}"]
        if _OTHER_LOOP.search(failure) and (fixtures := _asynchronous_fixtures(self._item)):
            lines.append(
                f"another plugin ran {', '.join(fixtures)} on a loop of its own: make it a plain "
                "fixture, and what needs a loop in the test"
            )
        if self._trace is not None:
            lines += self._last_lines(self._trace, failure)
        if (path := self._path()) is not None:
            lines.append(f"the whole trace: {path}")
        return "\n".join(lines)

    def close(self) -> None:
        """End what is left in virtual time, and write the trace if it was asked for."""
        try:
            if self._runner is not None:
                self._runner.close()
        finally:
            if self._trace is not None and (path := self._path()) is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._trace.write(path)

    def _nodeid(self) -> str:
        """Return the test's id without the seed that we put into it."""
        nodeid = self._item.nodeid
        if not _is_turn(self._item):
            return nodeid
        return re.sub(r"(\[|-)seed-?\d+\]$", lambda hit: "]" * (hit[1] == "-"), nodeid)

    def _path(self) -> Path | None:
        folder = _setting(self._item.config, "trace")
        if not folder:
            return None
        name = re.sub(r"[^\w.-]+", "_", self._nodeid()).strip("_")
        return self._item.config.rootpath / folder / f"{name}-seed{self.seed}.jsonl"

    def _last_lines(self, trace: "Trace", failure: str) -> list[str]:
        """Show the end of the trace: of the clients that the failure names; of all, if none."""
        named = [
            client.name
            for client in self._clients
            if re.search(rf"(?<![\w-]){re.escape(client.name)}(?![\w-])", failure)
        ]
        lines = trace.tail(_LINES, who=named or None)
        whose = ", ".join(named) if named else "everybody"
        return [f"the last of {len(trace)} entries of the trace, {whose}:", *lines]


_RUN = pytest.StashKey[FlockRun]()


@pytest.fixture
def _flock_run(request: pytest.FixtureRequest) -> Iterator[FlockRun]:
    run = _run_of(request.node)
    yield run
    run.close()


@pytest.fixture
def flock_clock(request: pytest.FixtureRequest, _flock_run: FlockRun) -> "SimLoop":
    """The `SimLoop` of this test.

    An asynchronous test runs on it. A synchronous one drives it: ``flock_clock.advance(60)``,
    ``flock_clock.run_until_complete(…)``. One that runs on another loop, by `sim_test` or another
    plugin's mark, fails: this clock would stand still beside it.
    """
    node = request.node
    function = inspect.unwrap(getattr(node, "obj", None) or (lambda: None))
    if inspect.iscoroutinefunction(function) and not node.stash.get(_DRIVEN, False):
        pytest.fail(
            "flock_clock is not the loop of this test: @sim_test and the marks of other plugins "
            "run it on another one. Use @pytest.mark.flock, or asyncio.get_running_loop()",
            pytrace=False,
        )
    return _flock_run.clock


@pytest.fixture
def flock_clients(_flock_run: FlockRun) -> "ClientFactory":
    """A `ClientFactory`: ``flock_clients.healthy(3)``, ``flock_clients.stalled()``.

    What happens to its clients is recorded in `flock_trace`.
    """
    from simulators.factory import ClientFactory  # noqa: PLC0415  # a plugin costs nothing unused

    return ClientFactory(made=_flock_run.watch)


@pytest.fixture
def flock_events(_flock_run: FlockRun) -> "Iterator[DashboardEvent]":
    """Realistic events without an end, from the seed: ``next(flock_events)``. Needs Faker."""
    from simulators.events import agent_runs  # noqa: PLC0415  # a plugin costs nothing unused

    return agent_runs(seed=_flock_run.seed)


@pytest.fixture
def flock_trace(_flock_run: FlockRun) -> "Trace":
    """The `Trace` of this test; ``--flock-trace DIR`` writes it into a file."""
    return _flock_run.trace


@pytest.fixture
def flock_manager() -> Any:
    """The manager under test. Override it: this one fails and says how."""
    pytest.fail(
        "flock_manager does not know your manager: override it in your conftest.py or test module\n"
        "\n"
        "    @pytest.fixture\n"
        "    def flock_manager():\n"
        "        return ConnectionManager()  # yours",
        pytrace=False,
    )


def _make_synchronous(item: pytest.Function) -> None:
    function = item.obj
    item.stash[_DRIVEN] = True

    @functools.wraps(function)
    def run(**arguments: Any) -> None:
        __tracebackhide__ = True
        flock = _run_of(item)
        try:
            flock.run(functools.partial(function, **arguments))
        finally:
            if "_flock_run" not in item.fixturenames:
                flock.close()

    item.obj = run
    if item.get_closest_marker("asyncio") is not None:
        item.add_marker(pytest.mark.filterwarnings(_NO_COMPLAINT))


def _asynchronous_fixtures(item: pytest.Item) -> list[str]:
    """Return the names of the test's fixtures that are coroutines, before a plugin wrapped them."""
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return sorted(
        name
        for name, found in definitions.items()
        if any(
            test(inspect.unwrap(definition.func))
            for definition in found
            for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        )
    )


def _run_of(item: pytest.Item) -> FlockRun:
    run = item.stash.get(_RUN, None)
    if run is None:
        run = item.stash[_RUN] = FlockRun(item)
    return run


def _is_ours(item: pytest.Item) -> bool:
    return item.get_closest_marker("flock") is not None or any(
        name in _FIXTURES for name in getattr(item, "fixturenames", ())
    )


def _marked(item: pytest.Item) -> dict[str, Any]:
    """Return the options of the closest marker."""
    marker = item.get_closest_marker("flock")
    if marker is None:
        return {}
    if marker.args or not _OPTIONS.issuperset(marker.kwargs):
        given = [*map(repr, marker.args), *(sorted(marker.kwargs.keys() - _OPTIONS))]
        raise pytest.UsageError(
            f"{item.nodeid}: the marker flock takes {', '.join(sorted(_OPTIONS))} by name, "
            f"not {', '.join(given)}"
        )
    return dict(marker.kwargs)


def _seed_of(item: Any) -> int:
    """Return a test's seed: its own turn's, the command line's, its marker's, the setting's, 0."""
    if _is_turn(item):
        return int(item.callspec.params[_SEED])
    if item.config.getoption("--flock-seed") is None and "seed" in (marked := _marked(item)):
        if type(marked["seed"]) is not int:
            raise pytest.UsageError(
                f"{item.nodeid}: the marker's seed must be a whole number, not {marked['seed']!r}"
            )
        return marked["seed"]
    return _number(item.config, "seed") or 0


def _is_turn(item: Any) -> bool:
    """Tell whether a test is one of several that differ by their seed."""
    return _SEED in getattr(getattr(item, "callspec", None), "params", ())


def _setting(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"--flock-{name}")
    return str(config.getini(f"flock_{name}") if given is None else given)


def _number(config: pytest.Config, name: str) -> int | None:
    text = _setting(config, name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise pytest.UsageError(f"--flock-{name} must be a whole number, not {text!r}") from None
