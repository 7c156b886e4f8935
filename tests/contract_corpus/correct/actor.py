"""An actor: one task owns the pool and takes one message after the other from its inbox."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from .bounded import MOST_BYTES, MOST_MESSAGES, Closings, History, attempt, ping

__all__ = ["ActorManager"]


class _Client:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.waiting: deque[Any] = deque()
        self.waiting_bytes = 0
        self.sending: asyncio.Task[None] | None = None
        self.busy_since = 0.0


class _Answer:
    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def give(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> None:
        # Whoever is cancelled here waits no longer; the actor goes on.
        await asyncio.wait({self._future})


class ActorManager:
    """Every call posts a message and waits for its answer; sends report back to the inbox.

    The actor runs while there is anything to do or anybody to serve, and starts when needed.
    """

    PROFILE: ClassVar = {
        "history_limit": 1_000,
        "history_agents": 1_000,
        "on_return": "accepted",
        "history_sendable_only": True,
    }

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self._clients: dict[Any, _Client] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._news: asyncio.Event | None = None
        self._actor: asyncio.Task[None] | None = None
        self._heartbeat: asyncio.Task[None] | None = None
        self._history = History()
        self._closings = Closings()
        self._over = False

    # What others call: each posts, and waits for the answer.

    async def add_client(self, websocket: Any) -> None:
        await self._ask(lambda: self._join(websocket))

    async def remove_client(self, websocket: Any) -> None:
        await self._ask(lambda: self._take_out(websocket))

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        self._history.remember(event)
        await self._ask(lambda: self._spread(text))

    async def shutdown(self) -> None:
        self._over = True
        await self._ask(self._end)
        await self._closings.wait()

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return self._history.of(agent_name)

    async def _ask(self, work: Callable[[], None]) -> None:
        told = _Answer()

        def do() -> None:
            work()
            told.give()

        self._post(do)
        await told.wait()

    def _post(self, message: Callable[[], None]) -> None:
        self._inbox.append(message)
        if self._actor is None or self._actor.done():
            self._news = asyncio.Event()
            self._actor = asyncio.create_task(self._act(self._news))
        elif self._news is not None:
            self._news.set()

    # What only the actor does.

    async def _act(self, news: asyncio.Event) -> None:
        while self._clients or self._inbox:
            while self._inbox:
                self._inbox.popleft()()
            await asyncio.sleep(0)
            if self._clients and not self._inbox:
                news.clear()
                await news.wait()
        self._actor = None

    def _join(self, websocket: Any) -> None:
        if self._over:
            self._closings.begin(websocket, 1012)
            return
        self._clients.setdefault(websocket, _Client(websocket))
        if self.enable_heartbeat and self._heartbeat is None:
            self._heartbeat = asyncio.create_task(self._beat())

    def _spread(self, message: Any) -> None:
        for client in list(self._clients.values()):
            client.waiting.append(message)
            client.waiting_bytes += len(message)
            self._serve(client)

    def _serve(self, client: _Client) -> None:
        now = asyncio.get_running_loop().time()
        if client.sending is None:
            if client.waiting:
                client.busy_since = now
                client.sending = asyncio.create_task(self._send(client, client.waiting[0]))
        elif client.busy_since < now and (
            len(client.waiting) > MOST_MESSAGES or client.waiting_bytes > MOST_BYTES
        ):
            self._drop(client, BufferError(f"{len(client.waiting)} messages wait for it"))

    async def _send(self, client: _Client, message: Any) -> None:
        socket = client.socket
        send = socket.send_text if isinstance(message, str) else socket.send_json
        error = await attempt(send(message))
        self._post(lambda: self._sent(client, error))

    def _sent(self, client: _Client, error: BaseException | None) -> None:
        client.sending = None
        if self._clients.get(client.socket) is not client:
            return
        if error is not None:
            self._drop(client, error)
            return
        client.waiting_bytes -= len(client.waiting.popleft())
        self._serve(client)

    def _drop(self, client: _Client, error: BaseException) -> None:
        self._take_out(client.socket)
        self._closings.evict(client.socket, error)

    def _take_out(self, websocket: Any) -> None:
        client = self._clients.pop(websocket, None)
        if client is not None and client.sending is not None:
            client.sending.cancel()
        if not self._clients and self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    def _end(self) -> None:
        for websocket in list(self._clients):
            self._take_out(websocket)
            self._closings.begin(websocket, 1012)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            self._post(lambda: self._spread(ping()))
