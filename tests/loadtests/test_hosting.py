"""Applications of others, from ``MODULE:APP`` to an ASGI application."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from flock_ws import server
from loadtests.errors import LoadTestError
from loadtests.hosting import load_app, settings

CODE = """\
async def app(scope, receive, send): ...
def make(title="a title", *more, **options): return app
class Namespace:
    app = app
class Application:
    async def __call__(self, scope, receive, send): ...
instance = Application()
def fail(): raise RuntimeError("no database")
number = 5
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"app_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    return name


@pytest.mark.parametrize("path", ["app", "make", "Namespace.app"])
def test_a_function_a_factory_and_a_name_with_dots_lead_to_the_application(
    name: str, path: str
) -> None:
    assert load_app(f"{name}:{path}").__name__ == "app"


def test_an_instance_is_an_application(name: str) -> None:
    assert type(load_app(f"{name}:instance")).__name__ == "Application"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":nothing", "has no attribute 'nothing'"),
        (":fail", "RuntimeError: no database"),
        (":number", "int is no ASGI application"),
        (":Application", "Application is no ASGI application"),
        ("", "expected MODULE:APP, like main:app"),
    ],
)
def test_what_is_no_application_is_told_with_the_reason(name: str, path: str, message: str) -> None:
    with pytest.raises(LoadTestError, match=re.escape(message)):
        load_app(name + path)


def test_a_missing_module_is_named() -> None:
    with pytest.raises(LoadTestError, match="No module named 'nowhere_at_all'"):
        load_app("nowhere_at_all:app")


def test_no_keepalive_of_the_server_drops_a_client_in_the_applications_stead(name: str) -> None:
    assert settings(load_app(f"{name}:app")).ws_ping_timeout is None
    assert inspect.signature(server.serve).parameters["ping_timeout"].default is None
