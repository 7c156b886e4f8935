"""The manager that most tutorials show: it sends to one client after the other, without a limit."""

from typing import Any


class SequentialManager:
    """One client that does not read stops everybody."""

    def __init__(self) -> None:
        self.active_connections: list[Any] = []

    async def add_client(self, websocket: Any) -> None:
        self.active_connections.append(websocket)

    async def remove_client(self, websocket: Any) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for websocket in list(self.active_connections):
            try:
                await websocket.send_text(text)
            except Exception:  # noqa: BLE001 - as tutorials have it
                await self.remove_client(websocket)
