"""The structure that docs/architecture.md draws, held."""

import ast
import functools
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGES = ("flock_ws", "simulators", "loadtests")

# A module imports only from those before it in its package's list.
ORDER = {
    "flock_ws": [
        "errors",
        "events",
        "limits",
        "statistics",
        "background",
        "delivery",
        "log",
        "history",
        "deadlines",
        "closing",
        "direct",
        "outbox",
        "evictions",
        "overview",
        "acknowledgements",
        "fanout",
        "heartbeat",
        "pool",
        "manager",
        "inbound",
        "doors",
        "outlet",
        "uvicorn_direct",
        "uvicorn_protocol",
        "uvicorn_http",
        "foreign",
        "adopted",
        "paging",
        "guard",
        "instruments",
        "metrics",
        "loop_lag",
        "lookout",
        "demo",
        "page",
        "app",
        "loading",
        "synthetic",
        "arguments",
        "door_options",
        "server",
        "cli",
        "completion",
        "__main__",
    ],
    "simulators": [
        "errors",
        "records",
        "pings",
        "whereabouts",
        "starvation",
        "clock",
        "runs",
        "agents",
        "events",
        "arrivals",
        "feed",
        "faults",
        "behaviours",
        "wire",
        "link",
        "uplink",
        "body",
        "conduct",
        "calls",
        "asgi",
        "misuses",
        "peer",
        "clients",
        "named",
        "incidents",
        "lanes",
        "watching",
        "trace",
        "stream",
        "transport",
        "tcp",
        "acts",
        "sockets",
        "child",
        "demo",
        "descriptors",
        "mixes",
        "doors",
        "endpoints",
        "factory",
        "swarm",
        "hardships",
        "contract",
        "report",
        "pytest_plugin",
    ],
    "simulators.faults": [
        "fault",
        "reading",
        "application",
        "death",
        "handshake",
        "liveness",
        "inbound",
        "protocol",
        "closing",
        "path",
        "population",
        "server",
        "catalogue",
        "together",
        "__main__",
    ],
    "simulators.tcp": [
        "waiters",
        "frames",
        "handshake",
        "connection",
        "line",
        "violations",
        "actor",
        "knocks",
        "path",
        "relay",
    ],
    "simulators.acts": [
        "reading",
        "death",
        "liveness",
        "inbound",
        "closing",
    ],
    "simulators.report": [
        "printable",
        "outcomes",
        "scales",
        "pictures",
        "strips",
        "lanes",
        "terminal",
        "documents",
        "junit",
        "page",
    ],
    "simulators.contract": [
        "profile",
        "quiet",
        "results",
        "registry",
        "coverage",
        "defects",
        "pages",
        "signatures",
        "payloads",
        "adapters",
        "loader",
        "config",
        "watchdog",
        "witness",
        "bench",
        "delivery",
        "eviction",
        "heartbeat",
        "history",
        "lifecycle",
        "membership",
        "memory",
        "runner",
        "serving",
        "causes",
        "visits",
        "sites",
        "socket_bench",
        "tcp_delivery",
        "tcp_ending",
        "tcp_runner",
        "applications",
        "samples",
        "elsewhere",
        "streams",
        "outside",
        "shutdown",
        "slowness",
        "trials",
        "detection",
        "examination",
        "blackbox",
        "command",
        "__main__",
        "suite",
    ],
    "loadtests.report": [
        "series",
        "markup",
        "axes",
        "lines",
        "heat",
        "fates",
        "ledger",
        "documents",
        "comparison",
        "shell",
        "page",
        "watching",
        "junit",
        "markdown",
    ],
    "loadtests": [
        "errors",
        "attached",
        "child",
        "hosting",
        "tls",
        "access",
        "descriptors",
        "output",
        "channel",
        "histogram",
        "sequences",
        "kinds",
        "record",
        "merging",
        "answers",
        "cohorts",
        "scenario",
        "plan",
        "service",
        "distributed",
        "publisher",
        "observer",
        "target",
        "capacity",
        "interrupts",
        "members",
        "payloads",
        "intake",
        "lives",
        "engine",
        "attendance",
        "pipe",
        "case",
        "evictions",
        "questions",
        "asked",
        "measures",
        "machines",
        "readings",
        "users",
        "thresholds",
        "metrics",
        "lookup",
        "bounds",
        "verdict",
        "report",
        "papers",
        "live",
        "ports",
        "board",
        "screen",
        "web",
        "locustfile",
        "generator",
        "run",
        "terminal",
        "reread",
        "catalogue",
        "command",
        "__main__",
    ],
}
WIRE_MODELS = "flock_ws.events"


def modules(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(imports(path))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield node.module or ""
            if node.module in PACKAGES:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(package: str, path: Path) -> tuple[str, str]:
    """Return the dotted folder that a module lies in, and its own name there."""
    folder = package if path.parent.name == package else f"{package}.{path.parent.name}"
    return folder, path.stem


ALL = [(package, path) for package in PACKAGES for path in modules(package)]


def broken(rule: Callable[[str, Path], bool | str]) -> list[str]:
    """Return each module that breaks a rule, with what the rule says of it.

    One test for all modules: a test for each was a fifth of the suite.
    """
    said = [(".".join(place(package, path)), rule(package, path)) for package, path in ALL]
    return [name if words is True else f"{name}: {words}" for name, words in said if words]


def test_imports_between_the_packages_point_one_way() -> None:
    def points_back(package: str, path: Path) -> str:
        later = PACKAGES[PACKAGES.index(package) + 1 :]
        return ", ".join(name for name in imported(path) if name.split(".")[0] in later)

    assert broken(points_back) == []


def test_simulators_know_of_the_reference_only_its_wire_models() -> None:
    def knows_more(package: str, path: Path) -> str:
        if package != "simulators":
            return ""
        names = {name for name in imported(path) if name.split(".")[0] == "flock_ws"}
        return ", ".join(sorted(names - {WIRE_MODELS}))

    assert broken(knows_more) == []


def imports_a_later_one(package: str, path: Path) -> str:
    folder, own = place(package, path)
    if own == "__init__":
        return ""
    if own not in ORDER[folder]:
        return f"it has no place in ORDER of {Path(__file__).name}"
    mine = [name.removeprefix(f"{folder}.") for name in imported(path) if f"{folder}." in name]
    inner = {name.split(".")[0] for name in mine} - {own}
    later = [name for name in inner if ORDER[folder].index(name) > ORDER[folder].index(own)]
    # A folder's command is a door: it puts together what the whole package offers.
    if folder != package and own != "command":
        outer, unit = ORDER[package], folder.split(".")[1]
        others = [name for name in imported(path) if name.startswith(f"{package}.")]
        units = {name.split(".")[1] for name in others} - {unit}
        later += [name for name in units if outer.index(name) > outer.index(unit)]
    return ", ".join(sorted(later))


def test_inside_a_package_a_module_imports_only_from_those_before_it() -> None:
    assert broken(imports_a_later_one) == []


class Names(ast.NodeVisitor):
    """The names that a module defines, imports and declares at its top, read and not imported."""

    def __init__(self, path: Path) -> None:
        self.defined: set[str] = set()
        self.imported: set[str] = set()
        self.declared: set[str] | None = None
        for node in tree(path).body:
            self.visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            self.defined.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            self.imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            self.assign(node)

    def assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {
            part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
        }
        if "__all__" in names and node.value is not None:
            self.declared = set(ast.literal_eval(node.value))
        elif node.value is None or not ast.unparse(node.value).startswith(
            ("TypeVar(", "TypeVarTuple(", "ParamSpec(")
        ):
            self.defined |= names


def declares_wrongly(package: str, path: Path) -> str:
    if path.stem == "__main__":
        return ""
    names = Names(path)
    if names.declared is None:
        return "no __all__"
    if path.stem == "__init__":
        module = importlib.import_module(place(package, path)[0])
        return ", ".join(name for name in sorted(names.declared) if not hasattr(module, name))
    public = {name for name in names.defined if not name.startswith("_")} - {"logger"}
    wrong = [f"{name} is public and not in it" for name in sorted(public - names.declared)]
    wrong += [f"{name} is not there" for name in names.declared - public - names.imported]
    return ", ".join(wrong)


def test_all_names_everything_that_a_module_makes_public() -> None:
    assert broken(declares_wrongly) == []


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("flock_ws", "uvicorn websockets uvloop simulators loadtests faker locust gevent"),
        ("simulators", "fastapi uvicorn websockets uvloop faker locust gevent loadtests pytest"),
    ],
)
def test_importing_a_package_pulls_in_nothing_heavy(package: str, unwanted: str) -> None:
    script = f"import sys, {package}; print(*sorted(set({unwanted.split()}) & set(sys.modules)))"
    loaded = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    assert broken(lambda _, path: len(path.read_text().splitlines()) > 500) == []
