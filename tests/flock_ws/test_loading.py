import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flock_ws import WebSocketManager
from flock_ws.foreign import NotAManagerError
from flock_ws.loading import ManagerNotLoadedError, load_manager

REFERENCE = "flock_ws.manager:WebSocketManager"

SOURCE = """
import asyncio

class Plain:
    async def add_client(self, websocket): ...
    async def remove_client(self, websocket): ...
    async def broadcast(self, event): ...

class Beating(Plain):
    def __init__(self, heartbeat_interval=120): self.heartbeat_interval = heartbeat_interval

class Greedy(Plain):
    def __init__(self, **options): self.options = options

class Demanding(Plain):
    def __init__(self, redis): ...

class Callable(Plain):
    def __call__(self): raise AssertionError

class Space:
    manager = Plain()

def make(): return Plain()
async def make_later(): return Plain()
def make_nothing(): return None

instance = Plain()
callable_instance = Callable()
number = 7
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "their_app.py").write_text(SOURCE)
    (tmp_path / "their_broken.py").write_text("1 / 0")
    (tmp_path / "their_needy.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("their_")]:
        del sys.modules[name]


def kind(text: str, **options: Any) -> str:
    return type(load_manager(text, options=options)[0]).__name__


@pytest.mark.parametrize("name", ["Plain", "make", "instance", "Space.manager"])
def test_a_class_a_function_and_an_instance_will_do(name: str) -> None:
    assert kind(f"their_app:{name}") == "Plain"


def test_an_instance_that_can_be_called_is_not() -> None:
    assert kind("their_app:callable_instance") == "Callable"


def test_the_reference_takes_all_options() -> None:
    options = {"heartbeat_interval": 5.0, "enable_heartbeat": True, "send_timeout": 0.25}
    manager, ignored = load_manager(REFERENCE, options=options)
    assert isinstance(manager, WebSocketManager)
    assert (manager.heartbeat_interval, manager.limits.send_timeout, ignored) == (5.0, 0.25, [])


def test_only_options_that_are_taken_are_passed_and_the_others_named() -> None:
    options = {"heartbeat_interval": 5.0, "send_timeout": 0.25}
    manager, ignored = load_manager("their_app:Beating", options=options)
    assert (manager.heartbeat_interval, ignored) == (5.0, ["send_timeout"])


def test_a_constructor_that_takes_anything_is_given_everything() -> None:
    manager, ignored = load_manager("their_app:Greedy", options={"send_timeout": 1.0})
    assert (manager.options, ignored) == ({"send_timeout": 1.0}, [])


def test_an_instance_takes_no_options() -> None:
    assert load_manager("their_app:instance", options={"send_timeout": 1.0})[1] == ["send_timeout"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("their_app", "expected MODULE:FACTORY"),
        (":Plain", "expected MODULE:FACTORY"),
        ("their_app:", "expected MODULE:FACTORY"),
        ("their_ap:Plain", "there is no module 'their_ap'"),
        ("their_app.ws:Plain", "there is no module 'their_app.ws'"),
        ("their_app:Plane", "has no 'Plane'; did you mean 'Plain'"),
        ("their_app:Space.manger", "has no 'Space.manger'; did you mean 'manager'"),
        ("their_broken:Plain", "importing 'their_broken' failed: ZeroDivisionError"),
        ("their_needy:Plain", "importing 'their_needy' failed: .*not_installed_anywhere"),
        ("their_app:Demanding", r"Demanding\(\) failed: TypeError: .*redis"),
        ("their_app:make_later", "is async"),
    ],
)
def test_what_leads_to_no_manager_is_told_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ManagerNotLoadedError, match=message) as caught:
        load_manager(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["number", "make_nothing"])
def test_what_is_no_manager_is_refused(name: str) -> None:
    with pytest.raises(NotAManagerError, match="lacks add_client"):
        load_manager(f"their_app:{name}")


def test_a_nonsensical_limit_is_told_by_its_name() -> None:
    with pytest.raises(ManagerNotLoadedError, match="send_timeout must be"):
        load_manager(REFERENCE, options={"send_timeout": -1.0})
