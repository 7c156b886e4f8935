# mypy: ignore-errors
"""Synchronous joins, an endpoint that accepts, and a notification of everybody."""

import asyncio
import json


class Notifier:
    def __init__(self):
        self.connections = []

    def register(self, ws):
        self.connections.append(ws)

    def unregister(self, ws):
        self.connections.remove(ws)

    async def notify_all(self, message):
        text = json.dumps(message)
        results = await asyncio.gather(
            *[ws.send_text(text) for ws in self.connections], return_exceptions=True
        )
        for ws, result in zip(list(self.connections), results):
            if isinstance(result, Exception):
                self.unregister(ws)


notifier = Notifier()
