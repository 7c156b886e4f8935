"""Rooms of named clients and dictionaries as messages, made right."""

import asyncio
import json
from typing import Any, ClassVar

from .bounded import MOST_BYTES, Closings, attempt

__all__ = ["RoomManager"]


class _Visitor:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.turn = asyncio.Lock()
        self.waiting_bytes = 0
        self.busy_since = float("inf")


class RoomManager:
    """A name may come back before its old connection was cleaned up: the old one is closed."""

    PROFILE: ClassVar = {"on_return": "accepted"}

    def __init__(self) -> None:
        self.rooms: dict[str, dict[str, _Visitor]] = {}
        self._closings = Closings()
        self._sends: set[asyncio.Task[None]] = set()

    async def connect(self, websocket: Any, room: str, user_id: str) -> None:
        await websocket.accept()
        visitors = self.rooms.setdefault(room, {})
        known = visitors.get(user_id)
        if known is not None and known.socket is websocket:
            return
        visitors[user_id] = _Visitor(websocket)
        if known is not None:
            self._closings.begin(known.socket, 1008, "connected elsewhere")

    def disconnect(self, websocket: Any, room: str) -> None:
        visitors = self.rooms.get(room, {})
        for user_id, visitor in list(visitors.items()):
            if visitor.socket is websocket:
                del visitors[user_id]
        if not visitors:
            self.rooms.pop(room, None)

    async def broadcast(
        self, message: dict[str, Any], room: str, exclude: Any | None = None
    ) -> None:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        for visitor in list(self.rooms.get(room, {}).values()):
            if visitor.socket is not exclude:
                visitor.waiting_bytes += len(text)
                send = asyncio.create_task(self._send(visitor, room, text))
                self._sends.add(send)
                send.add_done_callback(self._sends.discard)
        # A publisher in a loop lets the sends have their turns.
        await asyncio.sleep(0)

    async def _send(self, visitor: _Visitor, room: str, text: str) -> None:
        loop = asyncio.get_running_loop()
        if visitor.waiting_bytes > MOST_BYTES and visitor.busy_since < loop.time():
            self._drop(visitor, room, BufferError(f"{visitor.waiting_bytes} bytes wait for it"))
        async with visitor.turn:
            if self._is_in(visitor, room):
                visitor.busy_since = loop.time()
                error = await attempt(visitor.socket.send_text(text))
                visitor.busy_since = float("inf")
                if error is not None:
                    self._drop(visitor, room, error)
        visitor.waiting_bytes -= len(text)

    def _is_in(self, visitor: _Visitor, room: str) -> bool:
        return any(visitor is other for other in self.rooms.get(room, {}).values())

    def _drop(self, visitor: _Visitor, room: str, error: BaseException) -> None:
        if self._is_in(visitor, room):
            self.disconnect(visitor.socket, room)
            self._closings.evict(visitor.socket, error)
