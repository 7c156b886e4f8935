"""An ASGI application as it is found: how it is made anew, and where its clients go in."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp

from simulators.contract.causes import Cause
from simulators.contract.loader import NotLoadedError, find
from simulators.contract.signatures import AdapterError

__all__ = [
    "Application",
    "is_application",
    "load_application",
    "routes_with_a_body",
    "websocket_path",
]

_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_OURS = ("simulators",)


@dataclass(frozen=True, slots=True)
class Application:
    """An application to be checked.

    Attributes:
        name: as it was named.
        make: makes it anew; each check gets its own.
        path: of its WebSocket endpoint, where that is known.
        cause: what makes it broadcast, where that is known.
    """

    name: str
    make: Callable[[], ASGIApp]
    path: str | None = None
    cause: Cause | None = None

    def target(self, name: str, number: int) -> str:
        """Return where a client connects to: the parameters of the path are filled in.

        Args:
            name: who the client says it is, in the query.
            number: its number, for each parameter of the path.
        """
        path = _PARAMETER.sub(str(number), self.path or "/")
        return f"{path}{'&' if '?' in path else '?'}client={quote(name)}"


def is_application(found: Any) -> bool:
    """Whether something is an ASGI application: called with scope, receive and send."""
    if inspect.isclass(found) or not callable(found):
        return False
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return False
    return list(parameters)[:3] == ["scope", "receive", "send"]


def load_application(text: str) -> Application:
    """Find what a text names: ``module:app``, or ``module:create_app()`` for what makes one.

    One that stands in a module is made anew for each check: the modules that its import brought,
    and that lie beside it, are run again. Databases and files are shared all the same.

    Raises:
        NotLoadedError: nothing is there, importing it fails, or it is no application.
    """
    known = set(sys.modules)
    module, path, found = find(text.removesuffix("()"))
    if is_application(found) and not text.endswith("()"):
        own = _own_modules(module, known)
        return Application(text, lambda: _again(module, path, own, found))
    if callable(found) and not is_application(found) and is_application(found()):
        return Application(text if text.endswith("()") else f"{text}()", found)
    raise NotLoadedError(
        f"{text!r} is no ASGI application but {type(found).__name__}: name the application, "
        "myapp.main:app, or what makes one, myapp.main:create_app()"
    )


def _own_modules(module: ModuleType, known: set[str]) -> list[str]:
    """Return the modules that belong to an application: its package, and what lies beside it."""
    top = module.__name__.partition(".")[0]
    root = Path(getattr(sys.modules[top], "__file__", None) or ".").resolve().parent
    found = []
    for name, other in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS or name == "__main__":
            continue
        file = getattr(other, "__file__", None)
        beside = (
            name not in known
            and file is not None
            and Path(file).resolve().is_relative_to(root)
            and "site-packages" not in file
        )
        if beside or name == module.__name__ or name.startswith(f"{module.__name__}."):
            found.append(name)
    return found


def _again(module: ModuleType, path: str, own: Iterable[str], first: ASGIApp) -> ASGIApp:
    """Import an application once more. One that does not let itself is used as it is."""
    saved = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    try:
        found: Any = importlib.import_module(module.__name__)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception:  # noqa: BLE001  # metrics that are registered twice, for instance
        return first
    else:
        return found if is_application(found) else first
    finally:
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(saved)


# Its routes.


def _routes(app: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for route in getattr(app, "routes", None) or ():
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount):
            yield from _routes(route, path)
        else:
            yield path, route


def websocket_path(app: ASGIApp) -> str:
    """Return the path of the one WebSocket endpoint.

    Raises:
        AdapterError: there is none to be seen, or several; the message asks which.
    """
    paths = [path for path, route in _routes(app) if isinstance(route, WebSocketRoute)]
    if len(paths) == 1:
        return paths[0]
    if not paths:
        raise AdapterError(
            "no WebSocket endpoint can be seen among its routes: name its path, --path /ws"
        )
    raise AdapterError(
        f"it has {len(paths)} WebSocket endpoints ({', '.join(paths)}): say which, "
        f"--path {paths[0]}"
    )


def routes_with_a_body(app: ASGIApp) -> list[tuple[str, str]]:
    """Return method and path of each route that takes a body."""
    return [
        (method, path)
        for path, route in _routes(app)
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
        if method in {"POST", "PUT"}
    ]
