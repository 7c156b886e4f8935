"""The application and its WebSocket: who comes in, what is said, how it ends."""

import json
from typing import Any

import pytest
from fastapi import WebSocket
from pydantic import BaseModel

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from flock_ws.doors import Doors
from flock_ws.foreign import NotAManagerError
from tests.flock_ws.visitor import ForeignManager, Visitor, streamed, visit


def test_a_manager_that_lacks_methods_is_refused_by_name() -> None:
    class Half:
        async def broadcast(self, event: BaseModel) -> None: ...

    with pytest.raises(NotAManagerError, match="lacks add_client, remove_client;"):
        create_app(Half())


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


def test_the_end_of_the_application_is_the_end_of_the_manager() -> None:
    app = create_app()  # makes a reference manager by itself
    with Visitor(app):
        pass
    assert app.state.manager._shutdown
