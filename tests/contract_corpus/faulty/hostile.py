"""Managers that would take a careless test bench down with them."""

import asyncio
import sys
from typing import Any

from .sound import SoundManager

__all__ = ["Exits", "HangsEverywhere", "HoldsOnToItsCancellation", "SendsFromAThread", "Spins"]


class HangsEverywhere:
    """Every call waits for something that never comes."""

    DEFECTS = (5, 54)
    KILLED_BY = ("delivery.reaches_everyone",)

    def __init__(self) -> None:
        self.clients: set[Any] = set()

    async def hang(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def add_client(self, websocket: Any) -> None:
        self.clients.add(websocket)
        await self.hang()

    async def remove_client(self, websocket: Any) -> None:
        await self.hang()

    async def broadcast(self, event: Any) -> None:
        await self.hang()

    async def shutdown(self) -> None:
        await self.hang()

    def get_streaming_history(self, agent_name: str) -> list[Any]:
        return []


class Spins(SoundManager):
    """Polls a flag without a pause: the loop turns and nothing moves."""

    DEFECTS = (16,)
    KILLED_BY = ("delivery.k_slow_clients_cost_one_timeout", "evict.slow_client_is_out")

    async def deliver(self, content: Any) -> None:
        for member in list(self.clients.values()):
            self.put(member, content)
        while any(member.waiting for member in self.clients.values()):
            await asyncio.sleep(0)


class Exits(SoundManager):
    """`sys.exit` when a send fails, so that the orchestrator restarts the container."""

    DEFECTS = (3,)
    KILLED_BY = ("evict.dead_client_is_out", "evict.every_exception_type")

    def report(self, member: Any, error: BaseException) -> None:
        sys.exit(f"lost {member.socket!r}")


class HoldsOnToItsCancellation(SoundManager):
    """`except CancelledError` around its wait: whoever gives a broadcast up waits all the same."""

    DEFECTS = (24,)
    KILLED_BY = ("delivery.caller_cancellation_harms_nobody",)

    async def deliver(self, content: Any) -> None:
        sent = [self.put(member, content) for member in list(self.clients.values())]
        while any(not done.done() for done in sent):
            try:
                await asyncio.wait(sent)
            except asyncio.CancelledError:
                continue


class SendsFromAThread(SoundManager):
    """For other threads a loop of their own, and the same sockets: frames of two interleave."""

    DEFECTS = (18,)
    KILLED_BY = ("delivery.from_another_thread",)

    def broadcast_threadsafe(self, event: Any) -> None:
        text = self.encode(event)
        for member in list(self.clients.values()):
            asyncio.run(self.send(member.socket, text))
