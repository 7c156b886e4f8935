import asyncio
import sys
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from simulators.contract import serving
from simulators.contract.serving import ServerThread

pytestmark = pytest.mark.sockets


@pytest.fixture
def in_turns() -> Iterator[None]:
    """Let threads take turns far more often than they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nobody."""


@pytest.mark.usefixtures("in_turns")
def test_a_server_that_is_struck_as_it_ends_closes_its_loop_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Struck again and again, from the moment it is asked to stop. What reached a thread that was
    # closing its loop left that open, and was shown as an exception nobody handled: pytest tells.
    monkeypatch.setattr(serving, "_STOP", 0.0)
    monkeypatch.setattr(serving, "_STRIKES", 10_000)
    monkeypatch.setattr(serving, "_STRIKE_EVERY", 0.0001)
    loops: list[asyncio.AbstractEventLoop] = []

    async def here() -> None:
        loops.append(asyncio.get_running_loop())

    for _ in range(30):
        server = ServerThread(nothing)
        server.start()
        server.submit(here).result(timeout=10)
        server.stop()
        assert not server.left_running
    assert all(loop.is_closed() for loop in loops)
