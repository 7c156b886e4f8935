"""The endpoints of an application, for clients that no server has accepted."""

import asyncio
import inspect
from collections.abc import Awaitable, Iterator
from typing import NamedTuple, TypeVar

from starlette.websockets import WebSocketState

from simulators.clients import FakeClient
from simulators.doors import Door

__all__ = ["Endpoints", "Failure", "result_of"]

_T = TypeVar("_T")


class Failure(NamedTuple):
    """Something that the manager raised at a client's coming or going. ``time`` is the loop's."""

    client: FakeClient
    doing: str
    error: Exception
    time: float


class Endpoints:
    """One task for each client that has joined, as an application would have it.

    It receives until the client is gone, hands what the client said to the manager's
    ``client_said`` if it has one, and lets the client leave. So a client that breaks is taken out
    of the pool even if nothing is sent to it; one that merely stops reading is not.

    Args:
        door: the way into the manager.

    Attributes:
        door: as given.
        failures: what the manager raised and no caller got.
    """

    def __init__(self, door: Door) -> None:
        self.door = door
        self.failures: list[Failure] = []
        self._tasks: dict[FakeClient, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[FakeClient]:
        """Give the clients whose endpoint has not ended, in the order in which they came."""
        return iter(self._tasks)

    async def start(self, client: FakeClient) -> None:
        """Let a client join, and serve it from now on."""
        await result_of(self.door.join(client))
        if client.application_state is WebSocketState.CONNECTING:
            await client.accept()
        self._tasks[client] = asyncio.get_running_loop().create_task(
            self._serve(client), name=f"endpoint of {client.name}"
        )

    async def try_start(self, client: FakeClient) -> None:
        """Do the same; what the manager raises goes to `failures`."""
        try:
            await self.start(client)
        except Exception as error:  # noqa: BLE001  # a swarm goes on; the caller reads failures
            self.failed(client, "join", error)

    async def wait(self, client: FakeClient) -> None:
        """Wait until a client's endpoint has ended, if it has one."""
        if (task := self._tasks.get(client)) is not None:
            await asyncio.wait([task])

    async def stop(self, *, limit: float) -> None:
        """Wait so long for all to end, then cancel them."""
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=limit)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def failed(self, client: FakeClient, doing: str, error: Exception) -> None:
        """Note what the manager raised."""
        self.failures.append(Failure(client, doing, error, asyncio.get_running_loop().time()))

    async def _serve(self, client: FakeClient) -> None:
        said = self.door.said
        try:
            while (message := await client.receive())["type"] != "websocket.disconnect":
                if said is not None:
                    said(client, message.get("text") or message.get("bytes") or "")
        finally:
            self._tasks.pop(client, None)
            try:
                await result_of(self.door.leave(client))
            except Exception as error:  # noqa: BLE001  # a server logs it; here the caller reads it
                self.failed(client, "leave", error)


async def result_of(value: Awaitable[_T] | _T) -> _T:
    """Return the value, awaited if it can be."""
    return await value if inspect.isawaitable(value) else value
