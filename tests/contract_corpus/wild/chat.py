# mypy: ignore-errors
"""A chat: who sends is named, and does not hear himself; users have several connections."""

from fastapi import WebSocket


class ChatManager:
    def __init__(self):
        self.active_connections: dict[int, list[WebSocket]] = {}

    async def connect(self, websocket: WebSocket, user_id: int):
        await websocket.accept()
        self.active_connections.setdefault(user_id, []).append(websocket)

    def disconnect(self, websocket: WebSocket, user_id: int):
        self.active_connections[user_id].remove(websocket)
        if not self.active_connections[user_id]:
            del self.active_connections[user_id]

    async def send_personal_message(self, message: str, user_id: int):
        for websocket in self.active_connections.get(user_id, []):
            await websocket.send_text(message)

    async def broadcast(self, sender_id: int, message: str):
        for user_id, sockets in self.active_connections.items():
            if user_id == sender_id:
                continue
            for websocket in sockets:
                await websocket.send_text(message)
