"""A random subset of faults for each seed, then healing: whoever was served must converge.

A `Hardship` is drawn from a seed, played on a manager, and ends with every client healed. What
must hold then is the same for every manager: `Endured.complaints` says what does not.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from flock_ws.events import StreamingOutputEvent
from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.events import START, numbered_events
from simulators.faults import (
    BadJson,
    Bandwidth,
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    CloseWithUnread,
    DiesDuringBroadcast,
    DoubleDisconnect,
    DuplicateIdentity,
    Fault,
    FinWithoutClose,
    Flapper,
    Flood,
    HalfClose,
    HalfOpen,
    HoldFrame,
    IgnoresClose,
    JoinsDuringBroadcast,
    Latency,
    LatePong,
    LeavesDuringBroadcast,
    MassDrop,
    NeverPongs,
    PopulationFault,
    PulsingReader,
    ReconnectStorm,
    Reset,
    ResetPeer,
    SendCancelled,
    SendDelay,
    SendHangs,
    SendRaises,
    SendsAfterClose,
    SimultaneousClose,
    Slicer,
    SlowReader,
    StalledReader,
    SwizzleStall,
    UnsolicitedPongs,
    WrongPong,
    WrongType,
)
from simulators.pings import is_ping
from simulators.swarm import Swarm
from simulators.wire import Wire

__all__ = ["Endured", "Hardship"]

_WIRES = (
    Wire.uvicorn(filled=True),
    Wire.uvicorn(),
    Wire.uvicorn_legacy(filled=True),
    Wire.small(),
    Wire(latency=0.03, jitter=0.02, filled=True),
)
_SIZES = (250, 250, 250, 3_000, 20_000)
_LAST_WORDS = 3

# Left out: faults by which a client loses a message that it was sent (black_hole, drop_frame,
# duplicate_frame, limit_data): no manager can make that good, so nothing could be demanded of it.
_CLIENT_FAULTS: tuple[Callable[[Random], Fault], ...] = (
    lambda draw: SlowReader(bytes_per_second=draw.choice([100, 1_000, 100_000])),
    lambda draw: StalledReader(after_messages=draw.randrange(20)),
    lambda draw: StalledReader(after_seconds=draw.uniform(0, 3), resume_after=draw.uniform(0.1, 1)),
    lambda draw: PulsingReader(on=draw.uniform(0.01, 1), off=draw.uniform(0.1, 1)),
    lambda draw: SendDelay(seconds=draw.choice([0.001, 0.1, 0.6])),
    lambda draw: SendRaises(at=draw.randrange(1, 20)),
    lambda draw: SendHangs(at=draw.randrange(1, 20)),
    lambda draw: SendCancelled(at=draw.randrange(1, 20)),
    lambda draw: Reset(after_messages=draw.randrange(20)),
    lambda draw: Reset(after_seconds=draw.uniform(0, 4)),
    lambda draw: FinWithoutClose(after_seconds=draw.uniform(0, 4)),
    lambda draw: CloseWithUnread(after_seconds=draw.uniform(0, 4)),
    lambda draw: HalfClose(after_seconds=draw.uniform(0, 4)),
    lambda draw: HalfOpen(after_seconds=draw.uniform(0, 4)),
    lambda draw: DiesDuringBroadcast(nth=draw.randrange(1, 20)),
    lambda draw: DoubleDisconnect(after_seconds=draw.uniform(0, 4)),
    lambda draw: ClosesMidBroadcast(nth=draw.randrange(1, 20)),
    lambda draw: ClosesWhileBlocked(after_messages=draw.randrange(20), hold=draw.uniform(0.1, 1)),
    lambda _: IgnoresClose(),
    lambda _: SendsAfterClose(),
    lambda _: SimultaneousClose(),
    lambda _: NeverPongs(),
    lambda draw: LatePong(delay=draw.uniform(0, 2)),
    lambda _: WrongPong(),
    lambda _: UnsolicitedPongs(rate=20),
    lambda _: Flood(rate=100),
    lambda _: BadJson(every=0.5),
    lambda _: WrongType(every=0.5),
    lambda draw: Latency(seconds=draw.uniform(0, 0.2), jitter=0.05),
    lambda draw: Bandwidth(bytes_per_second=draw.choice([1_000, 100_000])),
    lambda _: Slicer(piece_bytes=100, pause=0.001),
    lambda draw: HoldFrame(nth=draw.randrange(1, 20), seconds=draw.uniform(0.1, 1)),
    lambda draw: ResetPeer(seconds=draw.uniform(0, 4)),
)
_POPULATION_FAULTS: tuple[Callable[[Random], PopulationFault], ...] = (
    lambda draw: ReconnectStorm(
        clients=draw.randrange(1, 8), window=1.0, jitter=0.2, after_seconds=draw.uniform(0, 3)
    ),
    lambda draw: Flapper(up=draw.uniform(0.1, 1), down=draw.uniform(0.1, 1)),
    lambda _: DuplicateIdentity(connections=3),
    lambda draw: JoinsDuringBroadcast(clients=draw.randrange(1, 4)),
    lambda draw: LeavesDuringBroadcast(clients=draw.randrange(1, 4)),
    lambda draw: MassDrop(fraction=draw.uniform(0.1, 0.9), after_seconds=draw.uniform(0, 4)),
    lambda draw: SwizzleStall(
        clients=draw.randrange(1, 6), stagger=draw.uniform(0, 0.3), after_seconds=draw.uniform(0, 3)
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardship:
    """What one run goes through. Data, and the same for the same seed.

    Attributes:
        seed: what it was drawn from.
        wire: between the manager and every client.
        behaviours: one for each client at the start.
        population: what the clients do together.
        gaps: seconds before each event; some come together.
        size_bytes: how large an event is.
        cancelled: the events, by number, whose publisher is cancelled while it waits.
    """

    seed: int
    wire: Wire
    behaviours: tuple[Behaviour, ...]
    population: tuple[PopulationFault, ...]
    gaps: tuple[float, ...]
    size_bytes: int
    cancelled: frozenset[int]

    @classmethod
    def drawn(cls, seed: int, *, healthy: int = 6, events: int = 40) -> Self:
        """Draw a subset of the faults, with numbers for each.

        Args:
            seed: what everything follows from.
            healthy: how many clients have no fault.
            events: how many are published before the healing, within about five seconds.
        """
        draw = Random(f"{seed}/hardship")
        faults = [make(draw) for make in draw.sample(_CLIENT_FAULTS, draw.randrange(1, 9))]
        kinds = {fault.kind: Behaviour.of(fault) for fault in faults}
        population = draw.sample(_POPULATION_FAULTS, draw.randrange(4))
        mean = draw.choice([0.02, 0.1])
        return cls(
            seed=seed,
            wire=draw.choice(_WIRES),
            behaviours=(*([Behaviour.healthy()] * healthy), *kinds.values()),
            population=tuple(make(draw) for make in population),
            gaps=tuple(draw.choice([0.0, draw.expovariate(1 / mean)]) for _ in range(events)),
            size_bytes=draw.choice(_SIZES),
            cancelled=frozenset(draw.sample(range(events), draw.choice([0, 0, 2]))),
        )

    def describe(self) -> str:
        """Say in one line what happens."""
        faults = [fault for behaviour in self.behaviours for fault in behaviour.faults]
        told = [fault.describe() for fault in (*faults, *self.population)]
        return (
            f"seed {self.seed}: {len(self.behaviours)} clients, {len(self.gaps)} events of "
            f"{self.size_bytes} bytes, {self.wire.describe()}: {'; '.join(told)}"
        )

    async def endure(
        self,
        manager: Any,
        *,
        broadcast: Callable[[StreamingOutputEvent], Awaitable[object]] | None = None,
        abortable: bool = True,
        settle_within: float = 60.0,
    ) -> "Endured":
        """Play it on a manager, heal everybody, publish a little more, and wait until all settle.

        Args:
            manager: as for `Swarm`.
            broadcast: publishes an event; by default ``manager.broadcast``.
            abortable: whether the server lets the manager abort a connection. Without, an evicted
                client that does not read keeps its connection, whatever the manager does.
            settle_within: seconds that this may take in the end.

        Raises:
            NotSeen: it did not settle.
            Exception: what a broadcast raised.
        """
        swarm = Swarm(self.behaviours, manager=manager, wire=self.wire, abortable=abortable)
        endured = Endured(swarm=swarm)
        send = manager.broadcast if broadcast is None else broadcast
        events = numbered_events(size_bytes=self.size_bytes, stamp=lambda: START)

        async def publish() -> None:
            event = next(events)
            endured.texts.append(event.model_dump_json())
            await send(event)

        await swarm.join()
        loop = asyncio.get_running_loop()
        moves = [
            loop.create_task(swarm.play(fault, broadcast=publish)) for fault in self.population
        ]
        published: list[asyncio.Task[None]] = []
        for number, gap in enumerate(self.gaps):
            if gap:
                await asyncio.sleep(gap)
            published.append(loop.create_task(publish()))
            if number in self.cancelled:
                loop.call_later(0.1, published[-1].cancel)
        await asyncio.sleep(swarm.random.uniform(0, 2))
        swarm.heal()
        await asyncio.gather(*moves)
        for result in await asyncio.gather(*published, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        for _ in range(_LAST_WORDS):
            await publish()
        await swarm.settled(timeout=settle_within)
        return endured


@dataclass(slots=True, kw_only=True)
class Endured:
    """What was left after a `Hardship`.

    Attributes:
        swarm: the clients.
        texts: the text of each event, in the order of publication.
    """

    swarm: Swarm
    texts: list[str] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Say what must hold and does not.

        Each client has a part of the events without a gap, a repetition or a change of order; that
        of a living client goes on to the last; no living client met a misuse.
        """
        numbers = {text: number for number, text in enumerate(self.texts)}
        living = set(self.swarm.living)
        found = [f"{failure}" for failure in self.swarm.failures if failure.doing == "leave"]
        for client in self.swarm:
            found += _holes(client, numbers, living=client in living)
        return found


def _holes(client: FakeClient, numbers: dict[str, int], *, living: bool) -> list[str]:
    had = []
    for message in client.messages:
        number = numbers.get(message)
        if number is not None:
            had.append(number)
        elif not is_ping(message):
            return [f"{client!r} had what nobody published: {message[:80]!r}"]
    found = [
        f"{client!r} had event {after} right after event {before}"
        for before, after in itertools.pairwise(had)
        if after != before + 1
    ]
    if living and (not had or had[-1] != len(numbers) - 1):
        found.append(f"{client!r} lives and had the last event {had[-1:] or 'never'}")
    if living and client.misuses:
        found.append(f"{client!r} lives and was misused: {client.misuses[0]}")
    return found
