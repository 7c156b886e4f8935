# mypy: ignore-errors
"""Rooms, and a sender who does not hear himself."""

from collections import defaultdict

from fastapi import WebSocket


class RoomManager:
    def __init__(self):
        self.rooms: dict[str, set[WebSocket]] = defaultdict(set)

    async def connect(self, websocket: WebSocket, room: str):
        await websocket.accept()
        self.rooms[room].add(websocket)

    def disconnect(self, websocket: WebSocket, room: str):
        self.rooms[room].discard(websocket)
        if not self.rooms[room]:
            del self.rooms[room]

    async def broadcast(self, message: str, room: str, exclude: WebSocket | None = None):
        for connection in list(self.rooms.get(room, ())):
            if connection is not exclude:
                try:
                    await connection.send_text(message)
                except Exception as e:
                    print(f"Error broadcasting to {room}: {e}")
                    self.disconnect(connection, room)
