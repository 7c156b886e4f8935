"""A server elsewhere that publishes by itself, as a site for the checks on real sockets.

Two clients listen to it: what both of them get was published, and not said to one of them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from simulators.contract.serving import ServerThread
from simulators.contract.sites import Pace
from simulators.contract.visits import Visit
from simulators.sockets import SocketClient

__all__ = ["Stream", "StreamSite", "listen_to"]

_LISTENING = 3.0
_FEWEST = 4
_MOST = 40
_JUDGED = 3.0
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What a server publishes by itself, as far as it was listened to.

    Attributes:
        rate: events a second.
        pause: the longest time between two, in seconds; a second at most.
    """

    rate: float
    pause: float

    def __str__(self) -> str:
        """Say what causes an event."""
        return f"the server itself, {self.rate:.3g} times a second"


class _Ears:
    """The two clients that listen.

    Args:
        url: of the WebSocket endpoint.

    Attributes:
        times: when each event was known to be one.
    """

    def __init__(self, url: str) -> None:
        self.times: list[float] = []
        self._heard: tuple[Counter[bytes], Counter[bytes]] = (Counter(), Counter())
        self._numbers: dict[bytes, int] = {}
        self._woken = asyncio.Event()
        self._clients = [
            SocketClient(url, name=f"listener-{at + 1}", on_message=self._hear, keep=False)
            for at in range(2)
        ]

    async def open(self) -> None:
        """Connect both."""
        for client in self._clients:
            await client.connect()

    async def close(self) -> None:
        """Let go of both."""
        for client in self._clients:
            await client.leave(timeout=0.05)
            client.free()

    def _hear(self, client: SocketClient, message: bytes) -> None:
        own, other = self._heard if client is self._clients[0] else self._heard[::-1]
        own[message] += 1
        if message in other and message not in self._numbers:
            self.times.append(asyncio.get_running_loop().time())
            self._numbers[message] = len(self.times)
            self._woken.set()

    async def count_to(self, count: int) -> None:
        """Wait until there were so many events, for as long as it takes."""
        while len(self.times) < count:
            self._woken.clear()
            await self._woken.wait()

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of those messages that are events, in their order.

        Of a text that was published several times over only the first counts.
        """
        found: list[int] = []
        known: set[int] = set()
        for message in messages:
            data = message.encode() if isinstance(message, str) else message
            number = self._numbers.get(data)
            if number is None or (number in known and self._heard[0][data] > 1):
                continue
            known.add(number)
            found.append(number)
        return found


class StreamSite:
    """A server that publishes by itself. Its next event stands for one that was caused.

    Args:
        url: of its WebSocket endpoint.
        stream: what it publishes.
    """

    def __init__(self, url: str, stream: Stream) -> None:
        self.can: frozenset[str] = frozenset()
        self.server: ServerThread | None = None
        self.visits: dict[str, Visit] = {}
        many = min(_MOST, max(_FEWEST, int(stream.rate * _JUDGED)))
        self.pace = Pace(many=many, pause=stream.pause, by_itself=True)
        self._url = url
        self._ears = _Ears(url)
        self._before: int | None = None
        self._caused = 0

    async def start(self, *, heartbeat: float | None) -> None:  # noqa: ARG002  # nobody sets it from outside
        """Begin to listen."""
        await self._ears.open()

    async def stop(self) -> None:
        """Let go of it."""
        await self._ears.close()

    def url(self, name: str, number: int) -> str:  # noqa: ARG002  # the other sites need it
        """Return where every client connects to."""
        return self._url

    async def broadcast(self, number: int, *, text: str) -> None:  # noqa: ARG002  # it says its own
        """Wait for the event that stands for this one, for as long as it takes."""
        if self._before is None:
            self._before = len(self._ears.times)
        self._caused = max(self._caused, number)
        await self._ears.count_to(self._before + number)

    def numbers(self, messages: Iterable[str | bytes]) -> list[int]:
        """Return the numbers of the events among these messages that were waited for."""
        before = self._before or 0
        found = (number - before for number in self._ears.numbers(messages))
        return [number for number in found if 0 < number <= self._caused]

    async def members(self) -> list[Any] | None:
        """Return None: its pool is its own."""
        return None


async def listen_to(url: str) -> Stream | str:
    """Listen for a few seconds; return what a server publishes by itself, or why that is nothing.

    Raises:
        ConnectFailed: it cannot be connected to.
    """
    ears = _Ears(url)
    try:
        await ears.open()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(_LISTENING)
    finally:
        await ears.close()
    times = ears.times
    if not times:
        return f"it publishes nothing by itself in {_LISTENING:g} s"
    if len(times) < _FEWEST:
        return f"it publishes by itself, but only {len(times)} times in {_LISTENING:g} s"
    ends = [began, *times, began + _LISTENING]
    pause = max(later - earlier for earlier, later in pairwise(ends))
    return Stream(rate=len(times) / _LISTENING, pause=min(pause, _LONGEST_PAUSE))
