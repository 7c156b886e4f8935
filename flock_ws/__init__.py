"""A WebSocket broadcast manager in which a slow client delays nobody.

    from flock_ws import WebSocketManager

    manager = WebSocketManager(send_timeout=0.5)
    await manager.add_client(websocket)  # after websocket.accept()
    await manager.broadcast(event)  # any Pydantic model

Events are in `flock_ws.events`, the application in `flock_ws.app`, the server in
`flock_ws.server`.
"""

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
