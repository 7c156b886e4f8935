"""How an application is found, made anew, and looked at."""

import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from simulators.contract import AdapterError, NotLoadedError
from simulators.contract.applications import (
    Application,
    is_application,
    load_application,
    routes_with_a_body,
    websocket_path,
)

MAIN = """
from starlette.applications import Starlette
import {pool}

app = Starlette()
app.state.pool = {pool}.clients
not_an_app = 3
"""


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Write an application of two modules, and return their names."""
    main, pool = f"main_{tmp_path.name}", f"pool_{tmp_path.name}"
    (tmp_path / f"{main}.py").write_text(MAIN.format(pool=pool))
    (tmp_path / f"{pool}.py").write_text("clients = []\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return main, pool


def test_each_check_gets_the_application_and_what_lies_beside_it_anew(
    names: tuple[str, str],
) -> None:
    main, pool = names
    found = load_application(f"{main}:app")
    first: Any = found.make()
    first.state.pool.append("somebody")
    second: Any = found.make()
    assert second is not first
    assert second.state.pool == []
    assert sys.modules[pool].clients == []


def test_what_makes_an_application_is_called() -> None:
    found = load_application("flock_ws.app:create_app")
    assert found.name == "flock_ws.app:create_app()"
    assert found.make() is not found.make()
    assert load_application("flock_ws.app:create_app()").name == found.name


def test_what_is_no_application_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(NotLoadedError, match="is no ASGI application but int"):
        load_application(f"{names[0]}:not_an_app")


@pytest.mark.parametrize(
    ("thing", "expected"),
    [(Starlette(), True), (Starlette, False), (WebSocketManager(), False), (create_app, False)],
    ids=["instance", "class", "manager", "factory"],
)
def test_an_application_is_told_from_a_manager(thing: Any, *, expected: bool) -> None:
    assert is_application(thing) is expected


async def nothing(*_: Any) -> None:
    """Serve nothing."""


def test_the_one_endpoint_is_found_below_a_mount() -> None:
    app = Starlette(routes=[Mount("/live", routes=[WebSocketRoute("/ws/{room}", nothing)])])
    assert websocket_path(app) == "/live/ws/{room}"


def test_several_endpoints_are_asked_about_and_none_as_well() -> None:
    app = Starlette(routes=[WebSocketRoute("/a", nothing), WebSocketRoute("/b", nothing)])
    with pytest.raises(AdapterError, match=r"2 WebSocket endpoints \(/a, /b\).*--path /a"):
        websocket_path(app)
    with pytest.raises(AdapterError, match="--path /ws"):
        websocket_path(Starlette())


def test_the_parameters_of_a_path_are_filled_in() -> None:
    application = Application("x", Starlette, path="/ws/{room}/{client_id:int}")
    assert application.target("slow-1", 7) == "/ws/7/7?client=slow-1"


def test_routes_that_take_a_body_are_listed() -> None:
    routes = [Route("/a", nothing, methods=["POST", "GET"]), Route("/b", nothing)]
    assert routes_with_a_body(Starlette(routes=routes)) == [("POST", "/a")]
