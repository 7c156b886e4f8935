"""The simulated clients of ``flock-ws serve --demo``: commands come in, as lines of JSON.

``{"add": "stalled", "count": 3, "url": "ws://…"}`` (and ``"authorization"``, where the server wants
one) and ``{"clear": true}`` are answered by ``{"added": 3, "living": {…}}``, with ``"refused"``
beside it where something was in the way. The first line tells what there is; later ones tell when
the number of clients has changed. It ends with its input.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.sockets import SocketClient

__all__ = ["BEHAVIOURS", "Demonstration", "main"]

BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType(
    {
        "healthy": Behaviour.healthy(),
        "slow": Behaviour.slow(bytes_per_second=4_000.0, after_seconds=2.0),
        "stalled": Behaviour.stalled(after_seconds=3.0, resume_after=30.0),
        "dead": Behaviour.dead(after_seconds=5.0),
    }
)
"""What can be added. Each begins healthy, so that one sees it change."""

_LOOK_EVERY = 0.2
_AT_ONCE = 20


class Demonstration:
    """The simulated clients of one server.

    Args:
        most: how many there may be at one time.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._clients: dict[SocketClient, str] = {}
        self._coming = 0
        self._numbers: Counter[str] = Counter()
        self._gate = asyncio.Semaphore(_AT_ONCE)

    @property
    def clients(self) -> tuple[SocketClient, ...]:
        """The clients that are connected, as far as was looked."""
        return tuple(self._clients)

    @property
    def living(self) -> dict[str, int]:
        """How many clients of each kind are connected."""
        counts = Counter(self._clients.values())
        return {kind: counts[kind] for kind in BEHAVIOURS}

    async def add(
        self, kind: str, count: int, *, url: str, authorization: str | None = None
    ) -> int:
        """Connect clients to ``ws://…``, and return how many of them could.

        Raises:
            SimulatorError: there is no such kind, they would be too many, or none could connect.
        """
        if kind not in BEHAVIOURS:
            raise SimulatorError(f"there is no {kind!r} client; there are {', '.join(BEHAVIOURS)}")
        free = self._most - len(self._clients) - self._coming
        if count > free:
            raise SimulatorError(
                f"{count} more would be too many: {self._most - free} of at most {self._most} "
                "simulated clients are there; remove some first"
            )
        headers = {} if authorization is None else {"Authorization": authorization}
        self._coming += count
        try:
            coming = (self._connect(kind, url, headers) for _ in range(count))
            results = await asyncio.gather(*coming)
        finally:
            self._coming -= count
        failures = [result for result in results if result is not None]
        if failures and len(failures) == count:
            raise SimulatorError(failures[0])
        return count - len(failures)

    async def _connect(self, kind: str, url: str, headers: Mapping[str, str]) -> str | None:
        self._numbers[kind] += 1
        name = f"{kind}-{self._numbers[kind]}"
        client = SocketClient(
            f"{url}?client={name}", BEHAVIOURS[kind], name=name, headers=headers, keep=False
        )
        async with self._gate:
            try:
                await client.connect()
            except SimulatorError as error:
                return str(error)
        self._clients[client] = kind
        return None

    async def bury(self) -> bool:
        """Let go of the clients whose connection has ended, and return whether there were any."""
        ended = [client for client in self._clients if client.closed or client.hung_up]
        await self._leave(ended)
        return bool(ended)

    async def clear(self) -> None:
        """Let all clients leave."""
        await self._leave(list(self._clients))

    async def _leave(self, clients: Sequence[SocketClient]) -> None:
        for client in clients:
            self._clients.pop(client, None)
        await asyncio.gather(*(client.leave() for client in clients))


async def _demonstrate(most: int) -> None:
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def listen() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            for line in sys.stdin:
                loop.call_soon_threadsafe(commands.put_nowait, json.loads(line))
            loop.call_soon_threadsafe(commands.put_nowait, None)

    threading.Thread(target=listen, name="commands", daemon=True).start()
    crowd = Demonstration(most=most)
    _tell(kinds={kind: one.describe() for kind, one in BEHAVIOURS.items()}, living=crowd.living)
    burying = asyncio.create_task(_bury(crowd), name="bury")
    while (command := await commands.get()) is not None:
        added, refused = 0, {}
        try:
            if command.get("clear"):
                await crowd.clear()
            else:
                added = await crowd.add(command.pop("add"), command.pop("count"), **command)
        except SimulatorError as error:
            refused = {"refused": str(error)}
        _tell(added=added, living=crowd.living, **refused)
    burying.cancel()
    await crowd.clear()


async def _bury(crowd: Demonstration) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        if await crowd.bury():
            _tell(living=crowd.living)


def _tell(**what: Any) -> None:
    try:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)  # the server was killed: nobody is left to tell, and nothing to connect to


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the lines of standard input say, until they end."""
    parser = argparse.ArgumentParser(prog="python -m simulators.demo", description=__doc__)
    parser.add_argument("--most", type=int, default=200, help="clients at one time [%(default)s]")
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_demonstrate(options.most))
    return 0


if __name__ == "__main__":
    sys.exit(main())
