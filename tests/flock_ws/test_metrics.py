import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from flock_ws.events import StreamingOutputEvent
from flock_ws.inbound import REFUSALS, refusals
from flock_ws.instruments import INSTRUMENTS
from flock_ws.metrics import Readings, observe
from flock_ws.overview import BEHIND_AFTER
from simulators import simulate

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Client:
    """A client that takes everything at once."""

    async def send_text(self, text: str) -> None:
        """Take it."""


class StalledClient:
    """A client that takes nothing."""

    async def send_text(self, _text: str) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


class BareManager:
    """Tells nothing of itself but its pool."""

    def __init__(self) -> None:
        self.clients: set[Any] = {1, 2}

    async def add_client(self, client: Any) -> None:
        self.clients.add(client)

    async def remove_client(self, client: Any) -> None:
        self.clients.discard(client)

    async def broadcast(self, event: Any) -> None:
        """Do nothing."""


def said() -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name="agent",
        run_id="r",
        output_type="stdout",
        content="text",
        sequence=0,
    )


async def scrape(app: FastAPI, accept: str = "") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        return await client.get("/metrics", headers={"Accept": accept})


def values(answer: httpx.Response) -> dict[str, float]:
    """Return each sample by its name, with its label if it has one."""
    return {
        "".join((sample.name, *(f" {value}" for value in sample.labels.values()))): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


async def busy() -> httpx.Response:
    """Scrape a manager with a healthy client and a stalled one, for a while after three events."""
    app = create_app(WebSocketManager(send_timeout=60))
    manager: WebSocketManager = app.state.manager
    await manager.add_client(Client())
    await manager.add_client(StalledClient())
    for _ in range(3):
        manager.publish(said())
    await asyncio.sleep(BEHIND_AFTER)
    app.state.refusals["origin"] += 2
    return await scrape(app)


def readings(manager: Any) -> Readings:
    return Readings(manager, refusals=refusals(), connections=lambda: 0, loop_lag=lambda: None)


# Prometheus


def test_the_exposition_is_read_by_prometheus_own_parser() -> None:
    found = values(simulate(busy))
    expected = {
        "flock_ws_clients": 2,
        "flock_ws_joins_total": 2,
        "flock_ws_published_total": 3,
        "flock_ws_deliveries_total": 3,
        "flock_ws_lag_messages": 3,
        "flock_ws_history_events": 3,
        "flock_ws_history_agents": 1,
        "flock_ws_evictions_total send_timeout": 0,
        "flock_ws_refusals_total origin": 2,
        "flock_ws_refusals_total token": 0,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_lag_is_that_of_the_client_furthest_behind() -> None:
    found = values(simulate(busy))
    assert found["flock_ws_lag_size_bytes"] == 3 * len(said().model_dump_json())


def test_who_prefers_openmetrics_gets_it() -> None:
    answer = asyncio.run(scrape(create_app(WebSocketManager()), accept=OPENMETRICS))
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]  # it publishes no type
    assert {"flock_ws_clients", "flock_ws_evictions"} <= families


def test_an_eviction_is_counted_by_its_reason() -> None:
    async def main() -> httpx.Response:
        app = create_app(WebSocketManager(send_timeout=0.01))
        manager: WebSocketManager = app.state.manager
        await manager.add_client(StalledClient())
        await manager.broadcast(said())
        return await scrape(app)

    found = values(asyncio.run(main()))
    assert found["flock_ws_evictions_total send_timeout"] == 1


def test_what_a_manager_does_not_tell_is_left_out() -> None:
    found = values(asyncio.run(scrape(create_app(BareManager()))))
    assert found["flock_ws_clients"] == 2
    assert "flock_ws_published_total" not in found
    assert "flock_ws_lag_messages" not in found


def test_what_a_foreign_manager_calls_by_our_names_must_be_a_number() -> None:
    class Chatty(BareManager):
        def statistics(self) -> dict[str, Any]:
            return {"clients": ["anna"], "joined": True, "left": 3, "evicted": ["anna"]}

    found = values(asyncio.run(scrape(create_app(Chatty()))))
    assert found["flock_ws_leaves_total"] == 3
    assert not {"flock_ws_clients", "flock_ws_joins_total"} & found.keys()
    assert not [name for name in found if name.startswith("flock_ws_evictions")]


def test_without_prometheus_client_the_answer_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "prometheus_client":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = asyncio.run(scrape(create_app(WebSocketManager())))
    assert (answer.status_code, answer.text) == (
        501,
        "metrics need prometheus-client: pip install 'flock-ws[metrics]'\n",
    )


# OpenTelemetry


def exported(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def collected(manager: Any, collect: Callable[[InMemoryMetricReader], None]) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        reader = InMemoryMetricReader()
        app = create_app(manager)
        provider = MeterProvider([reader])
        observe(app.state.readings, meter=provider.get_meter("test"))
        async with app.router.lifespan_context(app):
            if isinstance(manager, WebSocketManager):
                await manager.add_client(Client())
                await manager.broadcast(said())
            await asyncio.get_running_loop().run_in_executor(None, collect, reader)
            found = exported(reader)
        provider.shutdown()
        return found

    return asyncio.run(main())


def test_opentelemetry_has_the_same_instruments_with_their_units() -> None:
    found = collected(WebSocketManager(), lambda reader: reader.collect())
    told = {one.name for one in INSTRUMENTS} - {
        # Asked of no client yet.
        "flock_ws.round_trip.median",
        "flock_ws.round_trip.max",
    }
    assert found.keys() == told
    assert {name: metric.unit for name, metric in found.items()} == {
        one.name: one.unit for one in INSTRUMENTS if one.name in told
    }


def test_opentelemetry_tells_a_labelled_value_for_each_label() -> None:
    found = collected(WebSocketManager(), lambda reader: reader.collect())
    points = found["flock_ws.refusals"].data.data_points
    assert [point.attributes["reason"] for point in points] == list(REFUSALS)


def test_opentelemetry_may_ask_from_the_loops_own_thread() -> None:
    found = collected(WebSocketManager(), lambda _: None)
    assert found["flock_ws.published"].data.data_points[0].value == 1


def test_after_the_end_of_the_application_there_is_nothing_to_read() -> None:
    async def main() -> Readings:
        app = create_app(WebSocketManager())
        async with app.router.lifespan_context(app):
            pass
        found: Readings = app.state.readings
        return found

    assert asyncio.run(main()).take_threadsafe() == {}


def test_two_instruments_asked_at_once_share_one_reading() -> None:
    async def main() -> None:
        source = readings(WebSocketManager())
        source.start()
        assert source.take_threadsafe() is source.take_threadsafe()

    asyncio.run(main())


def test_a_thread_that_asks_a_blocked_loop_is_answered_with_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flock_ws.metrics._ANSWERS_WITHIN", 0.01)
    answers: list[Any] = []

    async def main() -> None:
        source = readings(WebSocketManager())
        source.start()
        thread = threading.Thread(target=lambda: answers.append(source.take_threadsafe()))
        thread.start()
        thread.join()  # the loop is blocked here

    asyncio.run(main())
    assert answers == [{}]
