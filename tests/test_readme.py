"""What the README shows works: its code is run, its commands exist."""

import asyncio
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from flock_ws.events import AgentCompletedEvent
from simulators import FakeClient, sim_test

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, str(README), "exec"), names)  # noqa: S102  # our own text
    return names


def test_every_python_block_is_tested_here() -> None:
    assert len(blocks("python")) == 2


@sim_test
async def test_the_endpoint_keeps_its_client_in_the_pool_until_it_leaves() -> None:
    names = run(blocks("python")[1])
    manager, client = names["manager"], FakeClient(accepted=False)
    serving = asyncio.create_task(names["endpoint"](client))
    await asyncio.sleep(0.1)
    event = AgentCompletedEvent(correlation_id="c", agent_name="a", run_id="r", duration_ms=1.0)
    await manager.broadcast(event)
    assert (manager.clients, len(client.received)) == ({client}, 1)
    client.leave()
    await serving
    assert manager.clients == set()


def test_the_test_passes() -> None:
    run(blocks("python")[0])["test_a_stalled_client_is_evicted_and_the_others_do_not_notice"]()


COMMANDS = [
    shlex.split(line, comments=True)
    for line in re.findall(r"(?m)^\$ (.*)$", README.read_text())
    + re.findall(r"`((?:make|flock-ws) [^`]+)`", README.read_text())
]


def test_the_test_has_twelve_lines() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) == 12


def test_every_verb_of_make_exists() -> None:
    verbs = {words[1] for words in COMMANDS if words[0] == "make"}
    assert {"test", "load", "bench"} <= verbs
    told = subprocess.run(  # noqa: S603  # the README's own words, not carried out
        ["make", "--dry-run", *sorted(verbs)],  # noqa: S607  # whichever make is there
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_every_command_is_understood() -> None:
    """They are carried out by .ci/readme.py, from an empty folder and the wheel."""
    words = [words[1:] for words in COMMANDS if words[0] == "flock-ws"]
    assert len(words) > 6
    # In a process of its own, for the load tests' command must not be imported here.
    script = (
        "import json, sys; from flock_ws.cli import whole_parser; parser = whole_parser();"
        "[parser.parse_args(words) for words in json.load(sys.stdin)]"
    )
    told = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", script],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_the_extras_it_tells_to_install_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (told,) = [words[2] for words in COMMANDS if words[0] == "pip"]
    assert told == f"{project['name']}[all]"
    extras = set(project["optional-dependencies"]) - {"all"}
    assert all(f"`{extra}`" in README.read_text() for extra in extras)


def test_every_file_it_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README.read_text())
    assert [link for link in links if not there(link)] == []


def there(link: str) -> bool:
    """Whether a file is in the tree, or in a package where that is installed from a wheel."""
    package, _, inner = link.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    return (ROOT / link).exists() or any((Path(folder) / inner).exists() for folder in folders)
