import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from flock_ws.lookout import LANES, Lookout
from simulators import FakeClient, HealthyClient, SlowClient, StalledClient, sim_test

EVENT = StreamingOutputEvent(
    correlation_id="c",
    agent_name="writer",
    run_id="r",
    output_type="log",
    content="x" * 300,
    sequence=0,
)


class Foreign:
    """A manager of which only its pool can be seen."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    def statistics(self) -> dict[str, Any]:
        return {"clients": 3, "published": "many", "per_client": object(), "evictions": 7}


def looking(
    manager: Any,
    *,
    connections: Callable[[], list[dict[str, Any]]] = list,
    extras: Callable[[], dict[str, Any]] = dict,
    clock: Callable[[], float] = float,
) -> Lookout:
    """Return a lookout whose samples cost nothing, however long the machine takes for them."""
    return Lookout(
        manager, connections=connections, process=lambda: {"pid": 1}, extras=extras, clock=clock
    )


def connection(name: str, *, in_pool: bool | None) -> dict[str, Any]:
    return {"name": name, "opened_at": 1.0, "in_pool": in_pool}


async def states(*clients: FakeClient, seconds: float) -> dict[str, str]:
    """Stream to the clients for a while, looking on, and return the states seen last."""
    manager = WebSocketManager(send_timeout=60.0, max_lag_bytes=10**9)
    for client in clients:
        await manager.add_client(client, name=client.name)
    looks = looking(manager)
    for _ in range(int(seconds / 0.1)):
        manager.publish(EVENT)
        looks.sample()
        await asyncio.sleep(0.1)
    return {lane["name"]: lane["state"] for lane in looks.sample()["lanes"]}


@sim_test
async def test_a_client_that_takes_everything_is_healthy() -> None:
    assert await states(HealthyClient(name="a"), seconds=3) == {"a": "healthy"}


@sim_test
async def test_a_client_that_takes_a_little_now_and_then_is_lagging() -> None:
    assert await states(SlowClient(name="a", delay=0.4), seconds=6) == {"a": "lagging"}


@sim_test
async def test_a_client_that_takes_nothing_is_stalled() -> None:
    assert await states(StalledClient(name="a"), seconds=3) == {"a": "stalled"}


@sim_test
async def test_a_client_that_stalls_was_lagging_before() -> None:
    assert await states(StalledClient(name="a"), seconds=0.6) == {"a": "lagging"}


@sim_test
async def test_clients_that_share_a_name_have_lanes_of_their_own() -> None:
    manager = WebSocketManager()
    for _ in range(2):
        await manager.add_client(HealthyClient(), name="twin")
        await asyncio.sleep(0.001)
    assert len({lane["key"] for lane in looking(manager).sample()["lanes"]}) == 2


@sim_test
async def test_all_who_ask_at_the_same_time_get_the_same_sample() -> None:
    manager = WebSocketManager()
    looks = looking(manager)
    first = looks.sample()
    await manager.add_client(HealthyClient())
    assert looks.sample() is first
    await asyncio.sleep(0.5)
    assert looks.sample()["clients"] == 1


@sim_test
async def test_a_sample_that_is_dear_is_taken_less_often() -> None:
    looks = looking(WebSocketManager(), clock=itertools.count(step=0.1).__next__)
    first = looks.sample()
    await asyncio.sleep(4.9)
    assert looks.sample() is first
    await asyncio.sleep(0.2)
    assert looks.sample() is not first


@sim_test
async def test_a_large_pool_makes_no_large_sample() -> None:
    manager = WebSocketManager()
    for number in range(3_000):
        await manager.add_client(HealthyClient(), name=f"client number {number}")
    text = looking(manager).text()
    assert len(json.loads(text)["lanes"]) == LANES
    assert len(text) < 16_000


@sim_test
async def test_a_manager_that_is_not_ours_has_lanes_of_open_sockets() -> None:
    open_now = [connection("in", in_pool=True), connection("out", in_pool=False)]
    sample = looking(Foreign(), connections=lambda: open_now).sample()
    assert [(lane["name"], lane["state"]) for lane in sample["lanes"]] == [
        ("out", "zombie"),
        ("in", "connected"),
    ]
    assert sample["zombies"] == 1


@sim_test
async def test_a_pool_that_cannot_be_seen_has_no_zombies() -> None:
    unknown = [connection("a", in_pool=None)]
    sample = looking(Foreign(), connections=lambda: unknown).sample()
    assert [lane["state"] for lane in sample["lanes"]] == ["connected"]


@sim_test
async def test_of_foreign_statistics_only_counts_are_believed() -> None:
    sample = looking(Foreign()).sample()
    assert sample["clients"] == 3
    assert not {"published", "per_client", "evictions"} & sample.keys()


@sim_test
async def test_what_else_is_known_goes_into_each_sample() -> None:
    sample = looking(WebSocketManager(), extras=lambda: {"demo": None}).sample()
    assert sample["demo"] is None
    assert sample["server"]["pid"] == 1
    assert sample["limits"]["send_timeout"] == 0.5
