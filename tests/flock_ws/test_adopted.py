from typing import Any

import pytest
from pydantic import BaseModel

from flock_ws.adopted import Adopted, adopt
from flock_ws.events import AgentCompletedEvent
from flock_ws.foreign import members, name_of
from simulators import FakeClient, HealthyClient, sim_test

EVENT = AgentCompletedEvent(correlation_id="c", agent_name="a", run_id="r", duration_ms=1.0)


class Tutorial:
    """As the tutorial of FastAPI has it."""

    def __init__(self) -> None:
        self.active_connections: list[Any] = []

    async def connect(self, websocket: Any) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: Any) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(message)


@sim_test
async def test_the_manager_of_the_tutorial_serves_under_our_names() -> None:
    manager, client = adopt(Tutorial()), HealthyClient()
    await manager.add_client(client)
    await manager.broadcast(EVENT)
    await client.wait_received(1, timeout=1.0)
    assert client.received[0].message == EVENT.model_dump_json()
    assert members(manager) == {id(client)}
    manager.remove_client(client)
    assert manager.active_connections == []


def test_it_is_named_as_it_was_written() -> None:
    assert name_of(adopt(Tutorial())).endswith(":Tutorial")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [(dict, dict), (dict[str, Any], dict), ("dict", dict), (BaseModel, BaseModel), (str, str)],
)
def test_events_come_in_the_form_that_the_manager_takes(annotation: Any, expected: type) -> None:
    taken: list[Any] = []

    def broadcast(event: Any) -> None:
        taken.append(event)

    broadcast.__annotations__["event"] = annotation
    Adopted(None, join=len, leave=len, broadcast=broadcast).broadcast(EVENT)
    assert isinstance(taken[0], expected)


class ByRoom(Tutorial):
    async def connect(self, websocket: Any, room: str) -> None:  # type: ignore[override]
        raise AssertionError(websocket, room)


@pytest.mark.parametrize("manager", [ByRoom(), object(), FakeClient()])
def test_what_cannot_be_told_how_to_use_is_left_as_it_is(manager: Any) -> None:
    assert adopt(manager) is manager
