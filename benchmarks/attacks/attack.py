"""What an attack is, and how attackers speak."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from simulators.behaviours import Behaviour
from simulators.sockets import SocketClient

MIB = 1024 * 1024
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - of the server that is attacked
PATIENCE = 15.0
HASTY = ("--handshake-timeout", "1")
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server under attack."""

    port: int
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/ws"

    async def overview(self) -> dict[str, dict[str, float]]:
        """Return what the server tells of itself."""
        found: dict[str, dict[str, float]] = (await self.http.get("/api/overview")).json()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing to try.

    Attributes:
        name: a few words.
        tries: what the attackers do.
        held_by: what stands against it.
        ends: what becomes of the attackers, as `play` tells it.
        play: does it.
        most_bytes: what the server's memory may grow by.
        most_lag: seconds that its event loop may wake too late, on a quiet machine.
        options: further options of the server.
        environment: further variables of it.
    """

    name: str
    tries: str
    held_by: str
    ends: str
    play: Callable[[Served], Awaitable[str]]
    most_bytes: int = 8 * MIB
    most_lag: float = 0.1
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


async def many(count: int, one: Callable[[int], Awaitable[str]]) -> str:
    """Do it so many times at once, and count how it ended."""
    ends = Counter(await asyncio.gather(*(one(number) for number in range(count))))
    return ", ".join(f"{end} x{times}" for end, times in ends.most_common())


async def raw(served: Served, data: bytes, *, drip: bytes = b"", every: float = 0.05) -> str:
    """Say something over bare TCP, go on dripping, and tell the status or that it was dropped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)

    async def dribble() -> None:
        while drip:
            writer.write(drip)
            await asyncio.sleep(every)

    task = asyncio.create_task(dribble())
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE):
            head = await reader.readline()
        return head.split()[1].decode() if head else "dropped"
    except TimeoutError:
        return "still there"
    except OSError:
        return "dropped"
    finally:
        task.cancel()
        writer.transport.abort()


def upgrade(*headers: str) -> bytes:
    """Return the request of a WebSocket, with further headers."""
    lines = (
        "GET /ws HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *headers,
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def behaving(served: Served, behaviour: Behaviour) -> str:
    """Connect with a fault, and tell the code of the close."""
    async with SocketClient(served.url, behaviour, keep=False) as client:
        closed = await client.wait_closed(timeout=PATIENCE)
    return f"closed {closed.code}"


async def deaf(served: Served, data: bytes, *, times: int) -> str:
    """Send over a WebSocket and read nothing, until it is dropped.

    Who goes on sending is reset, and may lose the close frame that says why.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(upgrade("Host: 127.0.0.1"))
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            for _ in range(times):
                writer.write(data)
                await writer.drain()
            while await reader.read(65_536):
                pass
    except TimeoutError:
        return "still there"
    except OSError:
        pass
    finally:
        writer.transport.abort()
    return "dropped"
