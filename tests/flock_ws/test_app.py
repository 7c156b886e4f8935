import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from flock_ws import WebSocketManager
from flock_ws.app import MAX_EVENTS, create_app
from flock_ws.doors import Doors
from flock_ws.events import EVENT_KINDS
from flock_ws.foreign import NotAManagerError


class ForeignManager:
    """Has what every manager has, as it is often written, and a memory of its calls."""

    def __init__(self) -> None:
        self.active_connections: list[Any] = []
        self.events: list[BaseModel] = []

    async def add_client(self, websocket: WebSocket) -> None:
        self.active_connections.append(websocket)

    async def remove_client(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, event: BaseModel) -> None:
        self.events.append(event)
        for websocket in self.active_connections:
            await websocket.send_text(event.model_dump_json())


def streamed(sequence: object = 0, **fields: Any) -> dict[str, Any]:
    event = {
        "correlation_id": "c",
        "timestamp": "2026-01-01T00:00:00Z",
        "agent_name": "writer",
        "run_id": "r",
        "output_type": "log",
        "content": "text",
        "sequence": sequence,
    }
    return {"kind": "StreamingOutputEvent", "event": event | fields}


T = TypeVar("T")


class Visitor:
    """Calls an application, without a server: over ASGI, on a loop that runs while it waits.

    As a context it runs the application's lifespan.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.runner = asyncio.Runner()
        self.lifespan = app.router.lifespan_context(app)

    def __enter__(self) -> Self:
        self.wait(self.lifespan.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self.lifespan.__aexit__(None, None, None))
        self.runner.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, timeout=10))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.wait(self._request("GET", path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.wait(self._request("POST", path, **options))

    def websocket_connect(self, path: str, **scope: Any) -> "Socket":
        return Socket(self, path, scope)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)


class Socket:
    """The far end of a WebSocket, as an ASGI server would present it."""

    def __init__(self, visitor: Visitor, path: str, scope: dict[str, Any]) -> None:
        self.visitor = visitor
        self.scope = scope
        self.path, _, self.query = path.partition("?")
        self.inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __enter__(self) -> Self:
        self.say(type="websocket.connect")
        self.answer = self.visitor.wait(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self.say(type="websocket.disconnect", code=1000)
        self.visitor.wait(self._end())

    def say(self, **message: Any) -> None:
        self.inbound.put_nowait(message)

    def next(self) -> dict[str, Any]:
        return self.visitor.wait(self.outbound.get())

    def receive_text(self) -> str:
        text = self.next()["text"]
        assert isinstance(text, str)
        return text

    async def _begin(self) -> dict[str, Any]:
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": self.path,
            "query_string": self.query.encode(),
            "headers": [],
            "client": ("192.0.2.1", 4711),
            "extensions": {"websocket.http.response": {}},
            **self.scope,
        }
        app: Any = self.visitor.app
        call = app(scope, self.inbound.get, self.outbound.put)
        self.task = asyncio.get_running_loop().create_task(call)
        return await self.outbound.get()

    async def _end(self) -> None:
        await self.task


def visit(manager: Any) -> Visitor:
    return Visitor(create_app(manager))


def post(manager: Any, body: Any) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    with visit(manager) as http:
        return http.post(
            "/api/events", content=content, headers={"content-type": "application/json"}
        )


def get(manager: Any, path: str) -> httpx.Response:
    with visit(manager) as http:
        return http.get(path)


def sequences(page: dict[str, Any]) -> list[int]:
    return [event["sequence"] for event in page["events"]]


# Building


def test_a_manager_that_lacks_methods_is_refused_by_name() -> None:
    class Half:
        async def broadcast(self, event: BaseModel) -> None: ...

    with pytest.raises(NotAManagerError, match="lacks add_client, remove_client;"):
        create_app(Half())


# The endpoint


def test_a_posted_event_reaches_a_client_as_its_json() -> None:
    with visit(WebSocketManager()) as http, http.websocket_connect("/ws") as websocket:
        http.post("/api/events", json=streamed(7))
        assert json.loads(websocket.receive_text())["sequence"] == 7


def test_a_foreign_manager_serves_its_clients() -> None:
    with visit(ForeignManager()) as http, http.websocket_connect("/ws") as websocket:
        http.post("/api/events", json=[streamed(0), streamed(1)])
        assert [json.loads(websocket.receive_text())["sequence"] for _ in range(2)] == [0, 1]


def test_the_name_of_a_client_is_in_the_managers_statistics() -> None:
    with visit(WebSocketManager()) as http, http.websocket_connect("/ws?client=anna"):
        assert [one["name"] for one in http.get("/api/stats").json()["per_client"]] == ["anna"]


def test_a_manager_that_takes_no_name_is_given_none() -> None:
    with visit(ForeignManager()) as http, http.websocket_connect("/ws?client=anna"):
        assert [one["name"] for one in http.get("/api/stats").json()["connections"]] == ["anna"]


def test_what_a_client_says_is_reported_as_text_or_bytes() -> None:
    heard: list[str | bytes] = []

    class Listening(ForeignManager):
        def client_said(self, websocket: WebSocket, message: str | bytes) -> None:
            assert websocket in self.active_connections
            heard.append(message)

    with visit(Listening()) as http, http.websocket_connect("/ws") as websocket:
        websocket.say(type="websocket.receive", text="a")
        websocket.say(type="websocket.receive", bytes=b"b")
    assert heard == ["a", b"b"]


def test_a_message_to_a_manager_that_does_not_listen_is_ignored() -> None:
    with visit(ForeignManager()) as http, http.websocket_connect("/ws") as websocket:
        websocket.say(type="websocket.receive", text="anybody there?")
        http.post("/api/events", json=streamed())
        assert json.loads(websocket.receive_text())["content"] == "text"


def test_a_socket_that_the_manager_closes_is_no_error() -> None:
    class Unfriendly(ForeignManager):
        async def add_client(self, websocket: WebSocket) -> None:
            await super().add_client(websocket)
            await websocket.close(1013)

    with (
        visit(Unfriendly()) as http,
        http.websocket_connect("/ws") as websocket,
    ):
        assert websocket.next()["code"] == 1013


def test_a_send_on_a_closed_socket_while_joining_is_no_error() -> None:
    class Greeting(ForeignManager):
        async def add_client(self, websocket: WebSocket) -> None:
            await super().add_client(websocket)
            await websocket.close(1013)
            await websocket.send_text("welcome")

    with visit(Greeting()) as http, http.websocket_connect("/ws"):
        pass  # its end raises what the endpoint raised


def test_a_runtime_error_of_the_manager_itself_is_not_hidden() -> None:
    class Broken(ForeignManager):
        async def add_client(self, websocket: WebSocket) -> None:
            await super().add_client(websocket)
            raise RuntimeError("set changed size during iteration")

    with visit(Broken()) as http:  # noqa: SIM117 - the raise is the socket's, not the visitor's
        with pytest.raises(RuntimeError, match="set changed"), http.websocket_connect("/ws"):
            pass


def test_a_failing_remove_client_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    class Forgetful(ForeignManager):
        async def broadcast(self, event: BaseModel) -> None:
            await super().broadcast(event)
            self.active_connections.clear()

    with visit(Forgetful()) as http, http.websocket_connect("/ws"):
        http.post("/api/events", json=streamed())
    assert [record.getMessage().partition(" failed: ")[2] for record in caplog.records] == [
        "ValueError: list.remove(x): x not in list"
    ]


def test_a_full_pool_is_answered_with_503_before_the_handshake() -> None:
    with (
        visit(WebSocketManager(max_clients=1)) as http,
        http.websocket_connect("/ws"),
        http.websocket_connect("/ws") as turned_away,
    ):
        assert turned_away.answer["status"] == 503
        assert (b"retry-after", b"5") in turned_away.answer["headers"]
        assert b"pool is full" in turned_away.next()["body"]


def test_a_pool_that_turns_out_full_closes_with_1013() -> None:
    class Overbooked(WebSocketManager):
        async def add_client(self, websocket: Any, *, name: str | None = None) -> None:
            self.clients.add(object())  # somebody was quicker
            await super().add_client(websocket, name=name)

    with (
        visit(Overbooked(max_clients=1)) as http,
        http.websocket_connect("/ws") as websocket,
    ):
        assert websocket.next()["code"] == 1013


def test_the_doors_count_the_clients_of_a_manager_that_does_not() -> None:
    app = create_app(ForeignManager(), doors=Doors(max_clients=1))
    with (
        Visitor(app) as http,
        http.websocket_connect("/ws"),
        http.websocket_connect("/ws") as turned_away,
    ):
        assert (turned_away.answer["status"], app.state.refusals["full"]) == (503, 1)


def test_where_no_denial_can_be_given_who_comes_too_many_is_closed_with_1013() -> None:
    app = create_app(ForeignManager(), doors=Doors(max_clients=1))
    with (
        Visitor(app) as http,
        http.websocket_connect("/ws"),
        http.websocket_connect("/ws", extensions={}) as turned_away,
    ):
        assert turned_away.next()["code"] == 1013


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["x"] * 3, 1008),
        (["x" * 11], 1009),
        ([b"x" * 11], 1009),
        (["€" * 4], 1009),
        (["€" * 3, "x" * 10], None),
    ],
    ids=["too often", "too long", "too long, binary", "too long as UTF-8", "within limits"],
)
def test_a_client_may_say_so_much_and_no_more(
    messages: list[str | bytes], code: int | None
) -> None:
    manager = ForeignManager()
    doors = Doors(max_inbound_bytes=10, max_inbound_rate=2.0)
    with Visitor(create_app(manager, doors=doors)) as http, http.websocket_connect("/ws") as client:
        for message in messages:
            key = "text" if isinstance(message, str) else "bytes"
            client.say(type="websocket.receive", **{key: message})
        if code is not None:
            assert client.next()["code"] == code
            assert manager.active_connections == []
        else:
            http.post("/api/events", json=streamed())
            assert client.next()["type"] == "websocket.send"


def test_a_name_beyond_reason_is_refused() -> None:
    with (
        visit(ForeignManager()) as http,
        http.websocket_connect(f"/ws?client={'x' * 201}") as websocket,
    ):
        assert websocket.answer["type"] == "websocket.close"


def test_a_client_that_leaves_is_out_of_pool_and_record() -> None:
    manager = ForeignManager()
    with visit(manager) as http:
        with http.websocket_connect("/ws"):
            pass
        assert http.get("/api/stats").json()["connections"] == manager.active_connections == []


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


# The end


def test_the_end_of_the_application_is_the_end_of_the_manager() -> None:
    app = create_app()  # makes a reference manager by itself
    with Visitor(app):
        pass
    assert app.state.manager._shutdown
