# mypy: ignore-errors
"""The session's id comes first; a settings object and a logger are handed in."""

import logging
from dataclasses import dataclass

from fastapi import WebSocket


@dataclass
class Settings:
    max_clients: int = 100
    ping_interval: float = 30.0


class SessionManager:
    def __init__(self, settings: Settings | None = None, logger: logging.Logger | None = None):
        self.settings = settings or Settings()
        self.logger = logger or logging.getLogger(__name__)
        self.sessions: dict[str, WebSocket] = {}

    async def register(self, session_id: str, ws: WebSocket) -> None:
        self.sessions[session_id] = ws

    async def unregister(self, session_id: str) -> None:
        self.sessions.pop(session_id, None)

    async def send_to(self, session_id: str, message: str) -> None:
        await self.sessions[session_id].send_text(message)

    async def send_all(self, message: str) -> None:
        for session_id, ws in list(self.sessions.items()):
            try:
                await ws.send_text(message)
            except Exception as error:
                self.logger.warning("session %s: %s", session_id, error)
                await self.unregister(session_id)

    async def close_all(self) -> None:
        for ws in list(self.sessions.values()):
            await ws.close()
        self.sessions.clear()
