"""Delivery: the fate of one published event."""

import asyncio
from collections.abc import Generator
from typing import Self

__all__ = ["Delivery"]


class Delivery:
    """What becomes of one event; may be awaited any number of times, or ignored.

    ``await delivery`` waits until every client that was in the pool when the event was published
    has it, was evicted or left, and gives the delivery itself. Cancelling the waiting harms
    nobody: the event goes on its way.

    That a client has an event means that its `send_text` completed. It does not mean that the
    peer has read it: servers and kernels buffer.

    Attributes:
        number: the event's place in the manager's order of publication, from 0.
        clients: how many clients were in the pool.
        delivered: how many of them have the event. 0 until done.
        evicted: how many were evicted before they had it. 0 until done.
        left: how many were removed before they had it. 0 until done.
        done: whether the fate of all is known.
    """

    __slots__ = ("_waiters", "clients", "delivered", "done", "evicted", "left", "number")

    def __init__(self, number: int, clients: int) -> None:
        self.number = number
        self.clients = clients
        self.delivered = 0
        self.evicted = 0
        self.left = 0
        self.done = False
        self._waiters: list[asyncio.Future[None]] = []

    def finish(self, *, evicted: int, left: int) -> None:
        """Settle the counts and wake who waits. Called once, by the log."""
        self.evicted = evicted
        self.left = left
        self.delivered = self.clients - evicted - left
        self.done = True
        for waiter in self._waiters:
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)
        self._waiters.clear()

    def __await__(self) -> Generator[object, None, Self]:
        """Wait until the fate of all is known."""
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            yield from waiter
        return self

    def __repr__(self) -> str:
        """Show the counts."""
        state = (
            f"{self.delivered} delivered, {self.evicted} evicted, {self.left} left"
            if self.done
            else "under way"
        )
        return f"<Delivery of event {self.number} to {self.clients} clients: {state}>"
