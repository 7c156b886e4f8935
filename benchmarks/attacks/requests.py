"""Attacks with requests: bodies that are slow, large or deep."""

import asyncio

from attacks.attack import HASTY, MIB, PATIENCE, Attack, Served, many, raw


async def slow_body(served: Served) -> str:
    """Publish drop by drop."""
    head = b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    return await many(100, lambda _: raw(served, head, drip=b" "))


async def large_body(served: Served) -> str:
    """Publish 100 MiB without saying so before."""
    head = (
        b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"

    async def one(_: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(head)
                for _ in range(1_600):
                    writer.write(piece)
                    await writer.drain()
                await reader.read()
        except OSError:
            return "dropped"
        finally:
            writer.transport.abort()
        return "taken"

    return await many(5, one)


async def deep_body(served: Served) -> str:
    """Publish JSON that is nested a million deep."""
    body = b"[" * MIB

    async def one(_: int) -> str:
        answer = await served.http.post(
            "/api/events", content=body, headers={"Content-Type": "application/json"}
        )
        return str(answer.status_code)

    return await many(5, one)


ATTACKS = (
    Attack(
        name="slow body",
        tries="100 publish byte by byte",
        held_by="the same: the body belongs to the request",
        ends="dropped x100",
        play=slow_body,
        options=HASTY,
    ),
    Attack(
        name="large body",
        tries="5 publish 100 MiB without saying so before",
        held_by="`--max-body-bytes`, counted as they come; eight times this over all",
        ends="dropped x5",
        most_bytes=64 * MIB,
        play=large_body,
    ),
    Attack(
        name="deep body",
        tries="5 publish JSON nested a million deep",
        held_by="the parser's own limit",
        ends="400 x5",
        most_bytes=32 * MIB,
        play=deep_body,
    ),
)
