# mypy: ignore-errors
"""A singleton with topics, `start` and `stop`, and a publish that is no coroutine."""

import asyncio
from collections import defaultdict


class Hub:
    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __init__(self):
        self.topics = defaultdict(dict)
        self.task = None

    async def start(self):
        self.task = asyncio.create_task(self._ping())

    async def stop(self):
        if self.task:
            self.task.cancel()
        for sockets in self.topics.values():
            for ws in sockets.values():
                await ws.close()

    async def connect(self, websocket, topic, client_id):
        await websocket.accept()
        self.topics[topic][client_id] = websocket

    def disconnect(self, topic, client_id):
        self.topics[topic].pop(client_id, None)

    def publish(self, topic, message):
        for ws in self.topics[topic].values():
            asyncio.create_task(ws.send_json(message))

    async def _ping(self):
        while True:
            await asyncio.sleep(15)
            for sockets in self.topics.values():
                for ws in sockets.values():
                    await ws.send_json({"type": "ping"})
