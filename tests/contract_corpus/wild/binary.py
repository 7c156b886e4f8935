# mypy: ignore-errors
"""Bytes to everybody, and a loop of pings for each client."""

import asyncio

from fastapi import WebSocket


class BinaryManager:
    def __init__(self, ping_interval: float = 20.0):
        self.ping_interval = ping_interval
        self.active: dict[WebSocket, asyncio.Task] = {}

    async def connect(self, websocket: WebSocket):
        await websocket.accept()
        self.active[websocket] = asyncio.create_task(self._ping(websocket))

    def disconnect(self, websocket: WebSocket):
        task = self.active.pop(websocket, None)
        if task:
            task.cancel()

    async def broadcast(self, data: bytes):
        for websocket in list(self.active):
            try:
                await websocket.send_bytes(data)
            except Exception:
                self.disconnect(websocket)

    async def _ping(self, websocket: WebSocket):
        while True:
            await asyncio.sleep(self.ping_interval)
            await websocket.send_text("ping")
