# mypy: ignore-errors
"""An event has a type and a payload; the state of a socket is looked at before each send."""

import logging
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketState

logger = logging.getLogger(__name__)


class WebSocketManager:
    def __init__(self, max_connections: int = 1000):
        self.max_connections = max_connections
        self._connections: set[WebSocket] = set()

    async def connect(self, websocket: WebSocket) -> bool:
        if len(self._connections) >= self.max_connections:
            await websocket.close(code=1013)
            return False
        await websocket.accept()
        self._connections.add(websocket)
        logger.info("client connected, %d in all", len(self._connections))
        return True

    async def disconnect(self, websocket: WebSocket) -> None:
        self._connections.discard(websocket)

    async def broadcast(self, event_type: str, payload: dict[str, Any]) -> None:
        disconnected = set()
        for websocket in self._connections.copy():
            try:
                if websocket.client_state == WebSocketState.CONNECTED:
                    await websocket.send_json({"type": event_type, "data": payload})
            except Exception:
                disconnected.add(websocket)
        self._connections -= disconnected
