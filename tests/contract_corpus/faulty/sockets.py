"""Mistakes that show on real sockets: most of them only there."""

import asyncio
from typing import Any, ClassVar

from .sound import Member, SoundManager

__all__ = [
    "AnswersForTheClient",
    "AwaitsEachPing",
    "CountsCharacters",
    "DropsTheQueueAtTheEnd",
    "LargeOnesInAThread",
    "LeavesItToTheEndpoint",
    "SendsInTheCallersTask",
    "TrustsTheClose",
]


class LargeOnesInAThread(SoundManager):
    """Encodes large events in a thread, to spare the loop: the small ones behind overtake them."""

    DEFECTS = (8,)
    KILLED_BY = ("sockets.everyone_gets_everything",)

    async def broadcast(self, event: Any) -> None:
        large = len(getattr(event, "content", "")) > 10_000
        text = await asyncio.to_thread(self.encode, event) if large else self.encode(event)
        await self.deliver(text)


class SendsInTheCallersTask(SoundManager):
    """Sends in the task of whoever publishes: a request that is cancelled leaves a hole."""

    DEFECTS = (10,)
    KILLED_BY = ("sockets.cancelled_send_leaves_no_hole",)

    async def deliver(self, content: Any) -> None:
        members = list(self.clients.values())
        errors = await asyncio.gather(*(self.try_to_send(member, content) for member in members))
        for member, error in zip(members, errors, strict=True):
            if error is not None:
                self.evict(member, error)

    async def try_to_send(self, member: Member, content: Any) -> Exception | None:
        try:
            await asyncio.wait_for(self.send(member.socket, content), self.send_timeout)
        except Exception as error:
            return error
        return None


class CountsCharacters(SoundManager):
    """Refuses what is too large for the clients, and counts characters: they count bytes."""

    DEFECTS = (15,)
    KILLED_BY = ("sockets.oversized_event_closes_nobody",)

    def refuse_too_large(self, text: Any) -> None:
        if len(text) > self.event_bytes:
            raise ValueError(f"an event takes at most {self.event_bytes} bytes")


class TrustsTheClose(SoundManager):
    """Takes a close for the end of a connection, where the server would let it abort one."""

    DEFECTS = (21,)
    KILLED_BY = ("sockets.connection_is_freed",)
    PROFILE: ClassVar = {"close_timeout": 0.5}
    PROTOCOL = "flock_ws.uvicorn_protocol:FlockWebSocketProtocol"


class LeavesItToTheEndpoint(SoundManager):
    """Ignores a send to who has gone: the endpoint will hear of it, and this one only sends."""

    DEFECTS = (26, 30)
    KILLED_BY = ("sockets.dead_peer_is_noticed_by_its_sends",)

    def evict(self, member: Member, error: BaseException) -> None:
        if isinstance(error, TimeoutError | BufferError):
            super().evict(member, error)
        elif member.waiting:
            member.waiting.popleft().settle()
            member.writer = asyncio.create_task(self.write(member))


class AwaitsEachPing(SoundManager):
    """Pings past the queue, without a deadline: one waits behind megabytes, and so do all."""

    DEFECTS = (38, 40)
    KILLED_BY = ("sockets.ping_behind_a_full_buffer",)

    async def ping(self, member: Member) -> None:
        await member.socket.send_json(self.ping_message())


class AnswersForTheClient(SoundManager):
    """Takes a ping that was sent for one that was answered: the kernel takes many for the dead."""

    DEFECTS = (31, 39)
    KILLED_BY = ("sockets.quiet_half_open_peer_is_out",)
    PROFILE: ClassVar = {"pong_timeout": 0.5}

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.heard: dict[Any, float] = {}

    async def ping(self, member: Member) -> None:
        await super().ping(member)
        self.client_said(member.socket, "pong")
        if asyncio.get_running_loop().time() - self.heard[member.socket] > 0.5:
            self.evict(member, TimeoutError("no answer to a ping"))

    def client_said(self, websocket: Any, message: str) -> None:
        if websocket in self.clients:
            self.heard[websocket] = asyncio.get_running_loop().time()


class DropsTheQueueAtTheEnd(SoundManager):
    """Promises that everybody has it, returns when it is queued, and its shutdown drops queues."""

    DEFECTS = (56,)
    KILLED_BY = ("sockets.shutdown_loses_nothing",)

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            self.put(member, content)
