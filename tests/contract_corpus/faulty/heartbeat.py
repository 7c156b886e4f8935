"""Mistakes in a heartbeat."""

import asyncio
import time
from contextlib import suppress
from typing import Any, ClassVar

from .sound import Member, SoundManager

__all__ = [
    "AlwaysOn",
    "AwaitsItself",
    "Drifts",
    "EndsWithOneFailure",
    "FinishedTaskStays",
    "LivesOnInHalfOpen",
    "NeverEnds",
    "NoJitter",
    "OnePulseForEachJoin",
    "OutlivesTheShutdown",
    "PingsAtOnce",
    "PingsBeside",
    "PingsHalfAsOften",
    "PingsInTurn",
    "PingsOnlyTheFirst",
    "PingsWithText",
    "WallClock",
]


class AwaitsItself(SoundManager):
    """A failed ping removes the last client, which awaits the heartbeat, which awaits the ping."""

    DEFECTS = (34,)
    KILLED_BY = ("heartbeat.survives_the_last_client",)

    async def beat(self) -> None:
        while self.clients:
            await asyncio.sleep(self.heartbeat_interval)
            pings = [self.ping(member) for member in list(self.clients.values())]
            await asyncio.gather(*pings, return_exceptions=True)

    async def ping(self, member: Member) -> None:
        error = await self.attempt(member.socket, self.ping_message())
        if error is not None:
            self.close_later(member.socket, 1013)
            await self.remove_client(member.socket)

    async def remove_client(self, websocket: Any) -> None:
        member = self.clients.pop(websocket, None)
        if member is not None:
            self.let_go(member)
        if not self.clients and self.heartbeat is not None:
            self.heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await self.heartbeat
            self.heartbeat = None


class OnePulseForEachJoin(SoundManager):
    """Every join starts a heartbeat, and there is one already: n clients, n pings each."""

    DEFECTS = (35,)
    KILLED_BY = ("heartbeat.one_task", "heartbeat.rhythm")

    def start_heartbeat(self) -> None:
        if self.enable_heartbeat:
            self.heartbeat = asyncio.create_task(self.beat())


class FinishedTaskStays(SoundManager):
    """The loop ends with the last client and its task stays in the attribute: never again."""

    DEFECTS = (36,)
    KILLED_BY = ("heartbeat.restarts_after_empty",)

    def start_heartbeat(self) -> None:
        if self.enable_heartbeat and self.heartbeat is None:
            self.heartbeat = asyncio.create_task(self.beat())

    def end_heartbeat_without_clients(self) -> None:
        """The loop looks for itself."""

    async def beat(self) -> None:
        while self.clients:
            await asyncio.sleep(self.heartbeat_interval)
            for member in list(self.clients.values()):
                await self.ping(member)


class EndsWithOneFailure(SoundManager):
    """What a ping raises ends the heartbeat of everybody, without a word."""

    DEFECTS = (37,)
    KILLED_BY = ("heartbeat.survives_a_failing_client",)

    async def ping(self, member: Member) -> None:
        error = await self.attempt(member.socket, self.ping_message())
        if error is not None:
            raise error


class PingsInTurn(SoundManager):
    """Pings are awaited without a deadline: one stalled client stops the heartbeat of all."""

    DEFECTS = (38,)
    KILLED_BY = ("heartbeat.stalled_client_does_not_stop_it",)

    async def ping(self, member: Member) -> None:
        with suppress(Exception):
            await member.socket.send_json(self.ping_message())


class PingsBeside(SoundManager):
    """Pings go past the writer: two sends are in flight on one connection."""

    DEFECTS = (9,)
    KILLED_BY = ("heartbeat.waits_its_turn",)

    async def ping(self, member: Member) -> None:
        asyncio.create_task(self.pinging(member))

    async def pinging(self, member: Member) -> None:
        error = await self.attempt(member.socket, self.ping_message())
        if error is not None:
            self.evict(member, error)


class LivesOnInHalfOpen(SoundManager):
    """Promises to look for answers (`pong_timeout`) and counts a ping that was sent as one."""

    DEFECTS = (39,)
    KILLED_BY = ("heartbeat.half_open_is_noticed",)
    PROFILE: ClassVar = {"pong_timeout": 5.0}

    def __init__(
        self,
        heartbeat_interval: float = 120,
        enable_heartbeat: bool = False,
        *,
        pong_timeout: float = 5.0,
    ) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.pong_timeout = pong_timeout
        self.answered: dict[Any, float] = {}

    def client_said(self, websocket: Any, message: Any) -> None:
        self.answered[websocket] = asyncio.get_running_loop().time()

    async def ping(self, member: Member) -> None:
        await super().ping(member)
        self.answered[member.socket] = asyncio.get_running_loop().time()


class NoJitter(SoundManager):
    """Promises a jitter and draws it once for all: after a restart the herd pings together."""

    DEFECTS = (41,)
    KILLED_BY = ("heartbeat.jitter",)
    PROFILE: ClassVar = {"heartbeat_jitter": 1.0}

    def __init__(
        self,
        heartbeat_interval: float = 120,
        enable_heartbeat: bool = False,
        *,
        heartbeat_jitter: float = 0.0,
    ) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.heartbeat_jitter = heartbeat_jitter


class NeverEnds(SoundManager):
    """The heartbeat outlives the last client: an idle server wakes up for nobody."""

    DEFECTS = (42,)
    KILLED_BY = ("heartbeat.ends_with_last_client",)

    def end_heartbeat_without_clients(self) -> None:
        """Somebody will come."""


class OutlivesTheShutdown(SoundManager):
    """`shutdown` forgets the heartbeat."""

    DEFECTS = (42, 55)
    KILLED_BY = ("heartbeat.ends_with_shutdown",)

    def end_heartbeat(self) -> None:
        if not self.ended:
            super().end_heartbeat()


class Drifts(SoundManager):
    """Waits for every ping before it counts the interval anew: a slow client shifts the beat."""

    DEFECTS = (38,)
    KILLED_BY = ("heartbeat.rhythm", "heartbeat.stalled_client_does_not_stop_it")
    send_timeout = 0.5

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for member in list(self.clients.values()):
                await asyncio.wait([self.put(member, self.ping_message())])
                await asyncio.sleep(1.0)


class PingsWithText(SoundManager):
    """Sends the text `ping`: the page waits for an object with a type."""

    DEFECTS = ()
    KILLED_BY = ("heartbeat.form",)

    def ping_message(self) -> Any:
        return "ping"


class AlwaysOn(SoundManager):
    """Pings whether or not it was asked to: pages that know no pings show them."""

    DEFECTS = ()
    KILLED_BY = ("heartbeat.off_by_default",)

    def start_heartbeat(self) -> None:
        self.enable_heartbeat = True
        self.heartbeat_interval = min(self.heartbeat_interval, 5)
        super().start_heartbeat()


class WallClock(SoundManager):
    """Stamps pings with the time of day as a text: the page computes NaN."""

    DEFECTS = ()
    KILLED_BY = ("heartbeat.form",)

    def ping_message(self) -> Any:
        return {"type": "ping", "time": time.strftime("%H:%M:%S")}


class PingsAtOnce(SoundManager):
    """Pings first and waits then: a herd that reconnects is pinged in the same moment."""

    DEFECTS = ()
    KILLED_BY = ("heartbeat.rhythm",)

    async def beat(self) -> None:
        while True:
            for member in list(self.clients.values()):
                await self.ping(member)
            await asyncio.sleep(self.heartbeat_interval)


class PingsHalfAsOften(SoundManager):
    """Sleeps before and after: half as many pings as were asked for."""

    DEFECTS = ()
    KILLED_BY = ("heartbeat.rhythm",)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for member in list(self.clients.values()):
                await self.ping(member)
            await asyncio.sleep(self.heartbeat_interval)


class PingsOnlyTheFirst(SoundManager):
    """A `return` in the wrong line: only who joined first is pinged."""

    DEFECTS = (37,)
    KILLED_BY = ("heartbeat.rhythm", "heartbeat.survives_a_failing_client")

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            for member in list(self.clients.values()):
                await self.ping(member)
                break
