"""The built wheel, in a project of its own: fixtures and fakes are there, typed, unconfigured.

The environment has the wheel and our dependencies, and no way to this source tree.
"""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (_ROOT / "flock_ws").is_dir(),
    reason="there is no source to build from: this is the suite against an installed wheel",
)

# What pip says when it cannot fetch the build backend.
_OFFLINE = ("No matching distribution found for hatchling", "Could not find a version", "Network")

_PROJECT = """
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import pytest

import flock_ws
import simulators
from flock_ws import WebSocketManager
from flock_ws.events import DashboardEvent
from simulators import ClientFactory, FakeClient, SimLoop, Swarm, Trace, sim_test


@pytest.fixture
def flock_manager() -> WebSocketManager:
    return WebSocketManager()


async def test_the_fixtures_are_there(
    flock_manager: WebSocketManager,
    flock_clients: ClientFactory,
    flock_events: Iterator[DashboardEvent],
    flock_clock: SimLoop,
    flock_trace: Trace,
) -> None:
    stalled, healthy = flock_clients.stalled(), flock_clients.healthy(2)
    assert_type(stalled, FakeClient)
    assert_type(healthy, list[FakeClient])
    for client in (stalled, *healthy):
        await flock_manager.add_client(client)
    await flock_manager.broadcast(next(flock_events))
    assert flock_manager.clients == set(healthy)
    assert asyncio.get_running_loop() is flock_clock
    assert flock_clock.time() == 0.5
    assert_type(flock_trace, Trace)


@sim_test
async def test_the_fakes_are_there_without_a_fixture() -> None:
    swarm = Swarm.mix({"healthy": 0.5, "stalled": 0.5}, count=4, manager=WebSocketManager())
    await swarm.join()
    assert len(swarm.living) == 4


def test_it_is_the_wheel_that_is_tested() -> None:
    for package in (flock_ws, simulators):
        assert Path(package.__file__ or "").is_relative_to(Path(__file__).parent.parent)
"""

# What only our dependencies import: to check it anew takes a third of the time, and no type of ours
# is made of it.
_MYPY = """
[mypy]
strict = true
[mypy-anyio.*,click.*,h2.*,hpack.*,httpcore.*,markdown_it.*,rich.*]
follow_imports = skip
"""


def _run(
    *command: object, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own interpreter and constant options
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    built = _run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, _ROOT, cwd=folder)
    if built.returncode:
        output = built.stdout + built.stderr
        if any(sign in output for sign in _OFFLINE):
            pytest.skip("pip cannot fetch the build backend (hatchling): no package index here")
        pytest.fail(output)
    (found,) = folder.glob("flock_ws-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, which cannot see this source tree."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    told = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    site = Path(told.stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Our own site-packages, for the dependencies: a path, so that the link from there to this
    # source tree, which is a .pth file as well, is not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "test_project.py").write_text(_PROJECT)
    (folder / "mypy.ini").write_text(_MYPY)
    # Many projects name their plugins; the entry point has loaded this one already.
    (folder / "conftest.py").write_text('pytest_plugins = ["simulators.pytest_plugin"]\n')
    return python


def _in_project(python: Path, *command: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "MYPY", "COV"))
    }
    return _run(python, *command, cwd=python.parents[2], environment=clean)


def test_the_wheel_holds_the_packages_with_their_types_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {f"{package}/py.typed" for package in ("flock_ws", "simulators", "loadtests")} <= {
        *names
    }
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "flock_ws",
        "simulators",
        "loadtests",
    }


def test_a_project_of_its_own_has_fixtures_and_fakes_without_configuration(python: Path) -> None:
    run = _in_project(python, "-m", "pytest", "-p", "no:cacheprovider", "test_project.py")
    assert "3 passed" in run.stdout, run.stdout + run.stderr


def test_a_project_of_its_own_sees_the_types(python: Path) -> None:
    run = _in_project(python, "-m", "mypy", "--no-incremental", "test_project.py")
    assert run.returncode == 0, run.stdout + run.stderr
