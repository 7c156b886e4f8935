"""The manager of the tutorial, made right, in the tutorial's own words."""

import asyncio
import logging
from typing import ClassVar

from starlette.websockets import WebSocket

__all__ = ["ConnectionManager"]

logger = logging.getLogger(__name__)


class _Connection:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting_bytes = 0
        self.busy_since = float("inf")


class ConnectionManager:
    """Accepts, sends to all at once, and drops whoever does not take a message in half a second."""

    PROFILE: ClassVar = {"on_return": "accepted"}

    def __init__(self) -> None:
        self.active_connections: dict[WebSocket, _Connection] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        if self.closing:
            self._spawn(self._close(websocket, 1012, "shutdown"))
            return
        self.active_connections.setdefault(websocket, _Connection())

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.pop(websocket, None)

    async def send_personal_message(self, message: str, websocket: WebSocket) -> None:
        connection = self.active_connections.get(websocket)
        if connection is not None:
            await asyncio.wait([self._spawn(self._send(websocket, connection, message))])

    async def broadcast(self, message: str) -> None:
        now = asyncio.get_running_loop().time()
        for websocket, connection in list(self.active_connections.items()):
            if connection.waiting_bytes > 1_000_000 and connection.busy_since < now:
                self._drop(websocket, connection, BufferError("it does not keep up"))
            else:
                connection.waiting_bytes += len(message)
                self._spawn(self._send(websocket, connection, message))
        await asyncio.sleep(0)  # whoever broadcasts in a loop lets the sends have their turns

    async def close_all(self) -> None:
        self.closing = True
        for websocket in list(self.active_connections):
            self.disconnect(websocket)
            self._spawn(self._close(websocket, 1012, "shutdown"))
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=2)

    async def _send(self, websocket: WebSocket, connection: _Connection, message: str) -> None:
        async with connection.turn:  # a lock lets them through in the order in which they came
            if self.active_connections.get(websocket) is connection:
                connection.busy_since = asyncio.get_running_loop().time()
                sending = self._spawn(websocket.send_text(message))
                done, _ = await asyncio.wait({sending}, timeout=0.5)
                sending.cancel()
                connection.busy_since = float("inf")
                if not done:
                    self._drop(websocket, connection, TimeoutError("no send in 0.5 s"))
                elif sending.cancelled():
                    self._drop(websocket, connection, asyncio.CancelledError("its send"))
                elif (error := sending.exception()) is not None:
                    self._drop(websocket, connection, error)
        connection.waiting_bytes -= len(message)

    def _drop(self, websocket: WebSocket, connection: _Connection, error: BaseException) -> None:
        if self.active_connections.get(websocket) is connection:
            logger.warning("dropped %r: %r", websocket, error)
            self.disconnect(websocket)
            self._spawn(self._close(websocket, 1013, "too slow, or broken"))

    async def _close(self, websocket: WebSocket, code: int, reason: str) -> None:
        try:
            await asyncio.wait_for(websocket.close(code=code, reason=reason), timeout=1)
        except Exception as error:
            logger.debug("closing %r: %s", websocket, type(error).__name__)

    def _spawn(self, work) -> "asyncio.Task[None]":  # type: ignore[no-untyped-def]  # noqa: ANN001  # as people write it
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()
