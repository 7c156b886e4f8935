"""Mistakes with the beginning, the end, loops, and what an operator sees."""

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any, ClassVar

from .sound import Member, SoundManager

__all__ = [
    "AwaitsAllCloses",
    "CancelledHalfWay",
    "CarriesOnAfterTheEnd",
    "CleansUpWhenCancelled",
    "ClosesNobody",
    "ClosesUntilOneFails",
    "EmptyMessages",
    "GoesWithoutACode",
    "LineForEveryEvent",
    "LockOfTheModule",
    "Mute",
    "NumbersForEachClient",
    "OneDispatcherForAll",
    "SecondShutdownRaises",
    "SharesItsPool",
    "WantsAQuietPublisher",
]

logger = logging.getLogger(__name__)


class AwaitsAllCloses(SoundManager):
    """Awaits every close, however long: one stalled peer and the deployment hangs."""

    DEFECTS = (54, 20)
    KILLED_BY = ("shutdown.is_bounded",)

    async def shutdown(self) -> None:
        self.ended = True
        self.end_heartbeat()
        members, self.clients = list(self.clients.values()), {}
        for member in members:
            self.let_go(member)
        closes = [member.socket.close(code=1012) for member in members]
        await asyncio.gather(*closes, return_exceptions=True)


class ClosesUntilOneFails(SoundManager):
    """Closes one after the other without a try: whoever comes after a dead one stays open."""

    DEFECTS = (55,)
    KILLED_BY = ("shutdown.closes_everyone",)

    async def shutdown(self) -> None:
        self.ended = True
        self.end_heartbeat()
        members, self.clients = list(self.clients.values()), {}
        for member in members:
            self.let_go(member)
        with suppress(Exception):
            for member in members:
                async with asyncio.timeout(self.close_timeout):
                    await member.socket.close(code=1012)


class ClosesNobody(SoundManager):
    """Empties the pool and closes nobody: pages wait for a server that is gone."""

    DEFECTS = (19, 55)
    KILLED_BY = ("shutdown.closes_everyone",)

    async def shutdown(self) -> None:
        self.ended = True
        self.end_heartbeat()
        members, self.clients = list(self.clients.values()), {}
        for member in members:
            self.let_go(member)


class SecondShutdownRaises(SoundManager):
    """The lifespan and the signal handler both call it; the second one raises."""

    DEFECTS = (55,)
    KILLED_BY = ("shutdown.twice",)

    async def shutdown(self) -> None:
        if self.ended:
            raise RuntimeError("already shut down")
        await super().shutdown()


class CarriesOnAfterTheEnd(SoundManager):
    """Shutdown is no end: a client that joins during it is served, and never closed."""

    DEFECTS = (55,)
    KILLED_BY = ("shutdown.terminal",)

    async def shutdown(self) -> None:
        await super().shutdown()
        self.ended = False


class GoesWithoutACode(SoundManager):
    """Closes everybody with 1000 at the end: browsers take it for a wish and stay away."""

    DEFECTS = (57,)
    KILLED_BY = ("shutdown.close_code",)

    def close_later(
        self, socket: Any, code: int, *, after: asyncio.Task[None] | None = None
    ) -> None:
        super().close_later(socket, 1000 if code == 1012 else code, after=after)


class NumbersForEachClient(SoundManager):
    """Numbers deliveries, not events: after a lost one the count goes on without a gap."""

    DEFECTS = (52,)
    KILLED_BY = ("recovery.sequence",)
    PROFILE: ClassVar[dict[str, Any]] = {"sequence": "seq"}

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.sent = 0

    def encode(self, event: Any) -> Any:
        self.sent += len(self.clients) + 1
        return json.dumps(event.model_dump(mode="json") | {"seq": self.sent})


class CancelledHalfWay(SoundManager):
    """Closes one after the other in the caller: cancelled by a deadline, half stay open."""

    DEFECTS = (55,)
    KILLED_BY = ("shutdown.cancel_safe",)

    async def shutdown(self) -> None:
        self.ended = True
        self.end_heartbeat()
        members, self.clients = list(self.clients.values()), {}
        for member in members:
            self.let_go(member)
            await self.close(member.socket, 1012, member.writer)


class SharesItsPool(SoundManager):
    """The pool is a class attribute: the test's manager serves the application's clients."""

    DEFECTS = (58,)
    KILLED_BY = ("lifecycle.two_instances_share_nothing",)
    everybody: dict[Any, Member] = {}

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.clients = self.everybody


_turn = asyncio.Lock()


class LockOfTheModule(SoundManager):
    """A lock in the module: it belongs to the first loop that had to wait for it."""

    DEFECTS = (58,)
    KILLED_BY = ("lifecycle.two_loops",)

    async def deliver(self, content: Any) -> None:
        async with _turn:
            await asyncio.sleep(0.01)
        await super().deliver(content)


class OneDispatcherForAll(SoundManager):
    """One dispatcher for the process, started once: on the next loop nobody takes from it."""

    DEFECTS = (58,)
    KILLED_BY = ("lifecycle.two_loops", "lifecycle.two_instances_share_nothing")

    inbox: ClassVar[list[tuple[Member, Any, asyncio.Future[None]]]] = []
    dispatcher: ClassVar[asyncio.Task[None] | None] = None

    async def add_client(self, websocket: Any) -> None:
        if OneDispatcherForAll.dispatcher is None:
            OneDispatcherForAll.dispatcher = asyncio.create_task(self.dispatch())
        await super().add_client(websocket)

    async def dispatch(self) -> None:
        while True:
            while self.inbox:
                member, content, done = self.inbox.pop(0)
                await asyncio.wait([self.put(member, content)])
                done.set_result(None)
            await asyncio.sleep(0.01)

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.inbox.append((member, content, done))
            await asyncio.wait([done])


class Mute(SoundManager):
    """Evicts without a word: nobody can say why a page went dark."""

    DEFECTS = (62,)
    KILLED_BY = ("diagnosis.one_line_an_eviction",)

    def report(self, member: Member, error: BaseException) -> None:
        """Not worth a line."""


class EmptyMessages(SoundManager):
    """Logs `str(error)`, which is empty for half of what a send raises."""

    DEFECTS = (62,)
    KILLED_BY = ("diagnosis.one_line_an_eviction",)

    def report(self, member: Member, error: BaseException) -> None:
        logger.warning("Error sending message: %s", error)


class LineForEveryEvent(SoundManager):
    """A line at INFO for every event and client: the one that matters is lost in it."""

    DEFECTS = (62,)
    KILLED_BY = ("diagnosis.one_line_an_eviction",)

    def put(self, member: Member, content: Any) -> "asyncio.Future[None]":
        logger.warning("sending %d bytes to %r", len(content), member.socket)
        return super().put(member, content)


class CleansUpWhenCancelled(SoundManager):
    """A cancelled publisher takes everybody's event with it, and whoever waits for it out."""

    DEFECTS = (24,)
    KILLED_BY = ("delivery.caller_cancellation_harms_nobody",)

    async def deliver(self, content: Any) -> None:
        members = list(self.clients.values())
        sent = [self.put(member, content) for member in members]
        try:
            if sent:
                await asyncio.wait(sent)
        except asyncio.CancelledError as error:
            for member, done in zip(members, sent, strict=True):
                if not done.done():
                    self.evict(member, error)
            raise


class WantsAQuietPublisher(SoundManager):
    """Sends in the publisher's own task: its cancellation tears a frame that was under way."""

    DEFECTS = (24, 10)
    KILLED_BY = ("delivery.caller_cancellation_harms_nobody",)

    async def deliver(self, content: Any) -> None:
        members = list(self.clients.values())
        sends = [self.attempt(member.socket, content) for member in members]
        for member, error in zip(members, await asyncio.gather(*sends), strict=True):
            if error is not None:
                self.evict(member, error)
