"""Waiting for a condition of an object, always with a limit."""

import asyncio
from collections.abc import Callable

__all__ = ["Waiters"]


class Waiters:
    """Those who wait for a condition of one object. The object calls `wake` when it changes."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def __bool__(self) -> bool:
        """Whether anybody waits: cheap to ask before `wake`."""
        return bool(self._waiting)

    async def until(self, condition: Callable[[], bool], *, limit: float) -> bool:
        """Wait until the condition holds, and return whether it does after `limit` seconds."""
        if condition():
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, waiter)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(limit):
                await waiter
        except TimeoutError:
            return condition()
        finally:
            self._waiting.remove(entry)
        return True

    def wake(self) -> None:
        """Look at the conditions again."""
        for condition, waiter in self._waiting:
            if not waiter.done() and condition():
                waiter.set_result(None)
