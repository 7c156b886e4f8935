"""What the README shows works: its code is run, its commands exist."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
    names = run(blocks("python")[0])
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
    run(blocks("python")[1])["test_a_stalled_client_is_evicted_and_the_others_do_not_notice"]()


@pytest.mark.parametrize("command", re.findall(r"(?m)^\$ (.*?)(?: +#.*)?$", README.read_text()))
def test_every_command_exists(command: str) -> None:
    words = command.split()
    if words[0] == "make":
        shown = ["make", "--dry-run", *words[1:]]
    else:
        assert words[0] == ".venv/bin/flock-ws"
        shown = [sys.executable, "-m", "flock_ws", words[1], "--help"]
    told = subprocess.run(  # noqa: S603  # the README's own commands, not carried out
        shown, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    for option in (word for word in words[1:] if word.startswith("--") and words[0] != "make"):
        assert option in told.stdout


def test_every_file_it_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
