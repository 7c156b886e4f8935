# mypy: ignore-errors
"""Several containers at once, and a state that is pushed as JSON."""

from typing import Any
from uuid import uuid4

from fastapi import WebSocket


class StateManager:
    def __init__(self) -> None:
        self.connections: list[WebSocket] = []
        self.client_ids: dict[WebSocket, str] = {}
        self.user_agents: dict[str, str] = {}

    async def add_connection(self, websocket: WebSocket) -> str:
        await websocket.accept()
        client_id = str(uuid4())
        self.connections.append(websocket)
        self.client_ids[websocket] = client_id
        self.user_agents[client_id] = websocket.headers.get("user-agent", "unknown")
        return client_id

    def remove_connection(self, websocket: WebSocket) -> None:
        if websocket in self.connections:
            self.connections.remove(websocket)
        client_id = self.client_ids.pop(websocket, None)
        self.user_agents.pop(client_id, None)

    async def broadcast_json(self, data: dict[str, Any]) -> None:
        disconnected = []
        for connection in self.connections:
            try:
                await connection.send_json(data)
            except RuntimeError:
                disconnected.append(connection)
        for connection in disconnected:
            self.remove_connection(connection)
