"""Mistakes with clients that fail, and with who is in the pool."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from .sound import Member, SoundManager

__all__ = [
    "AddsWhoHasGone",
    "AwaitsTheClose",
    "CancelledIsSuccess",
    "CatchesOnlyDisconnect",
    "ClosesAndKeeps",
    "ClosesAsIfNothingHappened",
    "ClosesWithoutAReason",
    "DropsTheOldest",
    "GoesOnAfterAFailure",
    "HookInsideTheLock",
    "IgnoresFailures",
    "JoinsTwice",
    "KeepsOnlyTheNewest",
    "KeepsTheSlow",
    "LeavesByIdentity",
    "LeavesOnlyTheList",
    "LockAcrossTheSend",
    "RaisesToThePublisher",
    "RegistersBeforeAccept",
    "SecondLeaveRaises",
    "SwallowsItsCancellation",
    "TimesOutTheWrongThing",
    "WaitsForTheSlowToLeave",
    "Zombies",
]


class Zombies(SoundManager):
    """Takes a failed client out of the pool and never closes it: the page waits for ever."""

    DEFECTS = (19,)
    KILLED_BY = ("evict.socket_is_closed", "sockets.evicted_client_is_told")

    def close_later(
        self, socket: Any, code: int, *, after: asyncio.Task[None] | None = None
    ) -> None:
        if code == 1012:
            super().close_later(socket, code, after=after)


class AwaitsTheClose(SoundManager):
    """Awaits the close of a client that does not read: its broadcast never returns."""

    DEFECTS = (20,)
    KILLED_BY = ("evict.close_is_bounded",)
    close_timeout = 1e9

    async def deliver(self, content: Any) -> None:
        await super().deliver(content)
        if self.closings:
            await asyncio.wait(set(self.closings))


class SecondLeaveRaises(SoundManager):
    """`del` without a look: the endpoint's cleanup raises for a client that was evicted."""

    DEFECTS = (22,)
    KILLED_BY = ("pool.leave_twice_is_harmless",)

    async def remove_client(self, websocket: Any) -> None:
        member = self.clients[websocket]
        del self.clients[websocket]
        self.let_go(member)
        self.end_heartbeat_without_clients()


class CatchesOnlyDisconnect:
    """Only `WebSocketDisconnect` counts: a RuntimeError from a closed socket reaches the caller."""

    DEFECTS = (23, 3)
    KILLED_BY = ("evict.every_exception_type",)

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients.discard(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for client in list(self.clients):
            try:
                async with asyncio.timeout(0.5):
                    await client.send_text(text)
            except (WebSocketDisconnect, TimeoutError):
                self.clients.discard(client)


class SwallowsItsCancellation(SoundManager):
    """Tries again after any error, and takes its cancellation for one: the writer leaks."""

    DEFECTS = (24, 45)
    KILLED_BY = ("memory.no_leak_of_tasks",)

    async def write(self, member: Member) -> None:
        for _ in range(2):
            try:
                await super().write(member)
            except (Exception, asyncio.CancelledError):
                await asyncio.sleep(0.1)


class CancelledIsSuccess(SoundManager):
    """`isinstance(result, Exception)`: CancelledError is none since Python 3.8."""

    DEFECTS = (25,)
    KILLED_BY = ("evict.cancelled_send_is_a_failure",)

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        error = await super().attempt(socket, content)
        return error if isinstance(error, Exception) else None


class IgnoresFailures(SoundManager):
    """`except Exception: pass`, so that the others get theirs: the dead stay for ever."""

    DEFECTS = (26, 7)
    KILLED_BY = ("evict.dead_client_is_out",)

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        error = await super().attempt(socket, content)
        return error if isinstance(error, TimeoutError) else None


class KeepsTheSlow(SoundManager):
    """A timeout is logged and forgotten: the client stays, costs another, and has a hole."""

    DEFECTS = (7, 11)
    KILLED_BY = ("evict.slow_client_is_out", "sockets.stalled_reader_is_out")

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        error = await super().attempt(socket, content)
        return None if isinstance(error, TimeoutError) else error


class TimesOutTheWrongThing(SoundManager):
    """The timeout is renewed by every event that comes: on a busy stream it never fires."""

    DEFECTS = (5, 7)
    KILLED_BY = ("evict.slow_client_is_out", "delivery.send_deadline")

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.last_event = 0.0

    def encode(self, event: Any) -> Any:
        self.last_event = asyncio.get_running_loop().time()
        return super().encode(event)

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(self.send(socket, content))
        while not sending.done() and (left := self.last_event + 0.5 - loop.time()) > 0:
            await asyncio.wait({sending}, timeout=left)
        if sending.done():
            return asyncio.CancelledError() if sending.cancelled() else sending.exception()
        sending.cancel()
        return TimeoutError("no send ended for half a second")


class GoesOnAfterAFailure(SoundManager):
    """A failed send is out of the way and the next one is tried: the client has a hole."""

    DEFECTS = (11,)
    KILLED_BY = ("evict.nothing_after_a_lost_message",)

    async def write(self, member: Member) -> None:
        failures = 0
        while failures < 3:
            while not member.waiting:
                member.news.clear()
                await member.news.wait()
            message = member.waiting[0]
            error = await self.attempt(member.socket, message.content)
            failures = failures + 1 if error is not None else 0
            if failures < 3:
                member.waiting.popleft().settle()
        self.evict(member, ConnectionError("three sends failed"))


class DropsTheOldest(SoundManager):
    """A full queue drops its oldest without a word: the client never learns of the hole."""

    DEFECTS = (46, 11)
    KILLED_BY = ("delivery.no_silent_gap",)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        while len(member.waiting) > 5:
            dropped = member.waiting[1]
            del member.waiting[1]
            dropped.settle()
        return super().put(member, content)


class KeepsOnlyTheNewest(SoundManager):
    """One place for each client, for the newest event: right for a clock, wrong for a log."""

    DEFECTS = (46, 11)
    KILLED_BY = ("delivery.no_silent_gap",)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        while len(member.waiting) > int(member.busy):
            member.waiting.pop().settle()
        return super().put(member, content)


class LeavesByIdentity:
    """A dictionary by id: the cleanup of the old connection removes the new one."""

    DEFECTS = (27,)
    KILLED_BY = ("evict.reconnect_same_identity",)

    def __init__(self) -> None:
        self.active_connections: dict[str, Any] = {}

    async def connect(self, websocket: Any, client_id: str) -> None:
        await websocket.accept()
        self.active_connections[client_id] = websocket

    def disconnect(self, client_id: str) -> None:
        self.active_connections.pop(client_id, None)

    async def broadcast(self, message: str) -> None:
        for client_id, websocket in list(self.active_connections.items()):
            try:
                await websocket.send_text(message)
            except Exception:
                self.disconnect(client_id)


class JoinsTwice:
    """A list and no look: a client that joins twice gets everything twice."""

    DEFECTS = (28,)
    KILLED_BY = ("pool.join_twice_delivers_once",)

    def __init__(self) -> None:
        self.clients: list[Any] = []

    async def add_client(self, websocket: Any) -> None:
        self.clients.append(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients = [client for client in self.clients if client is not websocket]

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        sends = [asyncio.wait_for(client.send_text(text), 0.5) for client in self.clients]
        clients = list(self.clients)
        for client, result in zip(
            clients, await asyncio.gather(*sends, return_exceptions=True), strict=True
        ):
            if isinstance(result, BaseException):
                await self.remove_client(client)


class RegistersBeforeAccept:
    """In the pool before it is accepted: a broadcast in between breaks the handshake."""

    DEFECTS = (29,)
    KILLED_BY = ("pool.nobody_before_accept",)

    def __init__(self) -> None:
        self.active_connections: list[Any] = []

    async def connect(self, websocket: Any) -> None:
        self.active_connections.append(websocket)
        await websocket.accept()

    def disconnect(self, websocket: Any) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in list(self.active_connections):
            try:
                await connection.send_text(message)
            except Exception:
                self.disconnect(connection)


class LockAcrossTheSend(SoundManager):
    """One lock for the pool, held while sending: nobody joins while somebody is slow."""

    DEFECTS = (32, 6)
    KILLED_BY = ("pool.blocked_send_does_not_block_joins",)

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.lock = asyncio.Lock()

    async def add_client(self, websocket: Any) -> None:
        async with self.lock:
            await super().add_client(websocket)

    async def deliver(self, content: Any) -> None:
        async with self.lock:
            await super().deliver(content)


class HookInsideTheLock(SoundManager):
    """Calls `on_evict` with the lock held: a hook that broadcasts who left never returns."""

    DEFECTS = (33,)
    KILLED_BY = ("pool.endpoint_may_broadcast",)

    def __init__(
        self,
        heartbeat_interval: float = 120,
        enable_heartbeat: bool = False,
        *,
        on_evict: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.on_evict = on_evict
        self.evicted: list[Member] = []
        self.lock = asyncio.Lock()

    def report(self, member: Member, error: BaseException) -> None:
        super().report(member, error)
        self.evicted.append(member)

    async def deliver(self, content: Any) -> None:
        async with self.lock:
            await super().deliver(content)
            while self.evicted and self.on_evict is not None:
                told = self.on_evict(self.evicted.pop().socket)
                if asyncio.iscoroutine(told):
                    await told


class ClosesAsIfNothingHappened(SoundManager):
    """Closes without a code: 1000 means a wish, and the page does not come back."""

    DEFECTS = (57,)
    KILLED_BY = ("evict.close_code", "sockets.eviction_code", "sockets.shutdown_code")

    def close_later(
        self, socket: Any, code: int, *, after: asyncio.Task[None] | None = None
    ) -> None:
        super().close_later(socket, 1000, after=after)


class ClosesWithoutAReason(SoundManager):
    """A code and no word: the client comes back at once, as slow as before, for ever."""

    DEFECTS = (47, 57)
    KILLED_BY = ("evict.close_reason",)

    def reason_of(self, code: int) -> str:
        return ""


class AddsWhoHasGone:
    """Sends only to who is connected, and never takes out who is not."""

    DEFECTS = (29, 7)
    KILLED_BY = ("evict.dead_client_is_out", "memory.no_leak_of_clients_with_churn")

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in list(self.active_connections):
            if connection.application_state == WebSocketState.CONNECTED:
                try:
                    await connection.send_text(message)
                except Exception:
                    pass


class LeavesOnlyTheList:
    """Two containers, and `disconnect` looks at one: who left still gets everything."""

    DEFECTS = (22, 28)
    KILLED_BY = ("pool.left_client_gets_nothing",)

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []
        self.by_number: dict[int, WebSocket] = {}

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)
        self.by_number[len(self.by_number)] = websocket

    def disconnect(self, websocket: WebSocket) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in list(self.by_number.values()):
            try:
                await connection.send_text(message)
            except Exception:
                self.disconnect(connection)


class ClosesAndKeeps(SoundManager):
    """Closes whom it could not send to, and keeps it in the pool: the next event fails again."""

    DEFECTS = (7, 29)
    KILLED_BY = ("evict.slow_client_is_out",)

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        if await super().attempt(socket, content) is not None:
            self.close_later(socket, 1013)
        return None


class WaitsForTheSlowToLeave(SoundManager):
    """Leaving waits until everything was sent: a stalled client cannot even be removed."""

    DEFECTS = (32,)
    KILLED_BY = ("pool.leave_does_not_wait_for_the_peer",)
    send_timeout = 3.0

    async def remove_client(self, websocket: Any) -> None:
        member = self.clients.get(websocket)
        if member is not None and member.waiting:
            await asyncio.wait([message.done for message in member.waiting])
        await super().remove_client(websocket)


class RaisesToThePublisher(SoundManager):
    """Tells the publisher of the failed client: whoever publishes fails for one that died."""

    DEFECTS = (3,)
    KILLED_BY = ("evict.dead_client_is_out", "evict.every_exception_type")

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.errors: list[BaseException] = []

    def report(self, member: Member, error: BaseException) -> None:
        super().report(member, error)
        self.errors.append(error)

    async def deliver(self, content: Any) -> None:
        await super().deliver(content)
        if self.errors:
            raise self.errors.pop()
