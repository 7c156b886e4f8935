"""A WebSocket broadcast manager in which a slow client delays nobody.

    from flock_ws import WebSocketManager

    manager = WebSocketManager(send_timeout=0.5)
    await manager.add_client(websocket)  # after websocket.accept()
    await manager.broadcast(event)  # any Pydantic model

Events are in `flock_ws.events`, the application in `flock_ws.app`, the server in
`flock_ws.server`. Every name is loaded when it is first used: a command that needs no manager
does not wait for one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flock_ws.delivery import Delivery
    from flock_ws.errors import FlockError, NotOnLoopError, PoolFull
    from flock_ws.limits import Limits
    from flock_ws.manager import Event, WebSocketManager
    from flock_ws.statistics import ClientStatistics, Eviction, Lag, Statistics

__all__ = [
    "ClientStatistics",
    "Delivery",
    "Event",
    "Eviction",
    "FlockError",
    "Lag",
    "Limits",
    "NotOnLoopError",
    "PoolFull",
    "Statistics",
    "WebSocketManager",
]

_NAMES = {
    "delivery": "Delivery",
    "errors": "FlockError NotOnLoopError PoolFull",
    "limits": "Limits",
    "manager": "Event WebSocketManager",
    "statistics": "ClientStatistics Eviction Lag Statistics",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker is to find wrong names

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
