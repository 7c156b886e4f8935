import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import ServerConnection, serve

from simulators.demo import BEHAVIOURS, Demonstration
from simulators.errors import SimulatorError

pytestmark = pytest.mark.sockets


class Far:
    """A server that notes who came, and lets them stay."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.url = ""

    async def stay(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        await connection.wait_closed()

    def asked(self, header: str) -> list[str | None]:
        requests = [one.request for one in self.connections]
        return [request.headers.get(header) for request in requests if request is not None]


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Far]:
    far = Far()
    async with serve(far.stay, "127.0.0.1", 0, close_timeout=0.5) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        far.url = f"ws://127.0.0.1:{port}/ws"
        yield far


def test_there_is_a_kind_for_each_word_of_the_page() -> None:
    assert list(BEHAVIOURS) == ["healthy", "slow", "stalled", "dead"]


@pytest.mark.asyncio
async def test_clients_come_in_under_names_of_their_own() -> None:
    crowd = Demonstration(most=10)
    async with listening() as far:
        assert await crowd.add("stalled", 2, url=far.url) == 2
        paths = [one.request.path for one in far.connections if one.request is not None]
        await crowd.clear()
    assert sorted(paths) == ["/ws?client=stalled-1", "/ws?client=stalled-2"]


@pytest.mark.asyncio
async def test_they_come_in_with_the_key_of_who_sends_them() -> None:
    crowd = Demonstration(most=10)
    async with listening() as far:
        await crowd.add("healthy", 1, url=far.url, authorization="Bearer key")
        await crowd.add("healthy", 1, url=far.url)
        asked = far.asked("Authorization")
        await crowd.clear()
    assert asked == ["Bearer key", None]


@pytest.mark.asyncio
async def test_there_are_never_more_than_were_allowed() -> None:
    crowd = Demonstration(most=3)
    async with listening() as far:
        await crowd.add("healthy", 2, url=far.url)
        with pytest.raises(SimulatorError, match="2 of at most 3 simulated clients are there"):
            await crowd.add("slow", 2, url=far.url)
        assert await crowd.add("slow", 1, url=far.url) == 1
        assert crowd.living == {"healthy": 2, "slow": 1, "stalled": 0, "dead": 0}
        await crowd.clear()
    assert not any(crowd.living.values())


@pytest.mark.asyncio
async def test_a_client_whose_connection_ended_makes_room() -> None:
    crowd = Demonstration(most=1)
    async with listening() as far:
        await crowd.add("healthy", 1, url=far.url)
        assert not await crowd.bury()
        await far.connections[0].close()
        (client,) = crowd.clients
        await client.wait_closed()
        assert await crowd.bury()
        assert await crowd.add("healthy", 1, url=far.url) == 1
        await crowd.clear()


@pytest.mark.asyncio
async def test_nobody_there_is_told_with_the_reason() -> None:
    async with listening() as far:
        url = far.url
    with pytest.raises(SimulatorError, match="nothing listens"):
        await Demonstration(most=9).add("healthy", 3, url=url)


@pytest.mark.asyncio
async def test_an_unknown_kind_is_told_with_those_that_there_are() -> None:
    with pytest.raises(SimulatorError, match="no 'lazy' client; there are healthy, slow"):
        await Demonstration(most=9).add("lazy", 1, url="ws://127.0.0.1:9/ws")


def test_the_program_answers_each_line_and_ends_with_its_input() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "simulators.demo", "--most", "5"],
        input='{"add": "slow", "count": 9, "url": "ws://127.0.0.1:9/ws"}\n{"clear": true}\n',
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    first, refused, cleared = map(json.loads, told.stdout.splitlines())
    assert first["kinds"]["stalled"] == "stops reading after 3 s, for 30 s"
    assert refused["added"] == 0
    assert "0 of at most 5" in refused["refused"]
    assert "refused" not in cleared
