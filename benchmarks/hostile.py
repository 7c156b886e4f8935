"""What hostile clients try against ``flock-ws serve``, and what it costs it.

python benchmarks/hostile.py              # all of them, about a minute
python benchmarks/hostile.py --only ping  # those with this word in their name
python benchmarks/hostile.py --write      # all of them, into docs/security.md

Each attack runs against a server in a process of its own, which publishes 50 events a second to a
healthy client. Printed is the table of docs/security.md: how it ended for the attackers, by how
much the server's memory grew at most (Linux keeps a high-water mark of the resident size), and how
late its event loop woke at worst, which is what healthy clients feel.
`tests/flock_ws/test_security.py` runs the same attacks.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from simulators.behaviours import Behaviour
from simulators.faults import (
    BadUpgrade,
    ConnectSilent,
    DeflateBomb,
    EndlessFragments,
    Flood,
    Oversize,
    PingFlood,
    Slowloris,
    UnsolicitedPongs,
)
from simulators.sockets import HandshakeClient, SocketClient
from simulators.tcp.frames import CONTINUATION, PING, TEXT, encode_frame
from simulators.tcp.line import Answer

MIB = 1024 * 1024
PAGE = Path(__file__).parents[1] / "docs" / "security.md"
HEAD = (
    "| attack | what they do | what holds | how it ends | memory | loop lag |\n"
    "|---|---|---|---|---|---|\n"
)
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - of the server that is attacked
PATIENCE = 15.0
OPTIONS = ("--events", "50")
HASTY = ("--handshake-timeout", "1")
# The healthy client shares a process with the attackers, and may be kept from reading by them.
PATIENT = ("--send-timeout", "3")
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_GUESSES = 300
_CROWD = 50
_BIG_EVENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server under attack."""

    port: int
    pid: int
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
        most_bytes: what the server's memory may grow by.
        play: does it.
        options: further options of the server.
        environment: further variables of it.
    """

    name: str
    tries: str
    held_by: str
    ends: str
    most_bytes: int
    play: Callable[[Served], Awaitable[str]]
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What an attack did.

    Attributes:
        ended: what became of the attackers.
        grown_bytes: by how much the server's memory grew at most.
        loop_lag: seconds that its loop woke too late, at worst.
        missed: events that the healthy client did not get, or got in disorder.
        healthy: whether the healthy client was still in the pool.
    """

    ended: str
    grown_bytes: int
    loop_lag: float
    missed: int
    healthy: bool


# How to do it


async def _many(count: int, one: Callable[[int], Awaitable[str]]) -> str:
    """Do it so many times at once, and count how it ended."""
    ends = Counter(await asyncio.gather(*(one(number) for number in range(count))))
    return ", ".join(f"{end} x{times}" for end, times in ends.most_common())


async def _raw(served: Served, data: bytes, *, drip: bytes = b"", every: float = 0.05) -> str:
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


def _upgrade(*headers: str) -> bytes:
    lines = (
        "GET /ws HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *headers,
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def _behaving(served: Served, behaviour: Behaviour) -> str:
    """Connect with a fault, and tell the code of the close."""
    async with SocketClient(served.url, behaviour, keep=False) as client:
        closed = await client.wait_closed(timeout=PATIENCE)
    return f"closed {closed.code}"


async def _deaf(served: Served, data: bytes, *, times: int) -> str:
    """Send over a WebSocket and read nothing, until it is dropped.

    Who goes on sending is reset, and may lose the close frame that says why.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(_upgrade("Host: 127.0.0.1"))
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


def _drop(answer: Answer) -> str:
    """Tell that it was dropped, with a FIN or, where something was left unread, a reset."""
    return "dropped" if answer.outcome in ("ended", "reset") else str(answer)


# What to try


async def silent(served: Served) -> str:
    """Connect and say nothing."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, ConnectSilent()) as client:
            return _drop(await client.answer(limit=PATIENCE))

    return await _many(200, one)


async def slowloris(served: Served) -> str:
    """Ask drop by drop."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, Slowloris(bytes_per_second=20)) as client:
            return _drop(await client.answer(limit=PATIENCE))

    return await _many(100, one)


async def slow_body(served: Served) -> str:
    """Publish drop by drop."""
    head = b"POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    return await _many(100, lambda _: _raw(served, head, drip=b" "))


async def header_bomb(served: Served) -> str:
    """Send a megabyte of headers."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, BadUpgrade(wrong="huge_headers")) as client:
            return str(await client.answer(limit=PATIENCE))

    return await _many(20, one)


async def many_headers(served: Served) -> str:
    """Send many tiny headers with an upgrade."""
    request = _upgrade("Host: 127.0.0.1", *(f"X-{number}: a" for number in range(500)))
    return await _many(20, lambda _: _raw(served, request))


async def origin(served: Served) -> str:
    """Connect from somebody else's page."""

    async def one(_: int) -> str:
        async with HandshakeClient(served.url, BadUpgrade(wrong="origin")) as client:
            return str(await client.answer(limit=PATIENCE))

    return await _many(20, one)


async def rebinding(served: Served) -> str:
    """Connect from a page whose name was made to point here."""
    request = _upgrade("Host: page.example:8000", "Origin: http://page.example:8000")
    return await _many(20, lambda _: _raw(served, request))


async def guesses(served: Served) -> str:
    """Guess the token, in all three ways."""

    async def one(number: int) -> str:
        guess = f"{TOKEN[: number % len(TOKEN)]}{number}"
        if number % 3 == 0:
            return await _raw(served, _upgrade("Host: 127.0.0.1", f"Authorization: Bearer {guess}"))
        basic = base64.b64encode(f"admin:{guess}".encode()).decode()
        method, path = ("POST", "/api/events") if number % 3 == 1 else ("GET", "/api/stats")
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {basic}\r\n\r\n"
        )
        return await _raw(served, head.encode())

    return await _many(_GUESSES, one)


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

    return await _many(_CROWD, one)


async def flood(served: Served) -> str:
    """Send more messages than anybody types."""
    behaviour = Behaviour(name="flood", faults=(Flood(rate=50_000),))
    return await _many(5, lambda _: _behaving(served, behaviour))


async def empty_frames(served: Served) -> str:
    """Send empty messages by the megabyte."""
    data = encode_frame(TEXT, b"") * 10_000
    return await _many(5, lambda _: _deaf(served, data, times=100))


async def ping_flood(served: Served) -> str:
    """Ask for pongs."""
    behaviour = Behaviour(name="pings", faults=(PingFlood(rate=50_000),))
    return await _many(5, lambda _: _behaving(served, behaviour))


async def deaf_pings(served: Served) -> str:
    """Ask for pongs and do not read them."""
    data = encode_frame(PING, b"x" * 125) * 500
    return await _many(5, lambda _: _deaf(served, data, times=1_000))


async def pong_flood(served: Served) -> str:
    """Answer what was not asked."""
    behaviour = Behaviour(name="pongs", faults=(UnsolicitedPongs(rate=50_000),))
    return await _many(5, lambda _: _behaving(served, behaviour))


async def oversize(served: Served) -> str:
    """Send a message of 16 MiB."""
    behaviour = Behaviour(name="oversize", faults=(Oversize(),))
    return await _many(5, lambda _: _behaving(served, behaviour))


async def endless(served: Served) -> str:
    """Send a message that never ends."""
    fault = EndlessFragments(fragments=400, fragment_bytes=1_000)
    behaviour = Behaviour(name="endless", faults=(fault,))
    return await _many(5, lambda _: _behaving(served, behaviour))


async def empty_fragments(served: Served) -> str:
    """Send a message that never ends, and never grows."""
    data = encode_frame(CONTINUATION, b"", final=False) * 10_000
    first = encode_frame(TEXT, b"", final=False)
    return await _many(5, lambda _: _deaf(served, first + data, times=100))


async def unasked_bomb(served: Served) -> str:
    """Send what inflates to 64 MiB where nobody agreed to compression."""
    payload = zlib.compress(bytes(64 * MIB), 9, wbits=-zlib.MAX_WBITS)
    data = encode_frame(TEXT, payload, compressed=True)
    return await _many(5, lambda _: _deaf(served, data, times=1))


async def agreed_bomb(served: Served) -> str:
    """Send what inflates to 64 MiB where compression was agreed to."""
    behaviour = Behaviour(name="bomb", faults=(DeflateBomb(),))
    return await _many(5, lambda _: _behaving(served, behaviour))


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

    return await _many(5, one)


async def deep_body(served: Served) -> str:
    """Publish JSON that is nested a million deep."""
    body = b"[" * MIB

    async def one(_: int) -> str:
        answer = await served.http.post(
            "/api/events", content=body, headers={"Content-Type": "application/json"}
        )
        return str(answer.status_code)

    return await _many(5, one)


async def unread_answers(served: Served) -> str:
    """Ask for a history of some megabytes, and do not read it."""
    for start in range(0, 5 * _BIG_EVENTS, _BIG_EVENTS):
        await _publish(served, 10_000, start=start)
    request = b"GET /api/streaming-history/big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    async def one(_: int) -> str:
        with contextlib.closing(socket.socket()) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            deaf.setblocking(False)  # noqa: FBT003 - the standard library's signature
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", served.port))
            await loop.sock_sendall(deaf, request)
            before = _dropped_answers(await served.http.get("/metrics"))
            async with asyncio.timeout(PATIENCE):
                while _dropped_answers(await served.http.get("/metrics")) < before + 1:  # noqa: ASYNC110 - the server tells no other way
                    await asyncio.sleep(0.2)
        return "dropped"

    return await _many(20, one)


def _dropped_answers(answer: httpx.Response) -> float:
    name = 'flock_ws_refusals_total{reason="answer_timeout"} '
    return float(answer.text.partition(name)[2].partition("\n")[0])


async def stalled(served: Served) -> str:
    """Connect a thousand readers that do not read."""
    before = (await served.overview())["evicted"]
    opened: list[socket.socket] = []
    loop = asyncio.get_running_loop()

    async def one(_: int) -> None:
        deaf = socket.socket()
        opened.append(deaf)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)  # noqa: FBT003 - the standard library's signature
        await loop.sock_connect(deaf, ("127.0.0.1", served.port))
        await loop.sock_sendall(deaf, _upgrade("Host: 127.0.0.1"))
        await loop.sock_recv(deaf, 12)

    try:
        for _ in range(10):
            await asyncio.gather(*map(one, range(100)))
        evicted = 0
        async with asyncio.timeout(4 * PATIENCE):
            while evicted < len(opened):
                await _publish(served, 2_000)
                now = (await served.overview())["evicted"]
                evicted = round(sum(now.values()) - sum(before.values()))
        return f"evicted x{evicted}"
    finally:
        for deaf in opened:
            deaf.close()


async def _publish(served: Served, size_bytes: int, *, start: int = 0) -> None:
    events = [
        {
            "kind": "StreamingOutputEvent",
            "event": {
                "correlation_id": "c",
                "agent_name": "big",
                "run_id": "r",
                "output_type": "log",
                "content": "." * size_bytes,
                "sequence": start + number,
            },
        }
        for number in range(_BIG_EVENTS)
    ]
    answer = await served.http.post("/api/events", json=events)
    answer.raise_for_status()


_LOCKED = {"FLOCK_WS_READ_TOKEN": TOKEN}
_RATE = "1 000 messages/s, and 100 frames/s beside them"

ATTACKS: tuple[Attack, ...] = (
    Attack(
        name="silent connections",
        tries="200 connect and say nothing",
        held_by="`--handshake-timeout`",
        ends="dropped x200",
        most_bytes=8 * MIB,
        play=silent,
        options=HASTY,
    ),
    Attack(
        name="slow handshake",
        tries="100 send their upgrade byte by byte",
        held_by="`--handshake-timeout`, over the whole request",
        ends="dropped x100",
        most_bytes=8 * MIB,
        play=slowloris,
        options=HASTY,
    ),
    Attack(
        name="slow body",
        tries="100 publish byte by byte",
        held_by="the same: the body belongs to the request",
        ends="dropped x100",
        most_bytes=8 * MIB,
        play=slow_body,
        options=HASTY,
    ),
    Attack(
        name="header bomb",
        tries="20 send a megabyte of headers",
        held_by="16 KiB of headers (h11)",
        ends="status 400 x20",
        most_bytes=8 * MIB,
        play=header_bomb,
    ),
    Attack(
        name="many headers",
        tries="20 send an upgrade with 500 tiny headers",
        held_by="128 headers (websockets), and that its verdict is heard",
        ends="431 x20",
        most_bytes=8 * MIB,
        play=many_headers,
    ),
    Attack(
        name="foreign origin",
        tries="20 connect from somebody else's page",
        held_by="`--allow-origin`: our own alone",
        ends="status 403 x20",
        most_bytes=8 * MIB,
        play=origin,
    ),
    Attack(
        name="name made to point here",
        tries="20 connect from a page whose name was made to point to 127.0.0.1",
        held_by="`--allow-host`: on loopback `localhost` and addresses alone",
        ends="421 x20",
        most_bytes=8 * MIB,
        play=rebinding,
    ),
    Attack(
        name="token guessing",
        tries=f"{_GUESSES} guesses, most of them right in their first letters",
        held_by="16 characters at least, compared in constant time",
        ends=f"401 x{_GUESSES}",
        most_bytes=8 * MIB,
        play=guesses,
        environment=_LOCKED,
    ),
    Attack(
        name="more clients than places",
        tries=f"{_CROWD} connect where 20 and the healthy one may",
        held_by="`--max-clients`: 503, before the handshake",
        ends="status 503 x30, status 101 x20",
        most_bytes=8 * MIB,
        play=too_many,
        options=("--max-clients", "21", "--allow-origin", "*"),
    ),
    Attack(
        name="flood of messages",
        tries="5 send 50 000 messages a second",
        held_by=f"`--max-inbound-rate`: {_RATE}",
        ends="closed 1008 x5",
        most_bytes=8 * MIB,
        play=flood,
    ),
    Attack(
        name="flood of empty messages",
        tries="5 send empty messages by the megabyte",
        held_by="the same, looked at every 4 KiB",
        ends="dropped x5",
        most_bytes=8 * MIB,
        play=empty_frames,
    ),
    Attack(
        name="flood of pings",
        tries="5 send 50 000 pings a second",
        held_by="the same: any frame counts",
        ends="closed 1008 x5",
        most_bytes=8 * MIB,
        play=ping_flood,
    ),
    Attack(
        name="flood of pings, pongs unread",
        tries="5 send pings by the megabyte, and do not read the answers",
        held_by="the same; who does not read is owed 4 KiB of pongs at most",
        ends="dropped x5",
        most_bytes=8 * MIB,
        play=deaf_pings,
    ),
    Attack(
        name="flood of pongs",
        tries="5 send 50 000 pongs a second",
        held_by="the same",
        ends="closed 1008 x5",
        most_bytes=8 * MIB,
        play=pong_flood,
    ),
    Attack(
        name="oversized message",
        tries="5 send a message of 16 MiB",
        held_by="`--max-inbound-bytes`, by the length that is declared",
        ends="closed 1009 x5",
        most_bytes=8 * MIB,
        play=oversize,
    ),
    Attack(
        name="endless message",
        tries="5 send fragments of 1 000 bytes without end",
        held_by="`--max-inbound-bytes`, over all fragments",
        ends="closed 1009 x5",
        most_bytes=8 * MIB,
        play=endless,
    ),
    Attack(
        name="endless message of nothing",
        tries="5 send empty fragments without end",
        held_by="`--max-inbound-rate`; fragments are joined as they come",
        ends="dropped x5",
        most_bytes=8 * MIB,
        play=empty_fragments,
    ),
    Attack(
        name="deflate bomb",
        tries="5 send 64 KiB that inflate to 64 MiB",
        held_by="compression is not agreed to",
        ends="dropped x5",
        most_bytes=8 * MIB,
        play=unasked_bomb,
    ),
    Attack(
        name="deflate bomb, agreed to",
        tries="the same against `--compression`",
        held_by="`--max-inbound-bytes`, of what is inflated, before it is",
        ends="closed 1009 x5",
        most_bytes=8 * MIB,
        play=agreed_bomb,
        options=("--compression",),
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
    Attack(
        name="unread answers",
        tries="20 ask for a history of 5 MB, and do not read it",
        held_by="streamed; dropped `--handshake-timeout` after the last byte taken",
        ends="dropped x20",
        most_bytes=32 * MIB,
        play=unread_answers,
        options=(*HASTY, *PATIENT),
    ),
    Attack(
        name="stalled readers",
        tries="1 000 connect and never read",
        held_by="one log for all, `--send-timeout`, the abort after it",
        ends="evicted x1000",
        most_bytes=160 * MIB,
        play=stalled,
        options=PATIENT,
    ),
)


# Measuring it


@contextlib.contextmanager
def process(*options: str, environment: dict[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """Serve; give port and process id."""
    serving = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "flock_ws", "serve", "--port", "0", *OPTIONS, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line for each eviction: nobody would empty a pipe
        text=True,
        env=os.environ | (environment or {}),
    )
    try:
        line = serving.stdout.readline() if serving.stdout else ""
        if not line:
            raise RuntimeError(f"no server: flock-ws serve {' '.join(options)} did not start")
        yield json.loads(line)["port"], serving.pid
    finally:
        serving.kill()
        serving.communicate()


async def suffer(attack: Attack, *, port: int, pid: int) -> Damage:
    """Play an attack against a server, and tell the damage."""
    headers = {"Authorization": f"Bearer {TOKEN}"} if attack.environment else {}
    # A connection that is kept may be closed by the server at the moment of its next use.
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE, limits=limits
    ) as http:
        served = Served(port=port, pid=pid, http=http)
        async with SocketClient(served.url, headers=headers) as healthy:
            await healthy.wait_received(10, timeout=PATIENCE)
            memory = _Memory(pid)
            most = {"loop_lag": 0.0}
            watching = asyncio.create_task(_watch(served, most))
            try:
                ended = await attack.play(served)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
            grown_bytes = memory.grown_bytes()
            # The overview is cached; this is the worst of the last second or two, and the attack.
            server = (await http.get("/api/stats")).json()["server"]
            most["loop_lag"] = max(most["loop_lag"], server["loop_lag"])
            await healthy.wait_received(healthy.received_messages + 10, timeout=PATIENCE)
            return Damage(
                ended=ended,
                grown_bytes=grown_bytes,
                loop_lag=most["loop_lag"],
                missed=_missed(healthy),
                healthy=healthy.connected,
            )


class _Memory:
    """The resident size of a process, and its high-water mark from now on."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        (self._process / "clear_refs").write_text("5", encoding="ascii")
        self._before = self._read("VmRSS")

    def grown_bytes(self) -> int:
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        status = (self._process / "status").read_text(encoding="ascii")
        return int(status.partition(f"{name}:")[2].split()[0]) * 1024


async def _watch(served: Served, most: dict[str, float]) -> None:
    while True:
        server = (await served.overview())["server"]
        for name, value in most.items():
            most[name] = max(value, server[name])
        await asyncio.sleep(0.25)


def _missed(healthy: SocketClient) -> int:
    told = [json.loads(payload) for payload, _ in healthy.received]
    numbers = [event["sequence"] for event in told if event["agent_name"] == "synthetic"]
    return sum(later - number != 1 for number, later in itertools.pairwise(numbers))


def row(attack: Attack, damage: Damage) -> str:
    """Return one line of the table."""
    sound = damage.ended == attack.ends and damage.healthy and not damage.missed
    held = sound and damage.grown_bytes <= attack.most_bytes
    return (
        f"| {attack.name} | {attack.tries} | {attack.held_by} | {damage.ended} "
        f"| {damage.grown_bytes / MIB:.1f} of {attack.most_bytes // MIB} MiB "
        f"| {damage.loop_lag * 1_000:.0f} ms |{'' if held else ' **not held** |'}"
    )


def write(rows: list[str]) -> None:
    """Put the rows into the page, in the place of those that are there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    _, _, after = rest.partition("\n\n")
    table = "".join(f"{line}\n" for line in rows)
    PAGE.write_text(f"{before}{HEAD}{table}\n{after}", encoding="utf-8")


def main() -> None:
    """Run the attacks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="attacks with this in their name")
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    arguments = parser.parse_args()
    print(HEAD, end="")
    rows = []
    for attack in ATTACKS:
        if arguments.only not in attack.name:
            continue
        with process(*attack.options, environment=attack.environment) as (port, pid):
            rows.append(row(attack, asyncio.run(suffer(attack, port=port, pid=pid))))
        print(rows[-1], flush=True)
    if arguments.write and len(rows) == len(ATTACKS):
        write(rows)


if __name__ == "__main__":
    main()
