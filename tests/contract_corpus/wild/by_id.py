# mypy: ignore-errors
"""Clients by id; the message is a dictionary."""

from fastapi import WebSocket, WebSocketDisconnect


class ConnectionManager:
    def __init__(self):
        self.active_connections: dict[str, WebSocket] = {}

    async def connect(self, websocket: WebSocket, client_id: str):
        await websocket.accept()
        self.active_connections[client_id] = websocket

    def disconnect(self, client_id: str):
        if client_id in self.active_connections:
            del self.active_connections[client_id]

    async def send_personal_message(self, message: dict, client_id: str):
        if client_id in self.active_connections:
            await self.active_connections[client_id].send_json(message)

    async def broadcast(self, data: dict):
        dead = []
        for client_id, connection in self.active_connections.items():
            try:
                await connection.send_json(data)
            except WebSocketDisconnect:
                dead.append(client_id)
        for client_id in dead:
            self.disconnect(client_id)
