"""Populations: many fake clients before one manager, and what they do together.

A `Swarm` makes fake clients by a mix, lets them join a manager, plays the endpoint of each, and
has them storm, flap, drop and stall. The same seed gives the same population and the same moves.
One process holds ten thousand clients.
"""

import asyncio
import dataclasses
import inspect
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from random import Random
from typing import Any, Self, TypedDict, TypeVar, Unpack

from simulators.behaviours import Behaviour, require
from simulators.clients import FakeClient
from simulators.doors import Door
from simulators.endpoints import Endpoints, Failure, result_of
from simulators.errors import NotSeen, OptionError
from simulators.faults import HalfOpen, PopulationFault
from simulators.mixes import Parts, mixed
from simulators.wire import Wire

__all__ = ["Swarm", "SwarmOptions"]

_T = TypeVar("_T")

_COMPLAINTS_SHOWN = 5
_LONGEST_PAUSE = 0.1
# How long a join or leave that waits for the broadcast may keep that broadcast from going on.
_HOLD = 0.1


class SwarmOptions(TypedDict, total=False):
    """What `Swarm.mix` passes on to `Swarm`."""

    manager: Any
    join: Callable[[Any], Any] | None
    leave: Callable[[Any], Any] | None
    seed: int | str | None
    wire: Wire | None
    abortable: bool


class Swarm:
    """Fake clients before one manager.

    Each client that has joined gets an endpoint, as an application would write it: see
    `simulators.endpoints.Endpoints`.

    Not modelled: what an endpoint costs; look-alikes (join them yourself).

    Args:
        behaviours: one client is made for each.
        manager: joined by ``add_client`` or ``connect``, and left by ``remove_client`` or
            ``disconnect``, whichever it has, asynchronous or not. ``connect`` gets clients that
            are not accepted yet, as in FastAPI's tutorial.
        join: instead: called with each client, accepted, when it joins.
        leave: instead: called with each client when it has gone.
        seed: what everything random follows from. By default the stream ``faults`` of the
            `SimLoop` that runs; elsewhere a seed of 0.
        wire: of all clients; see `FakeClient`.
        abortable: as for `FakeClient`.

    Attributes:
        clients: every client ever made, in order.

    Example:
        >>> swarm = Swarm.mix({"healthy": 0.9, "slow": 0.05, "stalled": 0.05}, count=1_000)
        >>> swarm
        <Swarm of 1000 clients: 900 healthy, 50 slow, 50 stalled; 0 living>
    """

    def __init__(
        self,
        behaviours: Iterable[Behaviour] = (),
        *,
        manager: Any = None,
        join: Callable[[Any], Any] | None = None,
        leave: Callable[[Any], Any] | None = None,
        seed: int | str | None = None,
        wire: Wire | None = None,
        abortable: bool = False,
    ) -> None:
        self._endpoints = Endpoints(Door.of(manager, join=join, leave=leave))
        self._wire = wire
        self._abortable = abortable
        self._seeded = seed is not None
        self._random = Random(f"{0 if seed is None else seed}/faults")
        self._numbers: Counter[str] = Counter()
        self._waiting: dict[FakeClient, None] = {}
        self._coming = 0
        self._healed = False
        self.clients: list[FakeClient] = []
        for behaviour in behaviours:
            require(behaviour, wire="in process")
            self.make(behaviour.drawn(self.random.random))

    @classmethod
    def mix(
        cls,
        parts: Parts,
        *,
        count: int | None = None,
        **options: Unpack[SwarmOptions],
    ) -> Self:
        """Make a swarm of several behaviours, in an order that follows from the seed.

        Args:
            parts: how many of each: an int is a number of clients, a float a fraction of `count`.
                The key is a `Behaviour`, or one of ``healthy``, ``slow``, ``stalled``, ``dead``, or
                the kind of a fault that needs no numbers. A fault's toxicity is drawn for each.
            count: how many in all; what `parts` leave is healthy. By default the sum of `parts`.
            **options: see `Swarm`.

        Raises:
            OptionError: the parts are more than the whole, or mean nothing.
        """
        swarm = cls(**options)
        draw = swarm.random
        behaviours = mixed(parts, count=count)
        draw.shuffle(behaviours)
        for behaviour in behaviours:
            swarm.make(behaviour.drawn(draw.random))
        return swarm

    def __repr__(self) -> str:
        """Show how many of each there are."""
        counts = Counter(client.behaviour.name for client in self.clients)
        each = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return (
            f"<Swarm of {len(self.clients)} clients{': ' * bool(each)}{each}; "
            f"{len(self.living)} living>"
        )

    def __len__(self) -> int:
        """Return how many clients were ever made."""
        return len(self.clients)

    def __iter__(self) -> Iterator[FakeClient]:
        """Give every client ever made, in order."""
        return iter(self.clients)

    @property
    def random(self) -> Random:
        """The stream that its moves are drawn from."""
        if self._seeded:
            return self._random
        try:
            stream = getattr(asyncio.get_running_loop(), "random", None)
        except RuntimeError:
            stream = None
        found = stream("faults") if stream is not None else self._random
        return found if isinstance(found, Random) else self._random

    @property
    def failures(self) -> list[Failure]:
        """What the manager raised when a client came or went, unless it reached the caller."""
        return self._endpoints.failures

    @property
    def living(self) -> list[FakeClient]:
        """The clients that have joined and are connected, as far as they know."""
        return [client for client in self._endpoints if client.connected]

    def named(self, behaviour: str) -> list[FakeClient]:
        """Return every client ever made whose behaviour has this name."""
        return [client for client in self.clients if client.behaviour.name == behaviour]

    # Coming and going.

    def make(
        self, behaviour: Behaviour, *, name: str | None = None, wire: Wire | None = None
    ) -> FakeClient:
        """Make one more client, which has not joined yet. In a healed swarm it is healthy."""
        if name is None:
            self._numbers[behaviour.name] += 1
            name = f"{behaviour.name}-{self._numbers[behaviour.name]}"
        client = FakeClient(
            Behaviour(name=behaviour.name) if self._healed else behaviour,
            wire=wire or self._wire,
            name=name,
            accepted=self._endpoints.door.takes_accepted,
            abortable=self._abortable,
        )
        self.clients.append(client)
        self._waiting[client] = None
        return client

    async def join(self, *clients: FakeClient) -> None:
        """Let clients join the manager, one after the other.

        Args:
            *clients: all that have not joined yet, when none is named.

        Raises:
            OptionError: the swarm has no manager.
            Exception: what the manager raised for a client that is connected; if the client was
                dead already, it goes to `failures`.
        """
        for client in clients or list(self._waiting):
            self._waiting.pop(client, None)
            try:
                await self._endpoints.start(client)
            except Exception as error:
                if client.closed is None or isinstance(error, OptionError):
                    raise
                self._endpoints.failed(client, "join", error)

    async def stop(self) -> None:
        """Let all clients leave, and end the endpoints; for the end of a test on a real loop."""
        for client in list(self._endpoints):
            client.leave()
        await self._endpoints.stop(limit=1.0)

    async def _try_join(self, client: FakeClient) -> None:
        self._waiting.pop(client, None)
        await self._endpoints.try_start(client)

    async def _come(self, client: FakeClient, *, after: float) -> None:
        self._coming += 1
        try:
            await asyncio.sleep(after)
            await self._try_join(client)
        finally:
            self._coming -= 1

    def _choose(self, count: int, *, breaking: bool = False) -> list[FakeClient]:
        living = self.living
        if breaking:
            # A client that has vanished can break no more: its server would not notice.
            living = [client for client in living if client.behaviour.fault(HalfOpen) is None]
        return self.random.sample(living, min(count, len(living)))

    # What they do together. Where fewer live than a number asks for, all of them do it.

    async def reconnect_storm(
        self,
        *,
        clients: int,
        window: float = 0.0,
        jitter: float = 0.0,
        same_identity: bool = True,
    ) -> list[FakeClient]:
        """Have so many clients break at once and come back within `window` seconds.

        Args:
            clients: how many.
            window: they come back evenly spread over this time; 0 is together.
            jitter: up to this many seconds more, drawn for each.
            same_identity: they come back under their old names.

        Returns:
            The new clients, when all have come back.
        """
        draw = self.random
        gone = self._choose(clients, breaking=True)
        for client in gone:
            client.die()
        waits = [window * turn / len(gone) + jitter * draw.random() for turn in range(len(gone))]
        draw.shuffle(waits)
        back = [
            self.make(client.behaviour, name=client.name if same_identity else None)
            for client in gone
        ]
        await asyncio.gather(
            *(self._come(client, after=wait) for client, wait in zip(back, waits, strict=True))
        )
        return back

    async def flapper(
        self,
        *,
        up: float,
        down: float,
        times: int | None = None,
        behaviour: Behaviour | None = None,
    ) -> list[FakeClient]:
        """Have one client come, stay `up` seconds, break, stay away `down` seconds, and again.

        Args:
            up: how long it stays.
            down: how long it is away.
            times: how often it comes; None: until the swarm is healed.
            behaviour: what it does while it is there.

        Returns:
            Its connections, all under one name.
        """
        flaps: list[FakeClient] = []
        for turn in itertools.count() if times is None else range(times):
            if turn:
                await asyncio.sleep(down)
            if times is None and self._healed:
                break
            client = self.make(
                behaviour or Behaviour(name="flapper"), name=flaps[0].name if flaps else None
            )
            flaps.append(client)
            await self._come(client, after=0)
            await asyncio.sleep(up)
            client.die()
        return flaps

    async def duplicate_identity(self, *, connections: int = 2) -> list[FakeClient]:
        """Have a client that lives share its name, so that so many have it; return the others."""
        doubles = [
            self.make(client.behaviour, name=client.name)
            for client in self._choose(1)
            for _ in range(connections - 1)
        ]
        for client in doubles:
            await self._try_join(client)
        return doubles

    async def joins_during_broadcast(
        self, broadcast: Callable[[], Awaitable[_T]], *, clients: int = 1
    ) -> _T:
        """Have healthy clients join while a broadcast waits for a client that stalls.

        The stalled client is added for this, goes on reading as soon as they have joined, and
        leaves. What the broadcast returns is returned, and what it raises is raised.

        Raises:
            NotSeen: the broadcast sent nothing to the client that it would wait for.
        """

        def moves() -> list[Coroutine[Any, Any, None]]:
            return [self._try_join(self.make(Behaviour.healthy())) for _ in range(clients)]

        return await self._during(broadcast, moves)

    async def leaves_during_broadcast(
        self, broadcast: Callable[[], Awaitable[_T]], *, clients: int = 1
    ) -> _T:
        """Have clients leave while a broadcast waits for a client that stalls.

        Otherwise as `joins_during_broadcast`.
        """
        leaving = self._choose(clients, breaking=True)
        return await self._during(broadcast, lambda: [self._leave(client) for client in leaving])

    def mass_drop(self, *, fraction: float) -> list[FakeClient]:
        """Have this fraction of the living clients break at once, rounded up; return them."""
        if not 0 < fraction <= 1:
            raise OptionError(f"fraction must be above 0 and at most 1, not {fraction!r}")
        dropped = self._choose(math.ceil(fraction * len(self.living) - 1e-9), breaking=True)
        for client in dropped:
            client.die()
        return dropped

    async def swizzle_stall(self, *, clients: int, stagger: float) -> list[FakeClient]:
        """Have so many clients stop reading one by one, and go on in another order; return them."""
        chosen = self._choose(clients)
        for client in chosen:
            client.stall()
            await asyncio.sleep(stagger)
        for client in self.random.sample(chosen, len(chosen)):
            client.resume()
            await asyncio.sleep(stagger)
        return chosen

    def distinct_addresses(self, *, addresses: int) -> None:
        """Give the clients that wait to join so many addresses in turn, from 127.0.0.2 on."""
        for number, client in enumerate(self._waiting):
            port = client.scope["client"][1]
            client.scope["client"] = (f"127.0.0.{2 + number % addresses}", port)

    async def play(
        self, fault: PopulationFault, *, broadcast: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Do what a fault of a population says, by the method of its kind, after its time.

        Args:
            fault: any of `simulators.faults.population` that exists in process.
            broadcast: what `joins_during_broadcast` and `leaves_during_broadcast` call.

        Raises:
            OptionError: the fault does not exist in process, or `broadcast` is missing.
        """
        if (reason := fault.wires["in process"]) is not True:
            raise OptionError(f"{fault.kind} does not exist in process: {reason}")
        move = getattr(self, fault.kind)
        fields = {field.name: getattr(fault, field.name) for field in dataclasses.fields(fault)}
        await asyncio.sleep(fields.pop("after_seconds", 0))
        if "broadcast" in inspect.signature(move).parameters:
            if broadcast is None:
                raise OptionError(f"{fault.kind} needs broadcast=: what to call for an event")
            fields["broadcast"] = broadcast
        await result_of(move(**fields))

    async def _leave(self, client: FakeClient) -> None:
        client.leave()
        await self._endpoints.wait(client)

    async def _during(
        self,
        broadcast: Callable[[], Awaitable[_T]],
        moves: Callable[[], list[Coroutine[Any, Any, None]]],
    ) -> _T:
        holder = self.make(Behaviour.stalled(), name="holder", wire=Wire.uvicorn(filled=True))
        holder.stall()  # in a healed swarm too
        await self._try_join(holder)
        running = asyncio.ensure_future(_awaited(broadcast))
        try:
            await self._until(lambda: bool(holder.sending) or running.done(), limit=1.0)
            if not holder.sending:
                if running.done():
                    running.result()
                running.cancel()
                raise NotSeen(
                    f"no send to {holder!r} was in flight within 1 s of the broadcast's start, so "
                    "nobody could join or leave during it; does the manager send to its clients?"
                )
            moving = [asyncio.ensure_future(move) for move in moves()]
            if moving:
                # A manager that holds a lock across a send has them wait: then it goes on first.
                await asyncio.wait(moving, timeout=_HOLD)
            holder.resume()
            await asyncio.gather(*moving)
            return await running
        finally:
            holder.resume()
            holder.leave()

    # The end of the hardship.

    def heal(self) -> None:
        """Make every client healthy that still lives, and all that come later."""
        self._healed = True
        for client in self.clients:
            client.heal()

    async def settled(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the limit is part of the error
        """Wait until everybody has what was sent to them, and the pool holds who lives.

        Then nobody is still to come back; no living client has a send in flight or anything
        unread; the endpoint of every other has ended; and the manager's pool, if it shows one as
        ``clients`` or ``active_connections``, holds exactly the living clients.

        Raises:
            NotSeen: not within `timeout` seconds; the message names the clients and what is wrong.
        """
        await self._until(lambda: not self._complaints(), limit=timeout)
        if complaints := self._complaints():
            more = len(complaints) - _COMPLAINTS_SHOWN
            shown = [*complaints[:_COMPLAINTS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
            lines = "".join(f"\n  {complaint}" for complaint in shown)
            raise NotSeen(f"{self!r} had not settled after {timeout:g} s:{lines}")

    async def _until(self, condition: Callable[[], bool], *, limit: float) -> None:
        """Look again and again, a few turns of the loop first, then after longer and longer."""
        loop = asyncio.get_running_loop()
        deadline, turns, pause = loop.time() + limit, 10, 0.001
        # What a foreign manager does fires nothing.
        while not condition() and loop.time() < deadline:
            turns -= 1
            if turns > 0:
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(min(pause, deadline - loop.time()))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _complaints(self) -> list[str]:
        found = [f"{self._coming} clients are still to come back"] if self._coming else []
        pool = self._endpoints.door.pool()
        for client in self._endpoints:
            if not client.connected:
                found.append(f"{client!r} is gone, and its endpoint still receives")
            elif client.sending:
                found.append(f"{client!r} has {client.sending} sends in flight")
            elif client.lag.messages:
                found.append(f"{client!r} has {client.lag.messages} messages unread")
            elif pool is not None and id(client) not in pool:
                found.append(f"{client!r} is connected and not in the pool")
        if pool is not None:
            living = {id(client) for client in self.living}
            found += [
                f"{client!r} is in the pool and not connected"
                for client in self.clients
                if id(client) in pool and id(client) not in living
            ]
        return found


async def _awaited(call: Callable[[], Awaitable[_T]]) -> _T:
    return await call()
