"""How the connections of members come and go, on the engine's loop."""

import asyncio
import contextlib
import random
import time
from typing import Any
from urllib.parse import quote

from loadtests.intake import Intake
from loadtests.members import Member
from loadtests.plan import Plan
from loadtests.record import ReturnRecord
from loadtests.tls import client_context
from simulators import faults
from simulators.errors import SimulatorError
from simulators.records import Closed
from simulators.sockets import SocketClient
from simulators.tcp.connection import hearken
from simulators.tcp.frames import CLOSE, parse_close

__all__ = ["Lives"]

_CONNECT_LIMIT = 10.0
_TRY_AGAIN = 0.25
# A peer that has said its last word and been answered ends the connection within moments.
_LAST_WORDS = 1.0
_RETURNS_KEPT = 1_000
_AT_ONCE = faults.SlowReader(bytes_per_second=1e9, chunk_bytes=65_536)
# Who reads now and then must be able to catch up in between: through the smallest window loopback
# carries less than what is published.
_CATCHES_UP = 8
_READS_BADLY = faults.SlowReader | faults.StalledReader | faults.PulsingReader | faults.HalfOpen


class Lives:
    """Begins and ends the connections of the members.

    After the server's close frame a client goes on reading until the connection is gone, so that
    whatever the server says after its last word is counted.

    Args:
        plan: where they connect, and with what.
        intake: where the messages go.
        socket_factory: makes an unpatched socket.

    Raises:
        LoadTestError: the certificates that the plan names cannot be used.
    """

    def __init__(self, plan: Plan, intake: Intake, *, socket_factory: Any = None) -> None:
        self._plan = plan
        self._intake = intake
        self._socket_factory = socket_factory
        self._ssl = client_context(plan.url, ca=plan.ca, insecure=plan.insecure)
        self._random = random.Random(plan.tag)

    def begin(self, member: Member) -> None:
        """Let a member connect, and do what its kind does."""
        member.life = asyncio.get_running_loop().create_task(self._live(member))

    async def _live(self, member: Member) -> None:
        began = time.monotonic()
        try:
            member.error = await self._connect(member)
            member.connect_time = time.monotonic() - began if member.error is None else None
        finally:
            member.ready = True
        if member.error is not None:
            return
        leaving = None
        if member.leaves_at is not None:
            loop, wait = asyncio.get_running_loop(), member.leaves_at - time.monotonic()
            leaving = loop.call_later(max(0.0, wait), self.let_go, member)
        if member.kind == "flapping":
            try:
                await self._flap(member)
            finally:
                if leaving is not None and not member.released:
                    leaving.cancel()

    async def _connect(self, member: Member) -> str | None:
        """Connect, and return why that failed; None when it did not."""
        client = self._client(member)
        try:
            await client.connect(timeout=_CONNECT_LIMIT)
        except SimulatorError as error:
            return str(error)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        member.connected_first(client.connected_at)
        vanishes = member.behaviour.fault(faults.HalfOpen)
        if vanishes is not None and member.options.get("deaf"):
            client.after(vanishes.after_seconds or 0.0, self._deafen, client)
        with contextlib.suppress(SimulatorError):  # the server may have closed already
            for message in self._plan.messages:
                client.say(message)
        return None

    def _client(self, member: Member) -> SocketClient:
        plan, behaviour = self._plan, member.behaviour
        url = member.url or plan.url
        if plan.tells_names:
            url += f"{'&' if '?' in url else '?'}client={quote(member.name)}"
        buffer_bytes: int | None = None
        if any(isinstance(fault, _READS_BADLY) for fault in behaviour.faults):
            catches_up = behaviour.fault(faults.PulsingReader) is not None
            buffer_bytes = plan.scenario.receive_buffer_bytes * (_CATCHES_UP if catches_up else 1)
        member.begin()
        member.client = client = SocketClient(
            url,
            behaviour,
            name=member.name,
            receive_buffer_bytes=buffer_bytes,
            headers=plan.headers,
            subprotocol=", ".join(plan.subprotocols) or None,
            ssl=self._ssl if url.startswith("wss:") else None,
            on_message=self._intake.taker(member),
            keep=False,
            socket_factory=self._socket_factory,
        )
        client.on_close = lambda payload: self._end_is_told(member, client, payload)
        return client

    def _end_is_told(self, member: Member, client: SocketClient, payload: bytes) -> None:
        code, reason = parse_close(payload)
        if member.client is not client or member.released:
            client.answer_close(payload)
            return
        if member.closing:
            return
        member.told = Closed(code, reason, client.loop.time())
        member.closing = True
        client.heed_close(payload)
        client.send(CLOSE, payload[:2])
        client.after(_LAST_WORDS, client.hang_up, code, reason)

    def _deafen(self, client: SocketClient) -> None:
        """Let the kernel, too, do nothing more for a client that has vanished."""
        try:
            client.vanish()
        except OSError as error:
            client.unmet["half_open"] = f"its kernel goes on acknowledging: {error}"

    async def _flap(self, member: Member) -> None:
        options = member.options
        await _until(member.turns_at or time.monotonic())
        while not member.released:
            now = self._drop(member)
            member.returns.append(ReturnRecord(dropped_at=now - self._plan.origin))
            if len(member.returns) > _RETURNS_KEPT:
                del member.returns[0]
            spread = float(options.get("spread", 0.0))
            await asyncio.sleep(float(options["down"]) + self._random.uniform(0.0, spread))
            while (why_not := await self._connect(member)) is not None and not member.released:
                member.refused += 1
                member.error = why_not
                await asyncio.sleep(_TRY_AGAIN)
            member.back(time.monotonic() - self._plan.origin)
            await asyncio.sleep(float(options["up"]))

    def _drop(self, member: Member) -> float:
        """End its connection in the way that its options say, and return when."""
        client = member.client
        member.away = True
        if client is None or not client.connected:
            # The server was first.
            return member.closed.time if member.closed else time.monotonic()
        if member.options.get("ends") == "close":
            client.close()
            client.on_close = client.answer_close
            client.loop.call_later(_LAST_WORDS, client.free)
        else:
            client.die()
        return time.monotonic()

    def let_go(self, member: Member) -> None:
        """Close its connection without waiting for it, and let it come back no more."""
        client = member.client
        if client is not None and client.connected:
            member.released = True
            client.close()
        if member.kind == "flapping" or not member.ready:
            member.released = True
            if member.life is not None:
                member.life.cancel()

    def look_again(self, member: Member) -> bool:
        """Let a member that reads badly read well, so that it sees whether its connection ended.

        Returns:
            Whether it does, and did not before.
        """
        client = member.client
        if client is None or client.gate is None or not client.connected:
            return False
        if not client.stalled and client.behaviour.fault(faults.SlowReader) is None:
            return False
        member.looked_again = True
        if client.socket is not None and member.kind == "half_open":
            hearken(client.socket)
        if client.behaviour.fault(faults.SlowReader) is not None:
            client.gate.narrow(_AT_ONCE)
        client.resume()
        return True


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
