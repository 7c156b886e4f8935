"""What the other pages show can be run, and the checks and commands that they name are there."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock

import pytest
from starlette.websockets import WebSocketDisconnect, WebSocketState

from flock_ws import WebSocketManager
from loadtests.catalogue import BUILT_IN, built_in
from simulators import DeadClient, HealthyClient, SlowClient, StalledClient, sim_test, simulate
from simulators.contract import CHECKS, Config, check_one

_DOCS = Path(__file__).parents[2] / "docs"
_PAGES = {
    path.relative_to(_DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(_DOCS.rglob("*.md"))
    if path.name != "_commands.md"
}
# How many blocks of Python each page has, all of which some test runs.
_RUN = {
    "tutorial.md": 6,  # test_tutorial.py
    "howto/check.md": 1,  # here
    "howto/index.md": 1,  # test_howto.py, these five
    "howto/burst.md": 1,
    "howto/dead-peer.md": 1,
    "howto/evicted-sockets.md": 1,
    "howto/stalled-client.md": 1,
    "howto/locust-users.md": 1,  # tests/loadtests/test_users.py
    "metrics.md": 1,  # here, these four
    "migration.md": 2,
    "topics/mocks.md": 1,
    "topics/virtual-time.md": 1,
}


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", _PAGES[page], flags=re.DOTALL)


def run(page: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    for code in blocks(page):
        exec(compile(code, page, "exec"), names)  # noqa: S102 - our own text
    return names


def commands() -> list[list[str]]:
    """Return every command of ours that stands in a block of its own."""
    text = "\n".join(_PAGES.values()).replace("\\\n", " ")
    return [
        shlex.split(line, comments=True)
        for line in re.findall(r"(?m)^(?:\$ |    )(flock-ws .*)$", text)
    ]


def test_every_block_of_python_is_run() -> None:
    assert {page: len(blocks(page)) for page in _PAGES if blocks(page)} == _RUN


def test_every_command_is_understood() -> None:
    words = [words[1:] for words in commands()]
    assert len(words) > 12
    script = (
        "import json, sys; from flock_ws.cli import whole_parser; parser = whole_parser();"
        "[parser.parse_args(words) for words in json.load(sys.stdin)]"
    )
    told = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", script],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_every_check_that_a_page_names_exists() -> None:
    areas = "|".join({check.area for check in CHECKS.values()})
    named = {
        name
        for page, text in _PAGES.items()
        if page != "kill-matrix.md"
        for name in re.findall(rf"`((?:{areas})\.(?!py`)[a-z_]+)`", text)
    }
    assert len(named) > 8
    assert named - set(CHECKS) == set()


def test_the_numbers_of_checks_in_the_prose_are_right() -> None:
    readme = (_DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert ("Ninety promises" in readme, len(CHECKS)) == (True, 90)
    on_sockets = [check for check in CHECKS.values() if check.tier == "sockets"]
    assert ("Thirteen of the checks" in _PAGES["tutorial.md"], len(on_sockets)) == (True, 13)


def test_the_page_on_load_tests_lists_the_scenarios_as_the_command_does() -> None:
    rows = re.findall(r"(?m)^\| `([a-z]+)` \| (.*) \|$", _PAGES["howto/load.md"])
    assert rows == [(name, built_in(name).proves) for name in BUILT_IN]


def test_the_test_with_a_mock_passes_with_the_tutorials_faulty_manager() -> None:
    tutorial: dict[str, Any] = {"__name__": "chat"}
    exec(blocks("tutorial.md")[0], tutorial)  # noqa: S102 - our own text
    asyncio.run(run("topics/mocks.md")["test_everybody_gets_it"](tutorial["ConnectionManager"]()))


def test_the_day_in_virtual_time_passes() -> None:
    run("topics/virtual-time.md")["test_a_day_takes_no_time"]()


def test_the_instruments_of_an_application_are_made() -> None:
    assert type(run("metrics.md")["app"].state.readings).__name__ == "Readings"


def test_what_the_page_on_checking_writes_down_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (table,) = re.findall(r"```toml\n(.*?)```", _PAGES["howto/check.md"], flags=re.DOTALL)
    config = Config.from_dict(tomllib.loads(table))
    yours = ModuleType("yourapp.ws")
    yours.ConnectionManager = WebSocketManager  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yourapp", ModuleType("yourapp"))
    monkeypatch.setitem(sys.modules, "yourapp.ws", yours)
    tests = run("howto/check.md")["TestConnectionManager"]
    (expected,) = config.expect
    assert tests.expected_failures == config.expect
    assert config.profile.send_timeout == tests.profile.send_timeout
    result = check_one(
        expected, tests.factory, profile=tests.profile, expected_failures=tests.expected_failures
    )
    assert result.stale, "the reference closes with 1013, and no failure may be expected of it"


def test_the_test_that_replaces_one_with_a_mock_passes() -> None:
    run("migration.md")["test_a_slow_client_is_dropped_and_told"]()


def test_the_import_that_replaces_the_original_gives_the_manager() -> None:
    assert run("migration.md")["WebSocketManager"] is WebSocketManager


@sim_test
async def test_a_dead_client_raises_where_a_mock_was_told_to() -> None:
    client = DeadClient(after_messages=1)
    await client.send_text("one")
    await client.wait_received(1)
    with pytest.raises(WebSocketDisconnect):
        await client.send_text("two")


@pytest.mark.parametrize(
    ("client", "ends"), [(StalledClient, False), (lambda: SlowClient(bytes_per_second=1000), True)]
)
def test_a_send_to_a_stalled_client_never_ends_and_one_to_a_slow_one_does(
    client: Any, *, ends: bool
) -> None:
    async def send() -> bool:
        sending = asyncio.create_task(client().send_text("hello"))
        done, _ = await asyncio.wait([sending], timeout=3600)
        sending.cancel()
        return bool(done)

    assert simulate(send) is ends


@sim_test
async def test_a_fake_is_connected_and_tells_what_its_peer_saw() -> None:
    client = HealthyClient()
    assert client.client_state is WebSocketState.CONNECTED
    assert client.client is not None
    assert (client.client.host, client.headers["upgrade"]) == ("127.0.0.1", "websocket")
    await client.send_text("hello")
    await client.wait_received(1)
    await client.close(code=4000, reason="enough")
    closed = await client.wait_closed()
    assert (client.messages, closed.code, closed.reason) == (["hello"], 4000, "enough")


def test_a_mock_is_never_slow() -> None:
    """The reason for all this: the send to a mock takes no turn of the loop."""
    turns: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(turns.append, "another")
        await AsyncMock().send_text("hello")
        assert turns == []

    asyncio.run(main())
