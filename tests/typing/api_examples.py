"""How the public names are used, as a type checker sees it: `make types` runs mypy and pyright.

Nothing here is run.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_type

import httpx
import uvicorn
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from flock_ws import ClientStatistics, Delivery, Eviction, Lag, Limits, Statistics, WebSocketManager
from flock_ws.app import create_app
from flock_ws.doors import Doors
from flock_ws.events import AgentCompletedEvent, DashboardEvent, StreamingOutputEvent
from flock_ws.server import serve
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from loadtests.histogram import Histogram
from loadtests.users import StalledUser, ViewerUser
from loadtests.verdict import Judgement
from simulators import (
    Behaviour,
    ClientFactory,
    Closed,
    FakeClient,
    HealthyClient,
    Received,
    Relay,
    SimLoop,
    SlowClient,
    SlowReader,
    SocketClient,
    StalledClient,
    Swarm,
    Trace,
    Wire,
    WireTransport,
    agent_runs,
    paced,
    sim_test,
    simulate,
    steady,
)
from simulators.contract import (
    ContractTests,
    Names,
    Profile,
    Report,
    check_application,
    check_manager,
    check_server,
)


class Said(BaseModel):
    """An event of one's own."""

    text: str


async def a_manager(websocket: WebSocket) -> None:
    """The manager takes any Pydantic model, and says what it did."""

    def told(eviction: Eviction) -> None:
        assert_type(eviction.reason, str)
        assert_type(eviction.lag, Lag)

    manager = WebSocketManager(
        30.0, enable_heartbeat=True, on_evict=told, send_timeout=0.25, max_clients=100
    )
    assert_type(manager.limits, Limits)
    await manager.add_client(websocket, name="somebody")
    delivery = manager.publish(Said(text="hello"))
    assert_type(delivery, Delivery)
    await manager.broadcast(Said(text="hello"))
    statistics = manager.statistics()
    assert_type(statistics, Statistics)
    for client in statistics.per_client:
        assert_type(client, ClientStatistics)
    assert_type(manager.get_streaming_history("agent"), list[StreamingOutputEvent])
    await manager.remove_client(websocket)
    await manager.shutdown()


def an_application() -> FastAPI:
    """The application is FastAPI's."""
    return create_app(WebSocketManager(limits=Limits(send_timeout=0.25)))


@sim_test
async def test_in_virtual_time() -> None:
    """A test reads like any other."""
    client = HealthyClient()
    assert_type(client, FakeClient)
    slow = SlowClient(bytes_per_second=1_000)
    stalled = StalledClient(after_messages=3)
    own = FakeClient(Behaviour(faults=(SlowReader(bytes_per_second=10),)), wire=Wire())
    manager = WebSocketManager()
    for one in (client, slow, stalled, own):
        await manager.add_client(one)
    event: DashboardEvent = AgentCompletedEvent(
        correlation_id="c", agent_name="a", run_id="r", duration_ms=1.0
    )
    await manager.broadcast(event)
    assert_type(client.received, list[Received])
    assert_type(stalled.closed, Closed | None)


def fixtures(
    flock_clients: ClientFactory, flock_clock: SimLoop, flock_trace: Trace
) -> tuple[FakeClient, list[FakeClient], float]:
    """One client, or a list of them; the clock tells seconds."""
    assert_type(flock_trace, Trace)
    return flock_clients.stalled(), flock_clients.healthy(3), flock_clock.time()


async def over_tcp() -> None:
    """The same behaviours over a real connection."""
    async with SocketClient("ws://127.0.0.1:8000/ws", Behaviour.stalled()) as client:
        await client.wait_closed(timeout=5.0)
        assert_type(client.closed, Closed | None)


def a_swarm() -> Swarm:
    """Many clients from one mix."""
    return Swarm.mix({"healthy": 0.9, "slow": 0.1}, count=100, manager=WebSocketManager())


class TestMine(ContractTests):
    """One test for each check."""

    factory = WebSocketManager
    expected_failures = {"evict.close_reason": "ours is shorter"}  # noqa: RUF012 - as in the docs


def the_contract() -> tuple[str, list[Any]]:
    """A report has a verdict and results."""
    report = check_manager(WebSocketManager, profile=Profile(send_timeout=0.25), seed=3)
    assert_type(report, Report)
    return report.verdict, [(result.check_id, result.message) for result in report.results]


async def _two() -> int:
    await asyncio.sleep(1)
    return 2


def a_simulation() -> int:
    """What a coroutine returns comes back."""
    return simulate(_two)


def a_verdict(judgement: Judgement, latencies: Histogram) -> tuple[int, float]:
    """A load test ends in an exit code."""
    return judgement.exit_code, latencies.quantile(0.99)


def from_outside() -> list[str]:
    """An application and a running server are judged by what their clients see."""
    names = Names(join="enter(websocket, room)", broadcast="tell(room, message)")
    reports = [
        check_manager(WebSocketManager, names=names, select="evict"),
        check_application(an_application, path="/ws", publish="POST /api/events"),
        check_server("ws://127.0.0.1:8000/ws", say="{message}"),
    ]
    return [report.verdict for report in reports]


async def over_httpx(url: str) -> None:
    """An application over a modelled wire, and a real server behind a relay that does harm."""
    transport = WireTransport(an_application(), wire=Wire(), behaviour=Behaviour.stalled())
    async with httpx.AsyncClient(transport=transport) as client:
        assert_type(client, httpx.AsyncClient)
    async with Relay(url) as relay:
        assert_type(relay.url, str)


async def a_feed() -> list[DashboardEvent]:
    """Realistic events, each at its time."""
    feed = paced(agent_runs(seed=1, agents=2), steady(rate=100.0))
    assert_type(feed, AsyncIterator[DashboardEvent])
    return [event async for event in feed]


def a_server(token: str) -> None:
    """The application served behind locks, by us or by uvicorn with our protocol."""
    doors = Doors(allowed_origins=("https://dash.example",), read_token=token, max_clients=100)
    serve(create_app(WebSocketManager(), doors=doors), doors=doors, port=0)
    uvicorn.run(an_application(), ws=FlockWebSocketProtocol)


class Laptop(StalledUser):
    """A user of locust's, as a locustfile of one's own has it."""

    turns = 2.0
    options = {"bytes_per_second": 1_000}  # noqa: RUF012 - as in the docs


class Chatter(ViewerUser):
    """One with tasks, which are locust's."""

    cohort = "chatters"

    def count(self) -> None:
        """Tell locust's statistics what came."""
        self.fire("looked", seconds=0.0, size_bytes=self.member.received_bytes)
