"""How a trace comes to know what happens: it asks fake clients, and wraps a manager's methods.

Nothing here knows a manager's class, only names that managers have.
"""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from simulators.errors import SimulatorError

__all__ = ["Value", "watch_client", "watch_manager", "watch_schedule"]

Value = str | int | float | bool | Mapping[str, Any] | list[Any] | None

_Record = Callable[[float, str, str, Value], None]

_PUBLISHING = ("broadcast", "publish")
_MEMBERSHIP = {
    "add_client": "joined",
    "connect": "joined",
    "remove_client": "left",
    "disconnect": "left",
}
# Set while a broadcast runs, in its own context: what it publishes is the same event.
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("inside a broadcast", default=False)


def watch_client(
    record: _Record, client: Any, *, name: str | None, value: Callable[[str | bytes], Value]
) -> None:
    """Become the observer of a fake client.

    Raises:
        SimulatorError: it has no ``observer``, or has one already.
    """
    if not hasattr(client, "observer"):
        raise SimulatorError(
            f"{client!r} cannot be watched: it has no 'observer'; a FakeClient has"
        )
    if client.observer is not None:
        raise SimulatorError(f"{client!r} is watched already: one trace for each client")
    who = name or _name_of(client)

    def observe(what: str, time: float, detail: Any) -> None:
        if what == "received":
            record(time, who, what, value(detail))
        else:
            record(time, who, what, None if detail is None else detail.code)

    client.observer = observe
    if getattr(client, "stalled", False):
        record(_now(), who, "stalled", None)


def watch_manager(record: _Record, manager: Any, *, name: str) -> None:
    """Wrap the methods of a manager.

    Raises:
        SimulatorError: it publishes nothing, or takes no attributes.
    """
    methods = [found for found in _PUBLISHING if callable(getattr(manager, found, None))]
    if not methods:
        raise SimulatorError(
            f"{manager!r} cannot be watched: it has none of {', '.join(_PUBLISHING)}"
        )
    numbers = iter(range(1 << 62))

    def published() -> None:
        if not _inside.get():
            record(_now(), name, "published", next(numbers))

    try:
        for method in methods:
            setattr(manager, method, _publishing(getattr(manager, method), published))
        for method, what in _MEMBERSHIP.items():
            if callable(getattr(manager, method, None)):
                wrapped = _telling(getattr(manager, method), record, what)
                setattr(manager, method, wrapped)
        if hasattr(manager, "on_evict"):
            manager.on_evict = _evicting(manager.on_evict, record)
    except AttributeError as error:
        raise SimulatorError(f"{manager!r} cannot be watched: {error}") from None


def watch_schedule(record: _Record, loop: Any) -> None:
    """Record the seed of a loop in virtual time, and each permutation that it draws."""
    record(loop.time(), "schedule", "seed", loop.seed)
    stream = loop.random("schedule")
    shuffle = stream.shuffle

    def recording(steps: list[Any]) -> None:
        shuffle(steps)
        if len(steps) > 1:
            record(loop.time(), "schedule", "permuted", len(steps))

    stream.shuffle = recording


def _publishing(method: Callable[..., Any], published: Callable[[], None]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        def publish(*arguments: Any, **named: Any) -> Any:
            published()
            return method(*arguments, **named)

        return publish

    @functools.wraps(method)
    async def broadcast(*arguments: Any, **named: Any) -> Any:
        published()
        token = _inside.set(True)
        try:
            return await method(*arguments, **named)
        finally:
            _inside.reset(token)

    return broadcast


def _telling(method: Callable[..., Any], record: _Record, what: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def tell(*arguments: Any, **named: Any) -> Any:
        client = arguments[0] if arguments else next(iter(named.values()), None)
        record(_now(), named.get("name") or _name_of(client), what, None)
        return method(*arguments, **named)

    return tell


def _evicting(hook: Callable[[Any], Any] | None, record: _Record) -> Callable[[Any], Any]:
    def evicted(eviction: Any) -> Any:
        time = getattr(eviction, "at", None)
        # The socket itself before what the manager calls it: the same name as in its own entries.
        socket = getattr(eviction, "websocket", None)
        client = getattr(eviction, "client", eviction) if socket is None else socket
        who = client if isinstance(client, str) else _name_of(client)
        reason = getattr(eviction, "reason", None)
        record(
            time if isinstance(time, float) else _now(),
            who,
            "evicted",
            reason if isinstance(reason, str) else None,
        )
        return None if hook is None else hook(eviction)

    return evicted


def _name_of(client: Any) -> str:
    """Return a name that is the same in each run: no address of an object."""
    name = getattr(client, "name", None)
    if isinstance(name, str):
        return name
    scope = getattr(client, "scope", None)
    if isinstance(scope, Mapping):
        asked = parse_qs(bytes(scope.get("query_string") or b"").decode(errors="replace"))
        if asked.get("client"):
            return asked["client"][0]
        if scope.get("client"):
            host, port = scope["client"]
            return f"{host}:{port}"
    return type(client).__name__


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0
