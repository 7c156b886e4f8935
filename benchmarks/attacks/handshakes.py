"""Attacks before anything is said: connections, handshakes, and who may come in."""

import asyncio
import base64

from attacks.attack import HASTY, PATIENCE, TOKEN, Attack, Served, many, raw, upgrade
from simulators.faults import BadUpgrade, ConnectSilent, Slowloris
from simulators.sockets import HandshakeClient
from simulators.tcp.line import Answer

_GUESSES = 300
_CROWD = 50
LOCKED = {"FLOCK_WS_READ_TOKEN": TOKEN}


def drop(answer: Answer) -> str:
    """Tell that it was dropped, with a FIN or, where something was left unread, a reset."""
    return "dropped" if answer.outcome in ("ended", "reset") else str(answer)


async def silent(served: Served) -> str:
    """Connect and say nothing."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, ConnectSilent()) as client:
            return drop(await client.answer(limit=PATIENCE))

    return await many(200, one)


async def slowloris(served: Served) -> str:
    """Ask drop by drop."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, Slowloris(bytes_per_second=20)) as client:
            return drop(await client.answer(limit=PATIENCE))

    return await many(100, one)


async def header_bomb(served: Served) -> str:
    """Send a megabyte of headers."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, BadUpgrade(wrong="huge_headers")) as client:
            return str(await client.answer(limit=PATIENCE))

    return await many(20, one)


async def many_headers(served: Served) -> str:
    """Send many tiny headers with an upgrade."""
    request = upgrade("Host: 127.0.0.1", *(f"X-{number}: a" for number in range(500)))
    return await many(20, lambda _: raw(served, request))


async def origin(served: Served) -> str:
    """Connect from somebody else's page."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, BadUpgrade(wrong="origin")) as client:
            return str(await client.answer(limit=PATIENCE))

    return await many(20, one)


async def rebinding(served: Served) -> str:
    """Connect from a page whose name was made to point here."""
    request = upgrade("Host: page.example:8000", "Origin: http://page.example:8000")
    return await many(20, lambda _: raw(served, request))


async def guesses(served: Served) -> str:
    """Guess the token, in all three ways."""

    async def one(number: int) -> str:
        guess = f"{TOKEN[: number % len(TOKEN)]}{number}"
        if number % 3 == 0:
            return await raw(served, upgrade("Host: 127.0.0.1", f"Authorization: Bearer {guess}"))
        basic = base64.b64encode(f"admin:{guess}".encode()).decode()
        method, path = ("POST", "/api/events") if number % 3 == 1 else ("GET", "/api/stats")
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\n\r\n"
        )
        return await raw(served, head.encode())

    return await many(_GUESSES, one)


async def too_many(served: Served) -> str:
    """Connect more often than there are places."""
    answered = 0
    everybody = asyncio.Event()

    async def one(_: int) -> str:
        nonlocal answered
        async with HandshakeClient(served.url, BadUpgrade(wrong="origin")) as client:
            answer = await client.answer(limit=PATIENCE)
            answered += 1
            if answered == _CROWD:
                everybody.set()
            await everybody.wait()
        return str(answer)

    return await many(_CROWD, one)


ATTACKS = (
    Attack(
        name="silent connections",
        tries="200 connect and say nothing",
        held_by="`--handshake-timeout`",
        ends="dropped x200",
        play=silent,
        options=HASTY,
    ),
    Attack(
        name="slow handshake",
        tries="100 send their upgrade byte by byte",
        held_by="`--handshake-timeout`, over the whole request",
        ends="dropped x100",
        play=slowloris,
        options=HASTY,
    ),
    Attack(
        name="header bomb",
        tries="20 send a megabyte of headers",
        held_by="16 KiB of headers (h11)",
        ends="status 400 x20",
        play=header_bomb,
    ),
    Attack(
        name="many headers",
        tries="20 send an upgrade with 500 tiny headers",
        held_by="128 headers (websockets), and that its verdict is heard",
        ends="431 x20",
        play=many_headers,
    ),
    Attack(
        name="foreign origin",
        tries="20 connect from somebody else's page",
        held_by="`--allow-origin`: our own alone",
        ends="status 403 x20",
        play=origin,
    ),
    Attack(
        name="name made to point here",
        tries="20 connect from a page whose name was made to point to 127.0.0.1",
        held_by="`--allow-host`: on loopback `localhost` and addresses alone",
        ends="421 x20",
        play=rebinding,
    ),
    Attack(
        name="token guessing",
        tries=f"{_GUESSES} guesses, most of them right in their first letters",
        held_by="16 characters at least, compared in constant time",
        ends=f"401 x{_GUESSES}",
        play=guesses,
        environment=LOCKED,
    ),
    Attack(
        name="more clients than places",
        tries=f"{_CROWD} connect where 20 and the healthy one may",
        held_by="`--max-clients`: 503, before the handshake",
        ends="status 503 x30, status 101 x20",
        play=too_many,
        options=("--max-clients", "21", "--allow-origin", "*"),
    ),
)
