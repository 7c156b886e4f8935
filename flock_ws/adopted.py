"""Managers whose methods have other names, put under the names that this package uses.

The tutorial of FastAPI, and thousands of applications after it, say ``connect``, ``disconnect``
and ``broadcast`` with a text. What takes more than one argument is left to ``flock-ws check``,
which finds out more.
"""

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from starlette.websockets import WebSocket

__all__ = ["Adopted", "adopt"]

_JOINS = ("connect", "add", "join", "register")
_LEAVES = ("disconnect", "remove", "leave", "unregister")
_BROADCASTS = ("broadcast", "broadcast_message", "broadcast_text", "broadcast_json", "send_all")


class Adopted:
    """A manager under our names; what else is asked of it, it is asked itself.

    Attributes:
        adopted: the manager as it was written.
    """

    def __init__(
        self,
        manager: Any,
        *,
        join: Callable[[WebSocket], Any],
        leave: Callable[[WebSocket], Any],
        broadcast: Callable[[Any], Any],
    ) -> None:
        self.adopted = manager
        self._join = join
        self._leave = leave
        self._broadcast = broadcast
        self._form = _form(broadcast)

    def add_client(self, websocket: WebSocket) -> Any:
        """Have it join; the result may be awaitable."""
        # The application has accepted already, and these managers do it themselves.
        websocket.accept = _accepted  # type: ignore[method-assign]
        return self._join(websocket)

    def remove_client(self, websocket: WebSocket) -> Any:
        """Have it leave; the result may be awaitable."""
        return self._leave(websocket)

    def broadcast(self, event: BaseModel) -> Any:
        """Send an event to all, in the form that the manager takes; it may be awaitable."""
        return self._broadcast(self._form(event))

    def __getattr__(self, name: str) -> Any:
        """Ask the manager itself."""
        return getattr(self.adopted, name)


def adopt(manager: Any) -> Any:
    """Return the manager under our names; as it is, where it has them or cannot be told to."""
    if hasattr(manager, "add_client"):
        return manager
    join, leave, broadcast = (_found(manager, names) for names in (_JOINS, _LEAVES, _BROADCASTS))
    if join is None or leave is None or broadcast is None:
        return manager
    return Adopted(manager, join=join, leave=leave, broadcast=broadcast)


def _found(manager: Any, names: tuple[str, ...]) -> Callable[[Any], Any] | None:
    methods = (getattr(manager, name, None) for name in names)
    return next((method for method in methods if callable(method) and _takes_one(method)), None)


def _takes_one(method: Callable[..., Any]) -> bool:
    try:
        inspect.signature(method).bind(None)
    except (TypeError, ValueError):
        return False
    return True


def _form(broadcast: Callable[..., Any]) -> Callable[[BaseModel], Any]:
    """Tell what a method takes from how its first parameter is annotated; else a text."""
    parameter = next(iter(inspect.signature(broadcast).parameters.values()))
    kind = parameter.annotation
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return lambda event: event
    if "dict" in str(kind) or broadcast.__name__.endswith("_json"):
        return lambda event: event.model_dump(mode="json")
    return lambda event: event.model_dump_json()


async def _accepted(*_arguments: Any, **_options: Any) -> None:
    """Accept nothing."""
