"""What a check on real sockets works with: a served manager, its clients, and what happened."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from simulators import faults
from simulators.behaviours import Behaviour
from simulators.contract import payloads
from simulators.contract.bench import told
from simulators.contract.causes import PublishFailed
from simulators.contract.profile import Profile
from simulators.contract.quiet import Noise
from simulators.contract.registry import Broken, NotOffered, Unmet
from simulators.contract.results import Evidence
from simulators.contract.serving import ServerDied
from simulators.contract.sites import ManagerSite, Site, abort_offered, buffered_bytes
from simulators.contract.visits import BRIEF, Visitor
from simulators.errors import NotSeen
from simulators.tcp.connection import SocketFactory
from simulators.tcp.handshake import ConnectFailed

__all__ = ["PIECE_BYTES", "SocketBench"]

T = TypeVar("T")

PIECE_BYTES = 16_384
"""The size of the events that fill a connection."""

_GRACE = 1.5
_PATIENCE = 3.0
_LOOK = 0.01
_FULL_BYTES = 65_536
_FILL_BYTES = 1_000_000
# A server that is not ours has the kernel's own buffers: about 4 MB of them on loopback.
_FOREIGN_FILL_BYTES = 8_000_000
_FOREIGN_PIECE_BYTES = 65_536
# Of a server that publishes by itself: it and the kernel hold less for a client that does not read,
# if that takes so little at a time.
_ENOUGH_BYTES = 1_000_000
_ENOUGH_WITHIN = 10.0
_THIN_SEGMENT_BYTES = 88
_TURN = 0.3


class SocketBench:
    """A served manager or application, and what a check needs to try it. All waits are bounded.

    Args:
        site: what is served.
        profile: what it promises.
        patience: how many times longer than usual it waits for anything, on a busy machine.

    Attributes:
        grace: seconds by which a busy machine may be late, added to every limit of a promise.
        visitors: every client that was made, in order.
        ticks: when each broadcast was called.
        raised: what broadcasts raised, as text.
        lines: notes for the evidence.
        noise: what the manager logged and printed.
    """

    def __init__(self, site: Site, *, profile: Profile, patience: float = 1.0) -> None:
        self.site = site
        self.profile = profile
        # Who waits for an event that nobody causes waits for longer.
        self.grace = _GRACE * patience + 2 * site.pace.pause
        self._patience = _PATIENCE * patience + 2 * site.pace.pause
        self.visitors: list[Visitor] = []
        self.ticks: list[float] = []
        self.raised: list[str] = []
        self.lines: list[str] = []
        self.noise: Noise | None = None
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last = 0
        self._started = False

    # The server.

    @property
    def managed(self) -> ManagerSite:
        """The manager that is served.

        Raises:
            NotOffered: it is an application, which hides its manager.
        """
        if not isinstance(self.site, ManagerSite):
            raise NotOffered("its manager cannot be reached from outside")
        return self.site

    async def start(self, *, heartbeat: float | None = None) -> None:
        """Serve; with a heartbeat of this interval, or with none."""
        if not self._started:
            self._started = True
            await self.site.start(heartbeat=heartbeat)

    @property
    def form(self) -> str:
        """Whether messages go out as ``text`` or as ``bytes``."""
        return "text" if "text" in self.site.can else "bytes"

    async def end(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LOOK)
        await asyncio.gather(*(visitor.depart() for visitor in self.visitors))
        if self._started:
            await self.site.stop()

    @property
    def now(self) -> float:
        """Seconds since the check began."""
        return self._loop.time() - self._zero

    @property
    def asked_at(self) -> float:
        """When the last broadcast was called."""
        return self.ticks[-1] - self._zero if self.ticks else self.now

    # Clients.

    async def visit(
        self,
        behaviour: Behaviour | None = None,
        *,
        on_message: Callable[[Any, bytes], None] | None = None,
        silent: bool = False,
        socket_factory: SocketFactory | None = None,
    ) -> Visitor:
        """Let a client connect and join.

        Args:
            behaviour: what it does; healthy by default.
            on_message: as `SocketClient` takes it.
            silent: whether nobody waits until it has joined.
            socket_factory: as `SocketClient` takes it.

        Raises:
            Broken: it could not, in time.
        """
        await self.start()
        behaviour = behaviour or Behaviour.healthy()
        number = len(self.visitors) + 1
        same = sum(other.behaviour.name == behaviour.name for other in self.visitors)
        name = f"{behaviour.name}-{same + 1}"
        url = self.site.url(name, number)
        visitor = Visitor(
            url, behaviour, name=name, on_message=on_message, socket_factory=socket_factory
        )
        self.visitors.append(visitor)
        try:
            await visitor.connect(timeout=self._patience)
        except ConnectFailed as error:
            raise Broken(f"{name} could not connect: {error}") from error
        if not silent:
            await self._entered(visitor)
        return visitor

    async def _entered(self, visitor: Visitor) -> None:
        """Wait until the server has let it in."""
        if "server" in self.site.can:

            def entered() -> bool:
                visitor.visit = self.site.visits.get(visitor.name)
                return visitor.visit is not None and (
                    visitor.visit.joined is not None or bool(visitor.visit.errors)
                )

            patience = self._patience if "endpoint" in self.site.can else BRIEF * 4
            seen = await self.until(entered, within=patience)
            visit = visitor.visit
            if visit is not None and visit.errors:
                if isinstance(visit.errors[0], Unmet):
                    raise visit.errors[0]
                raise Broken(f"joining of {visitor.name} raised {told(visit.errors[0])}")
            if not seen and "endpoint" in self.site.can:
                raise Broken(f"joining of {visitor.name} had not returned after {patience:g} s")
        else:
            # Nobody says when a server elsewhere has put a client into its pool.
            await asyncio.sleep(BRIEF * 4)
        visitor.entered = self._loop.time()

    async def healthy(self, count: int) -> list[Visitor]:
        """Let clients join that read everything as it comes."""
        return [await self.visit() for _ in range(count)]

    async def stalled(self) -> Visitor:
        """Let a client join that stops reading at once, until it is told to `resume`."""
        behaviour = Behaviour(name="stalled", faults=(faults.StalledReader(),))
        thin = self.site.server is None
        return await self.visit(behaviour, socket_factory=_thin_socket if thin else None)

    async def stalled_together(self, count: int) -> list[Visitor]:
        """Let clients join that stop reading at once.

        One after the other; to a server elsewhere, of which nobody knows when a client is in, all
        at once: each would be waited for.
        """
        if self.site.server is not None:
            return [await self.stalled() for _ in range(count)]
        await self.start()
        return list(await asyncio.gather(*(self.stalled() for _ in range(count))))

    # Broadcasts.

    def next_number(self) -> int:
        """Return the number of the next event."""
        self._last += 1
        return self._last

    def broadcast_soon(self, number: int | None = None, *, text: str = "") -> asyncio.Task[None]:
        """Start a broadcast as a task of its own. What it raises is noted, and goes no further."""
        number = self.next_number() if number is None else number
        self.ticks.append(self._loop.time())
        task = asyncio.create_task(self._broadcast(number, text))
        self._tasks.add(task)
        return task

    async def _broadcast(self, number: int, text: str) -> None:
        try:
            await self.site.broadcast(number, text=text)
        except (PublishFailed, ServerDied):
            raise
        except Exception as error:  # noqa: BLE001  # whatever a manager raises is evidence
            self.raised.append(
                f"broadcast of message {number} raised {told(error)} at {self.now:.1f} s"
            )

    async def broadcast(self, *, text: str = "", within: float | None = None) -> int:
        """Broadcast the next event, wait for it, and return its number.

        Raises:
            Broken: it did not return in time.
        """
        number = self.next_number()
        await self.wait(self.broadcast_soon(number, text=text), within=within)
        return number

    async def wait(self, *tasks: asyncio.Task[None], within: float | None = None) -> None:
        """Wait for broadcasts that were started.

        Raises:
            Broken: one does not return in time.
        """
        within = self._patience if within is None else within
        end = self._loop.time() + within
        late: set[asyncio.Task[None]] = set(tasks)
        while late and self._loop.time() < end:
            _, late = await asyncio.wait(late, timeout=min(within, _LOOK * 10))
            self._check()
        if late and self.site.pace.by_itself:
            raise Unmet(f"the server published nothing for {within:.1f} s")
        if late:
            raise Broken(f"a broadcast had not returned after {within:g} s")
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def fill(self, stuck: Visitor) -> list[int]:
        """Broadcast until what is sent to a client that does not read has to wait.

        Returns:
            The numbers of the events.

        Raises:
            Unmet: its connection took everything.
        """
        if self.site.server is None:
            listens = self.site.pace.by_itself
            return await (self._wait_for_enough() if listens else self._send_enough())
        numbers: list[int] = []
        until = self.now + 2 * self.grace
        while True:
            done = await self._one_more(numbers, PIECE_BYTES)
            if self.is_full(stuck) or (not done and await self._is_stuck(stuck)):
                # The next one finds no room.
                number = self.next_number()
                self.broadcast_soon(number, text="x" * PIECE_BYTES)
                return [*numbers, number]
            if len(numbers) * PIECE_BYTES >= _FILL_BYTES or self.now > until:
                raise Unmet(
                    f"{stuck.name} does not read, and nothing piled up for it though "
                    f"{len(numbers)} events of {PIECE_BYTES} bytes were broadcast" + self._aside()
                )

    async def _send_enough(self) -> list[int]:
        """Broadcast more than can wait unseen between a server elsewhere and its client."""
        numbers: list[int] = []
        while len(numbers) * _FOREIGN_PIECE_BYTES < _FOREIGN_FILL_BYTES:
            await self._one_more(numbers, _FOREIGN_PIECE_BYTES)
        return numbers

    async def _wait_for_enough(self) -> list[int]:
        """Wait until a server that publishes by itself has sent a lot, or holds everybody up."""
        numbers: list[int] = []
        until = self.now + _ENOUGH_WITHIN
        limit = (self.profile.send_timeout or 0.0) + self.grace
        before = self._taken_bytes()
        in_time = True
        while in_time and self.now < until and self._taken_bytes() - before < _ENOUGH_BYTES:
            in_time = await self._one_more(numbers, 0, within=limit)
        return numbers

    async def lost_something(self, stuck: Visitor) -> bool:
        """Let a client read again; return whether it was closed, or has not had every event."""
        stuck.resume()
        await self.until_seen(stuck, self._last, within=2 * self.grace)
        return stuck.closed is not None or len(set(self.numbers(stuck))) < self._last

    def _taken_bytes(self) -> int:
        return max((visitor.received_bytes for visitor in self.visitors), default=0)

    async def _one_more(self, numbers: list[int], size: int, *, within: float = _TURN) -> bool:
        """Broadcast one more event, note its number, and return whether that was done in time."""
        numbers.append(self.next_number())
        task = self.broadcast_soon(numbers[-1], text="x" * size)
        await asyncio.wait({task}, timeout=within)
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error
        return task.done()

    async def _is_stuck(self, visitor: Visitor) -> bool:
        """Whether what is held for a client has come to a standstill, little as it may be."""
        before = self.held_bytes(visitor)
        await asyncio.sleep(2 * BRIEF)
        return bool(before) and before == self.held_bytes(visitor)

    def is_full(self, visitor: Visitor) -> bool:
        """Whether the server can write nothing more to a client, or has dropped it."""
        held = self.held_bytes(visitor)
        return held is None or held > _FULL_BYTES

    def held_bytes(self, visitor: Visitor) -> int | None:
        """Return what the server holds for a client; None when its connection is gone."""
        if self.site.server is None or visitor.visit is None:
            return 0
        return buffered_bytes(self.site.server, visitor.visit.port)

    def abort_offered(self, visitor: Visitor) -> bool:
        """Whether the server lets an application drop this connection at once."""
        return abort_offered(visitor.visit)

    # What can be seen.

    async def is_out(self, visitor: Visitor) -> bool:
        """Whether the manager has dropped a client, as far as that can be seen."""
        visit = visitor.visit
        if visit is None:
            return visitor.closed is not None
        members = await self.within(self.site.members(), what="a look at the pool")
        if members is not None:
            return not any(member is visit.websocket for member in members)
        dropped = bool(visit.closes) or visit.left is not None or visit.failed
        return dropped and not visit.waiting

    def numbers(self, visitor: Visitor) -> list[int]:
        """Return the numbers of the messages that a client has taken, in their order."""
        return self.site.numbers(message for message, _ in visitor.received)

    def pings(self, visitor: Visitor) -> list[float]:
        """Return when a client took an application's ping."""
        return [time for message, time in visitor.received if self._is_ping(message)]

    def _is_ping(self, message: str | bytes) -> bool:
        form = self.profile.ping
        if payloads.number_of(message) is not None:
            return False
        if form is None or isinstance(form, str):
            return message == form
        try:
            said = json.loads(message)
        except ValueError:
            return False
        return isinstance(said, dict) and all(said.get(key) == form[key] for key in form)

    # Time.

    async def until(self, condition: Callable[[], bool], *, within: float) -> bool:
        """Wait until something holds, and return whether it does."""
        end = self._loop.time() + within
        while not condition():
            if self._loop.time() >= end:
                return False
            self._check()
            await asyncio.sleep(_LOOK)
        return True

    async def until_seen(self, visitor: Visitor, number: int, *, within: float) -> bool:
        """Wait until a client has this event, or its connection has ended."""
        return await self.until(
            lambda: number in self.numbers(visitor) or visitor.closed is not None, within=within
        )

    async def until_counted(self, visitor: Visitor, count: int, *, within: float) -> bool:
        """Wait until a client has so many events."""
        return await self.until(lambda: len(self.numbers(visitor)) >= count, within=within)

    async def until_out(self, visitor: Visitor, *, within: float) -> bool:
        """Wait until a client is out, and return whether it is."""
        end = self._loop.time() + within
        while not await self.is_out(visitor):
            if self._loop.time() >= end:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def until_closed(self, visitor: Visitor, *, within: float) -> bool:
        """Wait until a client has heard that its connection ended."""
        with contextlib.suppress(NotSeen):
            await visitor.wait_closed(timeout=within)
        return visitor.closed is not None

    async def within(self, work: Awaitable[T], *, what: str, seconds: float | None = None) -> T:
        """Wait for a call of the manager.

        Raises:
            Broken: it raised, or had not returned in time.
        """
        seconds = self._patience if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await work
        except ServerDied:
            raise
        except TimeoutError as error:
            if limit.expired():
                raise Broken(f"{what} had not returned after {seconds:g} s") from error
            raise Broken(f"{what} raised {told(error)}") from error
        except Exception as error:
            self._check()
            raise Broken(f"{what} raised {told(error)}") from error

    def _check(self) -> None:
        if self.site.server is not None and self._started:
            self.site.server.check()

    # Verdicts.

    def expect(self, kept: object, message: str) -> None:
        """Go on if something is as promised.

        Raises:
            Broken: it is not.
        """
        if not kept:
            self._check()
            raise Broken(message + self._aside())

    def met(self, happened: object, message: str) -> None:
        """Go on if the fault that the check wanted took place.

        Raises:
            Unmet: it did not.
        """
        if not happened:
            self._check()
            raise Unmet(message + self._aside())

    def offered(self, there: object, message: str) -> None:
        """Go on if the manager makes the promise.

        Raises:
            NotOffered: it does not.
        """
        if not there:
            raise NotOffered(message)

    def _aside(self) -> str:
        return f" ({self.raised[0]})" if self.raised else ""

    def evidence(self, *, more: Iterable[str] = ()) -> Evidence:
        """Draw what happened up to now."""
        until = max(self._loop.time(), self._zero + 0.001)
        shown = [visitor for visitor in self.visitors if visitor.connected_at is not None]
        return Evidence(
            lanes=tuple(visitor.lane(zero=self._zero, until=until) for visitor in shown[:40]),
            ticks=tuple(round(max(0.0, tick - self._zero), 4) for tick in self.ticks[:2_000]),
            lines=(*self.raised[:5], *self.lines, *more),
            ends_at=round(until - self._zero, 4),
        )


def _thin_socket(family: int, kind: int, protocol: int) -> socket.socket:
    """Make a socket whose peer sends so little at a time that it holds little for it."""
    made = socket.socket(family, kind, protocol)
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _THIN_SEGMENT_BYTES)
    return made
