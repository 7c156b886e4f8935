"""The manager that most of the faulty ones derive from. It has none of their faults."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

from flock_ws.events import StreamingOutputEvent

__all__ = ["Member", "Message", "SoundManager"]

logger = logging.getLogger(__name__)


class Message(NamedTuple):
    """A text, or a dictionary that goes as JSON, and what to do once nobody waits for it."""

    content: Any
    done: "asyncio.Future[None]"

    def settle(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Member:
    """One client: what it has not got yet, and the task that writes to it."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.waiting: deque[Message] = deque()
        self.waiting_bytes = 0
        self.news = asyncio.Event()
        self.busy = False
        self.busy_since = 0.0
        self.writer: asyncio.Task[None] | None = None


class SoundManager:
    """A queue and a writer for each client; who fails, is late or lags is closed and out."""

    DEFECTS: ClassVar[tuple[int, ...]] = ()
    KILLED_BY: ClassVar[tuple[str, ...]] = ()
    PROFILE: ClassVar[dict[str, Any]] = {
        "history_limit": 1_000,
        "history_agents": 1_000,
        "history_sendable_only": True,
        "event_bytes": 500_000,
    }

    send_timeout: float = 0.5
    close_timeout: float = 1.0
    most_waiting: int = 10_000
    most_waiting_bytes: int = 4_000_000
    history_limit: int = 1_000
    history_agents: int = 1_000
    event_bytes: int = 500_000

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.enable_heartbeat = enable_heartbeat
        self.clients: dict[Any, Member] = {}
        self.history: dict[str, deque[StreamingOutputEvent]] = {}
        self.closings: set[asyncio.Task[None]] = set()
        self.heartbeat: asyncio.Task[None] | None = None
        self.ended = False

    # Joining and leaving

    async def add_client(self, websocket: Any) -> None:
        if self.ended:
            self.close_later(websocket, 1012)
            return
        if websocket not in self.clients:
            self.clients[websocket] = self.enrol(websocket)
        self.start_heartbeat()

    def enrol(self, websocket: Any) -> Member:
        member = Member(websocket)
        member.writer = asyncio.create_task(self.write(member))
        return member

    async def remove_client(self, websocket: Any) -> None:
        member = self.clients.pop(websocket, None)
        if member is not None:
            self.let_go(member)
        self.end_heartbeat_without_clients()

    def let_go(self, member: Member) -> None:
        for message in member.waiting:
            message.settle()
        if member.writer is not None and member.writer is not asyncio.current_task():
            member.writer.cancel()

    # The way of an event

    async def broadcast(self, event: Any) -> None:
        text = self.encode(event)
        self.refuse_too_large(text)
        if isinstance(event, StreamingOutputEvent):
            self.remember(event)
        await self.deliver(text)

    def publish(self, event: Any) -> None:
        """As `broadcast`, without waiting for anybody."""
        text = self.encode(event)
        if isinstance(event, StreamingOutputEvent):
            self.remember(event)
        for member in list(self.clients.values()):
            self.put(member, text)

    def refuse_too_large(self, text: Any) -> None:
        if isinstance(text, str) and len(text.encode()) > self.event_bytes:
            raise ValueError(f"an event takes at most {self.event_bytes} bytes")

    def encode(self, event: Any) -> Any:
        return event.model_dump_json()

    async def deliver(self, content: Any) -> None:
        sent = [self.put(member, content) for member in list(self.clients.values())]
        if sent:
            await asyncio.wait(sent)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        message = Message(content, asyncio.get_running_loop().create_future())
        if self.clients.get(member.socket) is not member:
            message.settle()
            return message.done
        member.waiting.append(message)
        member.waiting_bytes += len(content)
        member.news.set()
        late = member.busy and asyncio.get_running_loop().time() > member.busy_since
        if late and self.lags(member):
            self.evict(member, BufferError(f"{len(member.waiting)} messages wait for it"))
        return message.done

    def lags(self, member: Member) -> bool:
        many = len(member.waiting) > self.most_waiting
        return many or member.waiting_bytes > self.most_waiting_bytes

    async def write(self, member: Member) -> None:
        while True:
            while not member.waiting:
                member.news.clear()
                await member.news.wait()
            message = member.waiting[0]
            member.busy, member.busy_since = True, asyncio.get_running_loop().time()
            error = await self.attempt(member.socket, message.content)
            member.busy = False
            if error is not None:
                self.evict(member, error)
                return
            member.waiting.popleft()
            member.waiting_bytes -= len(message.content)
            message.settle()
            await asyncio.sleep(0)

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        """Send within the deadline, whatever the socket does; return what went wrong."""
        sending = asyncio.create_task(self.send(socket, content))
        try:
            await asyncio.wait({sending}, timeout=self.send_timeout)
        finally:
            if late := not sending.done():
                sending.cancel()
                sending.add_done_callback(lambda task: task.cancelled() or task.exception())
        if late:
            return TimeoutError(f"a send took longer than {self.send_timeout} s")
        return asyncio.CancelledError() if sending.cancelled() else sending.exception()

    async def send(self, socket: Any, content: Any) -> None:
        if isinstance(content, str):
            await socket.send_text(content)
        else:
            await socket.send_json(content)

    # Eviction

    def evict(self, member: Member, error: BaseException) -> None:
        if self.clients.get(member.socket) is not member:
            return
        del self.clients[member.socket]
        self.let_go(member)
        self.report(member, error)
        self.close_later(member.socket, 1013, after=member.writer)
        self.end_heartbeat_without_clients()

    def report(self, member: Member, error: BaseException) -> None:
        logger.warning("evicted %r: %r", member.socket, error)

    def close_later(
        self, socket: Any, code: int, *, after: asyncio.Task[None] | None = None
    ) -> None:
        if after is asyncio.current_task():
            after = None
        closing = asyncio.create_task(self.close(socket, code, after))
        self.closings.add(closing)
        closing.add_done_callback(self.closings.discard)

    async def close(self, socket: Any, code: int, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after}, timeout=self.close_timeout / 2)
        with suppress(Exception):
            async with asyncio.timeout(self.close_timeout):
                await socket.close(code=code, reason=self.reason_of(code))

    def reason_of(self, code: int) -> str:
        return "shutdown" if code == 1012 else "too slow, or broken"

    # The heartbeat

    def start_heartbeat(self) -> None:
        if self.enable_heartbeat and (self.heartbeat is None or self.heartbeat.done()):
            self.heartbeat = asyncio.create_task(self.beat())

    def end_heartbeat_without_clients(self) -> None:
        if not self.clients:
            self.end_heartbeat()

    def end_heartbeat(self) -> None:
        heartbeat, self.heartbeat = self.heartbeat, None
        if heartbeat is not None:
            heartbeat.cancel()

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for member in list(self.clients.values()):
                await self.ping(member)

    async def ping(self, member: Member) -> None:
        """Let the writer send a ping in its turn; waits for nothing."""
        self.put(member, self.ping_message())

    def ping_message(self) -> Any:
        return {"type": "ping", "timestamp": asyncio.get_running_loop().time()}

    # History

    def remember(self, event: StreamingOutputEvent) -> None:
        name = event.agent_name
        if name not in self.history:
            while len(self.history) >= self.history_agents:
                del self.history[next(iter(self.history))]
            self.history[name] = deque(maxlen=self.history_limit)
        self.history[name].append(event)

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(self.history.get(agent_name, ()))

    # The end

    async def shutdown(self) -> None:
        self.ended = True
        self.end_heartbeat()
        for member in list(self.clients.values()):
            del self.clients[member.socket]
            self.let_go(member)
            self.close_later(member.socket, 1012, after=member.writer)
        if self.closings:
            await asyncio.wait(set(self.closings), timeout=2 * self.close_timeout)
