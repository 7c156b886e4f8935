"""What can be asked of the application over HTTP: publishing, history, statistics."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from flock_ws import WebSocketManager
from flock_ws.app import MAX_EVENTS, create_app
from flock_ws.events import EVENT_KINDS
from tests.flock_ws.visitor import ForeignManager, Visitor, get, post, streamed, visit


def sequences(page: dict[str, Any]) -> list[int]:
    return [event["sequence"] for event in page["events"]]


# Publishing


def test_a_publish_is_answered_with_202_and_the_count() -> None:
    answer = post(ForeignManager(), [streamed(0), streamed(1)])
    assert (answer.status_code, answer.json()) == (202, {"published": 2})


def test_every_kind_of_event_is_known_by_its_name() -> None:
    schemas = create_app(ForeignManager()).openapi()["components"]["schemas"]
    assert {f"Posted{kind}" for kind in EVENT_KINDS} <= schemas.keys()


def test_an_unknown_kind_is_told_which_there_are() -> None:
    answer = post(ForeignManager(), {"kind": "Nope", "event": {}})
    assert answer.status_code == 422
    assert all(kind in answer.json()["detail"][0]["msg"] for kind in EVENT_KINDS)


def test_a_wrong_event_is_told_its_place_and_its_field() -> None:
    answer = post(ForeignManager(), [streamed(0), streamed("x")])
    loc = answer.json()["detail"][0]["loc"]
    assert (answer.status_code, loc[2], loc[-2:]) == (422, 1, ["event", "sequence"])


def test_a_list_with_one_wrong_event_publishes_none() -> None:
    manager = ForeignManager()
    post(manager, [streamed(), {"kind": "Nope", "event": {}}])
    assert manager.events == []


def test_a_list_with_one_event_that_cannot_be_encoded_publishes_none() -> None:
    published = {
        "kind": "MessagePublishedEvent",
        "event": {
            "correlation_id": "c",
            "artifact_id": "a",
            "artifact_type": "t",
            "produced_by": "p",
            "payload": {"text": "\ud800"},
            "visibility": {"kind": "public"},
        },
    }
    manager = ForeignManager()
    answer = post(manager, [streamed(), published])
    assert answer.json()["detail"][0]["loc"] == ["body", "list", 1, "event"]
    assert manager.events == []


def test_the_flat_form_is_refused() -> None:
    flat = {"kind": "StreamingOutputEvent", **streamed()["event"]}
    assert post(ForeignManager(), flat).status_code == 422


def test_a_refusal_does_not_echo_what_no_json_can_hold() -> None:
    answer = post(
        ForeignManager(), '{"kind": "AgentCompletedEvent", "event": {"duration_ms": NaN}}'
    )
    assert (answer.status_code, "NaN" in answer.text) == (422, False)


def test_a_list_beyond_the_limit_is_refused() -> None:
    answer = post(ForeignManager(), [streamed()] * (MAX_EVENTS + 1))
    assert answer.status_code == 422


# History


def test_the_whole_history_comes_oldest_first() -> None:
    with visit(WebSocketManager()) as http:
        http.post("/api/events", json=[streamed(number) for number in range(3)])
        page = http.get("/api/streaming-history/writer").json()
    assert (page["agent_name"], page["total"], page["before"]) == ("writer", 3, None)
    assert sequences(page) == [0, 1, 2]


def test_an_agents_name_may_hold_a_slash() -> None:
    with visit(WebSocketManager()) as http:
        http.post("/api/events", json=streamed(agent_name="team/writer"))
        assert http.get("/api/streaming-history/team/writer").json()["total"] == 1


def pages(http: Visitor, between: Callable[[], object]) -> list[list[int]]:
    found, before = [], None
    while True:
        query = {"limit": 2} | ({"before": before} if before else {})
        page = http.get("/api/streaming-history/writer", params=query).json()
        found.append(sequences(page))
        if (before := page["before"]) is None:
            return found
        between()


def test_pages_stay_right_while_events_keep_coming() -> None:
    with visit(WebSocketManager()) as http:
        http.post("/api/events", json=[streamed(number) for number in range(5)])
        found = pages(http, lambda: http.post("/api/events", json=streamed(99)))
    assert found == [[3, 4], [1, 2], [0]]


def test_pages_end_when_their_mark_was_forgotten() -> None:
    with visit(WebSocketManager(history_limit=5)) as http:
        http.post("/api/events", json=[streamed(number) for number in range(5)])
        newer = [streamed(number) for number in range(10, 20)]
        found = pages(http, lambda: http.post("/api/events", json=newer))
    assert found == [[3, 4], []]


@pytest.mark.parametrize("query", ["before=nonsense", "limit=0", "limit=x"])
def test_a_nonsensical_page_is_refused(query: str) -> None:
    with visit(WebSocketManager()) as http:
        answer = http.get(f"/api/streaming-history/writer?{query}")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (
        422,
        ["query", query.partition("=")[0]],
    )


def test_a_manager_without_history_is_a_404_that_says_so() -> None:
    answer = get(ForeignManager(), "/api/streaming-history/writer")
    assert (answer.status_code, "no get_streaming_history" in answer.text) == (404, True)


def test_an_asynchronous_history_of_dictionaries_is_served_too() -> None:
    class Remembering(ForeignManager):
        async def get_streaming_history(self, agent_name: str) -> list[dict[str, Any]]:
            return [{"agent_name": agent_name, "sequence": number} for number in range(3)]

    with visit(Remembering()) as http:
        assert pages(http, lambda: None) == [[1, 2], [0]]


# Statistics


def test_statistics_hold_the_managers_own() -> None:
    with visit(WebSocketManager()) as http:
        http.post("/api/events", json=streamed())
        stats = http.get("/api/stats").json()
    assert (stats["published"], stats["history"], stats["manager"]) == (
        1,
        {"writer": 1},
        "flock_ws.manager:WebSocketManager",
    )


def test_statistics_tell_of_the_process() -> None:
    with visit(WebSocketManager()) as http:
        server = http.get("/api/stats").json()["server"]
    numbers = ("pid", "time", "clock", "cpu_seconds", "tasks", "loop_lag")
    assert all(isinstance(server[name], int | float) for name in numbers)


def test_loop_lag_is_unknown_where_no_lifespan_was_run() -> None:
    async def stats() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(ForeignManager()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/api/stats")

    assert asyncio.run(stats()).json()["server"]["loop_lag"] is None


def test_loop_lag_shows_a_loop_that_was_blocked() -> None:
    class Blocking(ForeignManager):
        async def broadcast(self, event: BaseModel) -> None:
            await super().broadcast(event)
            ends = asyncio.get_running_loop().time() + 0.2
            while asyncio.get_running_loop().time() < ends:
                pass

    with visit(Blocking()) as http:
        http.post("/api/events", json=streamed())
        assert http.get("/api/stats").json()["server"]["loop_lag"] > 0.1


def test_a_connection_that_was_dropped_and_not_closed_is_seen() -> None:
    manager = ForeignManager()
    with visit(manager) as http, http.websocket_connect("/ws"), http.websocket_connect("/ws"):
        dropped = manager.active_connections.pop()
        stats = http.get("/api/stats").json()
        manager.active_connections.append(dropped)
    assert [one["in_pool"] for one in stats["connections"]] == [True, False]


def test_healthz_answers() -> None:
    answer = get(ForeignManager(), "/healthz")
    assert answer.json() == {"status": "ok"}
