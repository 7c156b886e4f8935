"""The adapters, on managers as people write them."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import AdapterError, Names, adapt, check_manager

HERE = Path(__file__).parent

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

pytestmark = pytest.mark.usefixtures("spared")

TAKEN_FOR = {
    "fastapi_tutorial:ConnectionManager": (
        "connect(socket)",
        "disconnect(socket)",
        "broadcast(text)",
        True,
    ),
    "by_id:ConnectionManager": ("connect(socket, id)", "disconnect(id)", "broadcast(json)", True),
    "chat_rooms:RoomManager": (
        "connect(socket, room)",
        "disconnect(socket, room)",
        "broadcast(text, room)",
        True,
    ),
    "typed:WebSocketManager": (
        "connect(socket)",
        "disconnect(socket)",
        "broadcast(kind, json)",
        True,
    ),
    "notify:Notifier": ("register(socket)", "unregister(socket)", "notify_all(json)", False),
    "notify:notifier": ("register(socket)", "unregister(socket)", "notify_all(json)", False),
    "sessions:SessionManager": (
        "register(id, socket)",
        "unregister(id)",
        "send_all(text)",
        False,
    ),
    "state:StateManager": (
        "add_connection(socket)",
        "remove_connection(socket)",
        "broadcast_json(json)",
        True,
    ),
    "binary:BinaryManager": ("connect(socket)", "disconnect(socket)", "broadcast(bytes)", True),
    "chat:ChatManager": (
        "connect(socket, id)",
        "disconnect(socket, id)",
        "broadcast(nobody, text)",
        True,
    ),
    "topics:Hub": (
        "connect(socket, room, id)",
        "disconnect(room, id)",
        "publish(room, json)",
        True,
    ),
}


@pytest.mark.parametrize(("where", "expected"), TAKEN_FOR.items(), ids=TAKEN_FOR)
def test_a_wild_manager_is_understood_without_configuration(
    where: str, expected: tuple[str, str, str, bool]
) -> None:
    adapter = adapt(f"contract_corpus.wild.{where}")
    found = (str(adapter.join), str(adapter.leave), str(adapter.broadcast), adapter.accepts)
    assert found == expected


@pytest.mark.parametrize("where", TAKEN_FOR, ids=TAKEN_FOR)
def test_a_healthy_client_of_a_wild_manager_is_reached(where: str) -> None:
    report = check_manager(f"contract_corpus.wild.{where}", select="pool.join_twice_delivers_once")
    (result,) = report.results
    assert result.verdict != "unknown", result.message


def test_what_has_names_of_its_own_is_asked_for_exactly_what_is_missing() -> None:
    with pytest.raises(AdapterError) as refusal:
        adapt("contract_corpus.wild.handmade:Lobby")
    message = str(refusal.value)
    assert "--join" in message
    assert "--broadcast" in message
    assert "farewell, shout, welcome" in message


def test_the_answer_is_all_that_it_takes() -> None:
    names = Names(join="welcome", leave="farewell", broadcast="shout")
    adapter = adapt("contract_corpus.wild.handmade:Lobby", names=names)
    assert (str(adapter.join), str(adapter.leave)) == ("welcome(socket)", "farewell(socket)")
    assert adapter.accepts


def test_every_wild_module_is_tried() -> None:
    tried = {where.partition(":")[0] for where in TAKEN_FOR} | {"handmade"}
    assert sorted(tried) == catalogue.wild_modules()
