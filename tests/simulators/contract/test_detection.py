"""Managers as people write them are understood, or it is said what is missing."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.websockets import WebSocket

from simulators.contract import AdapterError, Names, adapt, check_manager, check_one


class Tutorial:
    """As FastAPI's documentation has it."""

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def send_personal_message(self, message: str, websocket: WebSocket) -> None:
        await websocket.send_text(message)

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(message)


class ById:
    def __init__(self) -> None:
        self.active: dict[str, WebSocket] = {}

    async def connect(self, websocket: WebSocket, client_id: str) -> None:
        await websocket.accept()
        self.active[client_id] = websocket

    def disconnect(self, client_id: str) -> None:
        self.active.pop(client_id, None)

    async def broadcast(self, data: dict[str, Any], exclude: str | None = None) -> None:
        for name, websocket in list(self.active.items()):
            if name != exclude:
                await websocket.send_json(data)


class Rooms:
    def __init__(self) -> None:
        self.rooms: defaultdict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        self.rooms[room].append(websocket)

    def disconnect(self, websocket: WebSocket, room: str) -> None:
        self.rooms[room].remove(websocket)

    async def broadcast(self, message: str, room: str) -> None:
        for websocket in self.rooms[room]:
            await websocket.send_text(message)


class KindAndPayload:
    def __init__(self) -> None:
        self.connections: set[Any] = set()

    async def add_connection(self, ws) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the shape is the point
        self.connections.add(ws)

    async def remove_connection(self, ws) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the same
        self.connections.discard(ws)

    async def broadcast(self, event_type, payload) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the same
        text = json.dumps({"type": event_type, "data": payload})
        for ws in list(self.connections):
            await ws.send_text(text)


class Sender:
    def __init__(self) -> None:
        self.users: dict[int, WebSocket] = {}

    async def connect(self, websocket: WebSocket, user_id: int) -> None:
        await websocket.accept()
        self.users[user_id] = websocket

    def disconnect(self, user_id: int) -> None:
        self.users.pop(user_id, None)

    async def broadcast(self, sender_id: int, message: str) -> None:
        for user_id, websocket in self.users.items():
            if user_id != sender_id:
                await websocket.send_text(f"{sender_id}: {message}")


class Reading(BaseModel):
    sensor: str
    value: float
    tags: list[str] = []


class OwnModel:
    def __init__(self) -> None:
        self.sessions: list[tuple[str, WebSocket]] = []

    def register(self, session_id: str, ws: WebSocket) -> None:
        self.sessions.append((session_id, ws))

    def unregister(self, session_id: str) -> None:
        self.sessions = [item for item in self.sessions if item[0] != session_id]

    async def notify_all(self, event: Reading) -> None:
        text = event.model_dump_json()
        for _, ws in self.sessions:
            await ws.send_text(text)


@dataclass
class Connection:
    websocket: WebSocket
    queue: list[str] = field(default_factory=list)


class Wrapped:
    """Gives each connection a number of its own, and wants it back."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}

    async def connect(self, websocket: WebSocket) -> str:
        await websocket.accept()
        number = f"c{len(self.connections)}"
        self.connections[number] = Connection(websocket)
        return number

    async def disconnect(self, connection_id: str) -> None:
        self.connections.pop(connection_id, None)

    async def broadcast_json(self, obj: Any) -> None:
        for connection in list(self.connections.values()):
            await connection.websocket.send_json(obj)


class Binary:
    def __init__(self) -> None:
        self._clients: set[WebSocket] = set()

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self._clients.add(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self._clients.discard(websocket)

    async def broadcast(self, data: bytes) -> None:
        await asyncio.gather(*(client.send_bytes(data) for client in self._clients))


SHAPES = [
    (Tutorial, "connect(socket)", True, "broadcast(text)", "active_connections"),
    (ById, "connect(socket, id)", True, "broadcast(json)", "active"),
    (Rooms, "connect(socket, room)", True, "broadcast(text, room)", "rooms"),
    (KindAndPayload, "add_connection(socket)", False, "broadcast(kind, json)", "connections"),
    (Sender, "connect(socket, id)", True, "broadcast(nobody, text)", "users"),
    (OwnModel, "register(id, socket)", False, "notify_all(event)", "sessions"),
    (Wrapped, "connect(socket)", True, "broadcast_json(json)", "connections"),
    (Binary, "connect(socket)", True, "broadcast(bytes)", None),
]


@pytest.mark.parametrize(
    ("kind", "join", "accepts", "broadcast", "pool"), SHAPES, ids=lambda shape: str(shape)[:30]
)
def test_a_shape_from_the_wild_is_understood(
    kind: Callable[[], Any],
    join: str,
    accepts: bool,  # noqa: FBT001  # a row of the table
    broadcast: str,
    pool: str | None,
) -> None:
    adapter = adapt(kind)
    assert (str(adapter.join), adapter.accepts) == (join, accepts)
    assert str(adapter.broadcast) == broadcast
    assert adapter.pool == pool


@pytest.mark.parametrize("kind", [shape[0] for shape in SHAPES], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "check_id", ["delivery.order", "pool.left_client_gets_nothing", "evict.reconnect_same_identity"]
)
def test_what_was_understood_can_be_used(kind: Callable[[], Any], check_id: str) -> None:
    result = check_one(check_id, kind)
    by_name = kind in {ById, Sender, OwnModel} and check_id == "evict.reconnect_same_identity"
    # Removing by a name that the new connection has too is the very mistake.
    assert result.verdict == ("fail" if by_name else "pass"), result.message


class Unusual:
    def __init__(self) -> None:
        self.everybody: list[WebSocket] = []

    async def enter(self, visitor: WebSocket, colour: str) -> None:  # noqa: ARG002  # asked for
        self.everybody.append(visitor)

    async def tell(self, what: str, volume: int) -> None:  # noqa: ARG002  # the same
        for visitor in self.everybody:
            await visitor.send_text(what)


def test_what_is_missing_is_asked_for_with_the_words_to_type() -> None:
    with pytest.raises(AdapterError) as asked:
        adapt(Unusual)
    message = str(asked.value)
    assert "--join 'enter(websocket)'" in message
    assert "--broadcast 'send_everything(message)'" in message
    assert "its public methods are enter, tell" in message


def test_a_parameter_that_could_mean_anything_is_asked_for() -> None:
    with pytest.raises(AdapterError, match=r"what is 'colour'\? Say what to pass: --join"):
        adapt(Unusual, names=Names(join="enter", broadcast="tell(message, 3)"))


def test_what_was_asked_for_can_be_said() -> None:
    names = Names(join="enter(websocket, 'blue')", broadcast="tell(message, volume=3)")
    report = check_manager(Unusual, names=names, select="delivery.text_frames")
    assert report.verdict == "pass"
    assert "join: enter(socket, 'blue') (accepted before)" in report.adapter


def test_a_method_that_is_not_there_is_named() -> None:
    with pytest.raises(AdapterError, match="Tutorial has no method 'shout'"):
        adapt(Tutorial, names=Names(broadcast="shout(message)"))


def test_a_word_that_means_nothing_is_named() -> None:
    with pytest.raises(AdapterError, match="what is 'everyone'"):
        adapt(Tutorial, names=Names(broadcast="broadcast(everyone)"))


def test_what_cannot_be_made_without_arguments_asks_for_a_function() -> None:
    class Needs:
        def __init__(self, redis: object) -> None: ...

    with pytest.raises(AdapterError, match="write a function that makes one"):
        adapt(Needs)


def test_an_instance_in_a_module_is_made_anew_for_each_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "clients = []\n"
        "class Manager:\n"
        "    async def connect(self, websocket):\n"
        "        await websocket.accept()\n"
        "        clients.append(websocket)\n"
        "    def disconnect(self, websocket):\n"
        "        clients.remove(websocket)\n"
        "    async def broadcast(self, message):\n"
        "        for client in clients:\n"
        "            await client.send_text(message)\n"
        "manager = Manager()\n"
    )
    (tmp_path / "module_with_an_instance.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    report = check_manager(
        "module_with_an_instance:manager", select="delivery.order,delivery.text_frames"
    )
    assert [result.verdict for result in report.results] == ["pass", "pass"]
