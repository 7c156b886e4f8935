"""Attacks by who does not read: answers, and events."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from attacks.attack import HASTY, MIB, PATIENCE, Attack, Served, upgrade

# The healthy client shares a process with the attackers, and may be kept from reading by them.
_PATIENT = ("--send-timeout", "3")


async def unread_answers(served: Served) -> str:
    """Ask for a history of some megabytes, and do not read it."""
    for number in range(5):
        await _publish(served, 10_000, start=number * 100, count=100)
        await _taken(served, behind_bytes=MIB)
    request = b"GET /api/streaming-history/big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    async def dropped() -> float:
        name = 'flock_ws_refusals_total{reason="answer_timeout"} '
        told = (await served.http.get("/metrics")).text
        return float(told.partition(name)[2].partition("\n")[0])

    before = await dropped()
    with contextlib.ExitStack() as stack:
        await asyncio.gather(*(_deaf(served, request, stack) for _ in range(20)))
        count = await _grown(dropped, before, by=20, limit=PATIENCE)
    return f"dropped x{count}"


async def stalled(served: Served) -> str:
    """Connect a thousand readers that do not read."""

    async def evicted() -> float:
        return sum((await served.overview())["evicted"].values())

    async def one(stack: contextlib.ExitStack) -> None:
        deaf = await _deaf(served, upgrade("Host: 127.0.0.1"), stack)
        await asyncio.get_running_loop().sock_recv(deaf, 12)

    before = await evicted()
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            await asyncio.gather(*(one(stack) for _ in range(100)))
        for number in range(3):
            await _publish(served, 20_000, start=number * 10, count=10)
        count = await _grown(evicted, before, by=1_000, limit=4 * PATIENCE)
    return f"evicted x{count}"


async def _deaf(served: Served, said: bytes, stack: contextlib.ExitStack) -> socket.socket:
    """Connect with the smallest buffer there is, and say something."""
    deaf = stack.enter_context(socket.socket())
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)  # noqa: FBT003 - the standard library's signature
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", served.port))
    await loop.sock_sendall(deaf, said)
    return deaf


async def _grown(
    count: Callable[[], Awaitable[float]], before: float, *, by: int, limit: float
) -> int:
    """Wait until the server has counted so many more, and return how many those are in the end."""
    grown = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while grown < by:
                await asyncio.sleep(0.2)
                grown = round(await count() - before)
    return grown


async def _taken(served: Served, *, behind_bytes: int) -> None:
    """Wait until nobody is further behind: this history is no attack on who reads."""
    async with asyncio.timeout(PATIENCE):
        while True:
            clients = (await served.http.get("/api/stats")).json()["per_client"]
            if all(client["lag"]["bytes"] <= behind_bytes for client in clients):
                return
            await asyncio.sleep(0.02)


async def _publish(served: Served, size_bytes: int, *, start: int, count: int) -> None:
    events = [
        {
            "kind": "StreamingOutputEvent",
            "event": {
                "correlation_id": "c",
                "agent_name": "big",
                "run_id": "r",
                "output_type": "log",
                "content": "." * size_bytes,
                "sequence": number,
            },
        }
        for number in range(start, start + count)
    ]
    answer = await served.http.post("/api/events", json=events)
    answer.raise_for_status()


ATTACKS = (
    Attack(
        name="unread answers",
        tries="20 ask for a history of 5 MB, and do not read it",
        held_by="streamed; dropped `--handshake-timeout` after the last byte taken",
        ends="dropped x20",
        most_bytes=32 * MIB,
        play=unread_answers,
        options=(*HASTY, *_PATIENT),
    ),
    Attack(
        name="stalled readers",
        tries="1 000 connect and never read",
        held_by="one log for all, `--send-timeout`, the abort after it",
        ends="evicted x1000",
        most_bytes=96 * MIB,
        most_lag=0.3,
        play=stalled,
        options=_PATIENT,
    ),
)
