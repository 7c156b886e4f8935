"""Mistakes on the way of an event to its clients."""

import asyncio
import json
import time
from typing import Any, ClassVar

from .sound import Member, SoundManager

__all__ = [
    "Barrier",
    "BelievesInFireAndForget",
    "BlocksTheLoop",
    "DeadlineInTheWrongUnit",
    "DropsNonAscii",
    "EncodesForEach",
    "EncodesLate",
    "GathersWithoutLimit",
    "IteratesTheLivePool",
    "LeavesOutNulls",
    "NeverYields",
    "NewestFirst",
    "NoDeadline",
    "NoTryAtAll",
    "OneTryAroundTheLoop",
    "PollsForItsTurn",
    "PullsAtTheEnd",
    "RemovesWhileIterating",
    "RetriesATimedOutSend",
    "ReturnsTooEarly",
    "SendsAgainToBeSure",
    "SendsBytes",
    "SendsInTurn",
    "SendsTheRepr",
    "SkipsTheBusy",
    "UnserialisableEvicts",
]


class SendsInTurn(SoundManager):
    """One send after the other, each with its timeout: ten slow clients cost ten of them."""

    DEFECTS = (4,)
    KILLED_BY = (
        "delivery.k_slow_clients_cost_one_timeout",
        "delivery.slow_client_delays_nobody_else",
        "sockets.stalled_readers_delay_nobody",
    )

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            await asyncio.wait([self.put(member, content)])


class NoDeadline(SoundManager):
    """Nobody thought of a client that does not read: a send may take for ever."""

    DEFECTS = (5,)
    KILLED_BY = ("delivery.send_deadline", "evict.slow_client_is_out")
    send_timeout = 1e9


class DeadlineInTheWrongUnit(SoundManager):
    """The deadline is thirty times what was promised: milliseconds and seconds were mixed up."""

    DEFECTS = (5,)
    KILLED_BY = ("delivery.send_deadline",)
    send_timeout = 15.0


class IteratesTheLivePool(SoundManager):
    """Awaits inside a loop over the pool itself: a join on the way is a RuntimeError."""

    DEFECTS = (1,)
    KILLED_BY = ("delivery.joins_and_leaves_during_broadcast",)

    async def deliver(self, content: Any) -> None:
        sent = []
        for member in self.clients.values():
            sent.append(self.put(member, content))
            await asyncio.sleep(0)
        if sent:
            await asyncio.wait(sent)


class RemovesWhileIterating:
    """`list.remove` inside the loop over the list: the client after a dead one gets nothing."""

    DEFECTS = (2,)
    KILLED_BY = ("delivery.reaches_everyone", "evict.dead_client_is_out")

    def __init__(self) -> None:
        self.active_connections: list[Any] = []

    async def connect(self, websocket: Any) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: Any) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            try:
                await connection.send_text(message)
            except Exception:
                self.active_connections.remove(connection)


class OneTryAroundTheLoop:
    """One `try` around the whole loop: whoever comes after a dead client gets nothing."""

    DEFECTS = (3,)
    KILLED_BY = ("delivery.reaches_everyone",)

    def __init__(self) -> None:
        self.active_connections: list[Any] = []

    async def connect(self, websocket: Any) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: Any) -> None:
        if websocket in self.active_connections:
            self.active_connections.remove(websocket)

    async def broadcast(self, message: str) -> None:
        try:
            for connection in list(self.active_connections):
                await connection.send_text(message)
        except Exception as error:
            print(f"broadcast failed: {error}")


class NoTryAtAll:
    """Nobody thought that a send may fail: one client that is gone ends every event, for ever."""

    DEFECTS = (3, 29)
    KILLED_BY = ("delivery.reaches_everyone", "pool.closed_socket_harms_nobody")

    def __init__(self) -> None:
        self.connections: list[Any] = []

    async def add_client(self, websocket: Any) -> None:
        if websocket not in self.connections:
            self.connections.append(websocket)

    async def remove_client(self, websocket: Any) -> None:
        if websocket in self.connections:
            self.connections.remove(websocket)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for connection in list(self.connections):
            await connection.send_text(text)


class Barrier(SoundManager):
    """A lock keeps events in order, and makes each wait for the slowest of the one before."""

    DEFECTS = (6,)
    KILLED_BY = ("delivery.next_event_does_not_wait",)
    publish = None  # type: ignore[assignment]  # there is no way to publish without waiting

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.one_at_a_time = asyncio.Lock()

    async def deliver(self, content: Any) -> None:
        async with self.one_at_a_time:
            await super().deliver(content)


class PollsForItsTurn(SoundManager):
    """`while busy: sleep` instead of a queue: whoever looks at the right moment goes first."""

    DEFECTS = (8,)
    KILLED_BY = ("delivery.order",)

    async def deliver(self, content: Any) -> None:
        sends = [
            asyncio.create_task(self.take_turn(member, content))
            for member in list(self.clients.values())
        ]
        if sends:
            await asyncio.wait(sends)

    async def take_turn(self, member: Member, content: Any) -> None:
        while member.busy:
            await asyncio.sleep(0.05)
        if member.socket not in self.clients:
            return
        member.busy = True
        error = await self.attempt(member.socket, content)
        member.busy = False
        if error is not None:
            self.evict(member, error)


class NewestFirst(SoundManager):
    """The backlog is a stack: a client that was busy for a moment gets it backwards."""

    DEFECTS = (8,)
    KILLED_BY = ("delivery.order",)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        done = super().put(member, content)
        if member.busy:
            member.waiting.insert(1, member.waiting.pop())
        elif len(member.waiting) > 1:
            member.waiting.rotate(1)
        return done


class GathersWithoutLimit(SoundManager):
    """Every event starts its own send to every client, busy or not: sends overlap."""

    DEFECTS = (9,)
    KILLED_BY = ("delivery.one_send_in_flight",)

    async def deliver(self, content: Any) -> None:
        members = list(self.clients.values())
        sends = [self.attempt(member.socket, content) for member in members]
        for member, error in zip(members, await asyncio.gather(*sends), strict=True):
            if error is not None:
                self.evict(member, error)


class RetriesATimedOutSend(SoundManager):
    """A send that timed out is tried again: nobody knows whether the first one went out."""

    DEFECTS = (10, 7)
    KILLED_BY = ("evict.nothing_after_a_lost_message", "evict.slow_client_is_out")

    async def attempt(self, socket: Any, content: Any) -> BaseException | None:
        error: BaseException | None = None
        for _ in range(3):
            error = await super().attempt(socket, content)
            if not isinstance(error, TimeoutError):
                break
        return error


class SkipsTheBusy(SoundManager):
    """A client that is busy is spared this event, so that it can keep up: it has a hole."""

    DEFECTS = (11,)
    KILLED_BY = ("delivery.no_silent_gap",)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        if member.busy:
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        return super().put(member, content)


class EncodesForEach(SoundManager):
    """`model_dump_json` for each client: a thousand clients cost a thousand encodings."""

    DEFECTS = (12,)
    KILLED_BY = ("delivery.serialises_once",)

    async def broadcast(self, event: Any) -> None:
        self.encode(event)
        if hasattr(event, "output_type"):
            self.remember(event)
        sent = [self.put(member, self.encode(event)) for member in list(self.clients.values())]
        if sent:
            await asyncio.wait(sent)


class _Late:
    """An event on its way to being encoded."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def __len__(self) -> int:
        return 1


class EncodesLate(SoundManager):
    """The event itself waits in the queue and is encoded by the writer: it may have changed."""

    DEFECTS: ClassVar[tuple[int, ...]] = (13,)
    KILLED_BY = ("delivery.not_late_serialised",)

    def encode(self, event: Any) -> Any:
        event.model_dump_json()
        return _Late(event)

    async def send(self, socket: Any, content: Any) -> None:
        if isinstance(content, _Late):
            content = content.event.model_dump_json()
        await super().send(socket, content)


class UnserialisableEvicts(EncodesLate):
    """Encodes where a failure counts as the client's: one bad event evicts everybody."""

    DEFECTS = (14, 13)
    KILLED_BY = ("delivery.unserialisable_event_harms_nobody",)

    def encode(self, event: Any) -> Any:
        return _Late(event)


class NeverYields:
    """Sends that complete at once never give the loop a turn: a burst stops everything else."""

    DEFECTS = (16,)
    KILLED_BY = ("delivery.burst_yields",)

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
                await client.send_text(text)
            except Exception:
                self.clients.discard(client)


class ReturnsTooEarly(SoundManager):
    """Promises that everybody has it, and returns when it is queued: its caller then exits."""

    DEFECTS = (17, 56)
    KILLED_BY = ("delivery.done_on_return",)

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            self.put(member, content)
        await asyncio.sleep(0)


class SendsAgainToBeSure(SoundManager):
    """Sends again after 0.2 s without an answer: a client that paused gets it twice."""

    DEFECTS = (10, 28)
    KILLED_BY = ("delivery.nothing_twice",)

    async def send(self, socket: Any, content: Any) -> None:
        first = asyncio.create_task(super().send(socket, content))
        await asyncio.wait({first}, timeout=0.2)
        if not first.done():
            await super().send(socket, content)
        await first


class BelievesInFireAndForget(SoundManager):
    """`create_task` for every send and nobody looks: a stalled client gathers tasks for ever."""

    DEFECTS = (17, 43)
    KILLED_BY = ("delivery.done_on_return", "memory.slow_client_backlog_is_bounded")

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            asyncio.create_task(self.send(member.socket, content))


class PullsAtTheEnd(SoundManager):
    """Clients are served once a second, as a poll would: everybody is late."""

    DEFECTS = (6,)
    KILLED_BY = ("delivery.send_deadline", "delivery.reaches_everyone")

    async def write(self, member: Member) -> None:
        await asyncio.sleep(1.0)
        await super().write(member)

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            self.put(member, content)


class SendsBytes(SoundManager):
    """Encodes to bytes and sends them as they are: browsers get a Blob."""

    DEFECTS = ()
    KILLED_BY = ("delivery.text_frames",)

    async def send(self, socket: Any, content: Any) -> None:
        if isinstance(content, str):
            await socket.send_bytes(content.encode())
        else:
            await super().send(socket, content)


class SendsTheRepr(SoundManager):
    """`str(event.model_dump())` instead of JSON: single quotes, None and datetime objects."""

    DEFECTS = ()
    KILLED_BY = ("delivery.json_has_every_field",)

    def encode(self, event: Any) -> Any:
        return str(event.model_dump())


class LeavesOutNulls(SoundManager):
    """`exclude_none` to save bytes: fields that a page relies on are missing."""

    DEFECTS = ()
    KILLED_BY = ("delivery.json_has_every_field",)

    def encode(self, event: Any) -> Any:
        return event.model_dump_json(exclude_none=True)


class DropsNonAscii(SoundManager):
    """Drops what is not ASCII, since a terminal once complained."""

    DEFECTS = ()
    KILLED_BY = ("delivery.unicode",)

    def encode(self, event: Any) -> Any:
        form = json.loads(event.model_dump_json())
        text = json.dumps(form, ensure_ascii=False)
        return text.encode("ascii", "ignore").decode()


class BlocksTheLoop(SoundManager):
    """`time.sleep` before it gives a client up, in case it comes back: nothing else runs."""

    DEFECTS = (16, 6)
    KILLED_BY = ("delivery.thread_is_not_blocked",)

    def report(self, member: Member, error: BaseException) -> None:
        time.sleep(0.1)
        super().report(member, error)
