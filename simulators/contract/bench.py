"""What a check works with: a manager, its clients, and what happened to them."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from simulators.behaviours import Behaviour
from simulators.clock import SimLoop
from simulators.contract import payloads
from simulators.contract.adapters import Adapter
from simulators.contract.profile import Profile
from simulators.contract.quiet import Noise
from simulators.contract.registry import Broken, NotOffered, Unmet
from simulators.contract.results import Evidence
from simulators.contract.witness import Witness
from simulators.whereabouts import waiting
from simulators.wire import Wire

__all__ = ["Bench", "short", "told"]

_PATIENCE = 60.0
_USUAL_TIMEOUT = 0.5


class Bench:
    """A manager in virtual time, and what a check needs to try it.

    Args:
        adapter: how the manager is used.
        profile: what it promises.
        loop: the loop of this run.

    Attributes:
        clients: every client that was made, in order.
        ticks: when each broadcast was called.
        called: the numbers of the messages, in the order in which their broadcasts began.
        raised: what calls of the manager raised, as text with the time.
        lines: notes for the evidence.
        calls: the calls of the manager that are under way, as tasks.
        noise: what it logged and printed.
        slept: the seconds of each ``time.sleep`` on the loop's thread.
    """

    def __init__(self, *, adapter: Adapter, profile: Profile, loop: SimLoop) -> None:
        self.adapter = adapter
        self.profile = profile
        self.loop = loop
        self.clients: list[Witness] = []
        self.ticks: list[float] = []
        self.called: list[int] = []
        self.raised: list[str] = []
        self.lines: list[str] = []
        self.noise: Noise | None = None
        self.slept: list[float] = []
        self.calls: set[asyncio.Task[Any]] = set()
        self._manager: Any = None
        self._pulse = False
        self._own_tasks: set[asyncio.Task[Any]] = set()
        self._numbers: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._tickets: dict[int, Any] = {}

    # The manager.

    def start(self, *, heartbeat: bool = False) -> Any:
        """Make the manager, with a heartbeat or without."""
        self._pulse = heartbeat
        interval = self.profile.heartbeat_interval if heartbeat else None
        self._manager = self.adapter.make(heartbeat=interval)
        if self.adapter.start is not None and self.loop.is_running():
            started = getattr(self._manager, self.adapter.start)()
            if inspect.isawaitable(started):
                # It may be its heartbeat itself, and last until the end.
                self.spawn(_settled(started))
        return self._manager

    @property
    def manager(self) -> Any:
        """The manager; made at its first use."""
        return self._manager if self._manager is not None else self.start()

    def another(self) -> "Bench":
        """Return a bench with a second manager, on the same loop; its clients are shown here."""
        other = Bench(adapter=self.adapter, profile=self.profile, loop=self.loop)
        other.clients = self.clients
        other.ticks = self.ticks
        other.raised = self.raised
        other._numbers = self._numbers
        other.start()
        return other

    @property
    def now(self) -> float:
        """The virtual time."""
        return self.loop.time()

    # Clients.

    def client(self, behaviour: Behaviour | None = None, **options: Any) -> Witness:
        """Make one client, not yet in the pool."""
        behaviour = behaviour or Behaviour.healthy()
        number = self._numbers[behaviour.name] = self._numbers.get(behaviour.name, 0) + 1
        options.setdefault("name", f"{behaviour.name}-{number}")
        options.setdefault("accepted", not self.adapter.accepts)
        made = Witness(behaviour, **options)
        self.clients.append(made)
        return made

    def healthy(self, count: int) -> list[Witness]:
        """Make clients that read everything as it comes."""
        return [self.client() for _ in range(count)]

    def stalled(self, **options: Any) -> Witness:
        """Make a client that stops reading: at once, or as `Behaviour.stalled` takes it."""
        return self.client(Behaviour.stalled(**options))

    def slow(self, *, bytes_per_second: float = 1_000.0, wire: Wire | None = None) -> Witness:
        """Make a client that reads too slowly."""
        options = {} if wire is None else {"wire": wire}
        return self.client(Behaviour.slow(bytes_per_second=bytes_per_second), **options)

    def dead(self, **options: Any) -> Witness:
        """Make a client that dies with a reset: at once, or as `Behaviour.dead` takes it."""
        return self.client(Behaviour.dead(**options))

    def forget(self, *clients: Witness) -> None:
        """Hold these clients no longer, so that a check can see whether the manager does."""
        self.clients = [client for client in self.clients if client not in clients]
        for client in clients:
            self._tickets.pop(hash(client), None)

    async def join(self, *clients: Witness, name: str | None = None, mute: bool = False) -> None:
        """Let clients join, one after the other.

        Args:
            clients: who joins.
            name: who they say they are; by default their own names.
            mute: whether the manager is not told that they answer its pings, if it asks for that.

        Raises:
            Broken: it raised, or did not return.
        """
        for client in clients:
            called = name or client.name
            ticket = await self.call(
                f"{self.adapter.join.method}() of {client.name}",
                self.adapter.call_join,
                self.manager,
                client,
                called,
                self._ids.setdefault(called, 1 + len(self._ids)),
            )
            client.joined = self.now
            if self._pulse and self.profile.pong_timeout is not None and not mute:
                self.spawn(self._listen(client))
            if isinstance(ticket, str | int) and not isinstance(ticket, bool):
                self._tickets[hash(client)] = ticket

    async def _listen(self, client: Witness) -> None:
        """Tell the manager what a client says, as its endpoint does."""
        if self.adapter.said is None:
            return
        said = getattr(self.manager, self.adapter.said)
        while (message := await client.receive())["type"] == "websocket.receive":
            await self.call("what is told of a pong", said, client, message["text"])

    async def leave(self, *clients: Witness, name: str | None = None) -> None:
        """Let clients be removed, one after the other, as their endpoints do.

        Raises:
            Broken: it raised, or did not return.
        """
        for client in clients:
            called = name or client.name
            ticket = self._tickets.get(hash(client), called)
            await self.call(
                f"{self.adapter.leave and self.adapter.leave.method}() of {client.name}",
                self.adapter.call_leave,
                self.manager,
                client,
                ticket,
                self._ids.setdefault(called, 1 + len(self._ids)),
            )
            client.left = self.now

    async def rejoin(self, client: Witness) -> None:
        """Let the peer of a client come back with a new connection."""
        await self.join(self.client(), name=client.name)

    # Broadcasts.

    def message(self, number: int, **options: Any) -> Any:
        """Make the message of this number."""
        return self.adapter.message(number, **options)

    async def broadcast(self, number: int, *, message: Any = None, **options: Any) -> None:
        """Broadcast one message and wait for it. What it raises is noted, and goes no further.

        Raises:
            Broken: it did not return.
        """
        task = self.broadcast_soon(number, message=message, **options)
        await self._finish(task, f"broadcast of message {number}")

    def broadcast_soon(
        self, number: int, *, message: Any = None, **options: Any
    ) -> asyncio.Task[None]:
        """Start a broadcast as a task of its own, as an endpoint does."""
        sent = self.message(number, **options) if message is None else message
        self.ticks.append(self.now)
        return self.spawn(self._broadcast(number, sent))

    async def wait(self, *tasks: asyncio.Task[None]) -> None:
        """Wait for broadcasts that were started.

        Raises:
            Broken: one of them does not return.
        """
        for task in tasks:
            await self._finish(task, "a broadcast")

    def broadcast_now(self, message: Any) -> Awaitable[Any]:
        """Call the broadcast bare: the result is the manager's own awaitable."""
        called = self.adapter.call_broadcast(self.manager, message)
        return called if inspect.isawaitable(called) else _settled(called)

    async def _broadcast(self, number: int, message: Any) -> None:
        self.called.append(number)
        try:
            await _settled(self.adapter.call_broadcast(self.manager, message))
        except Exception as error:  # noqa: BLE001  # whatever a manager raises is evidence
            self.raised.append(
                f"broadcast of message {number} raised {told(error)} at {self.now:g} s"
            )

    async def shutdown(self) -> None:
        """Shut the manager down.

        Raises:
            Broken: it raised, or did not return.
        """
        name = self.adapter.shutdown or "shutdown"
        await self.call(f"{name}()", getattr(self.manager, name))

    def history(self, agent: str = "agent") -> Any:
        """Return what is remembered."""
        return getattr(self.manager, self.adapter.history or "")(agent)

    def members(self) -> list[Any] | None:
        """Return the clients in the pool, or None where it is not public."""
        return self.adapter.members(self.manager)

    def is_member(self, client: Witness) -> bool:
        """Whether it is in the pool, as far as that can be seen: False when it is not public."""
        return any(member is client for member in self.members() or ())

    # Time.

    async def call(
        self, what: str, call: Callable[..., Any], *arguments: Any, within: float = _PATIENCE
    ) -> Any:
        """Call something of the manager and wait for it.

        Raises:
            Broken: it raised, or had not returned `within` seconds.
        """

        async def run() -> Any:
            return await _settled(call(*arguments))

        task = self.spawn(run())
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)
        return await self._finish(task, what, within=within, strict=True)

    async def _finish(
        self,
        task: asyncio.Task[Any],
        what: str,
        *,
        within: float = _PATIENCE,
        strict: bool = False,
    ) -> Any:
        if not task.done():
            await asyncio.wait({task}, timeout=within)
        if not task.done():
            where = waiting([task])[0].where
            task.cancel()
            raise Broken(f"{what} had not returned after {within:g} s: it waits at {where}")
        if task.cancelled():
            if strict:
                raise Broken(f"{what} ended in CancelledError, though nobody cancelled it")
            self.raised.append(f"{what} ended in CancelledError at {self.now:g} s")
            return None
        error = task.exception()
        if error is not None:
            raise Broken(f"{what} raised {told(error)}") from error
        return task.result()

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run something of the check's own as a task, which is no leak of the manager's."""
        task: asyncio.Task[Any] = self.loop.create_task(work)
        self._own_tasks.add(task)
        return task

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def brief(self, seconds: float) -> float:
        """Return a pause that a client may make: as given, or shorter under a short timeout.

        Checks are written for the default send timeout, and for any that is longer.
        """
        timeout = self.profile.send_timeout
        return seconds if timeout is None else seconds * min(1.0, timeout / _USUAL_TIMEOUT)

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self.loop.wait_idle()

    def stuck_tasks(self) -> list[str]:
        """Say where tasks of the manager wait that are being cancelled, or that nobody wakes."""
        return [str(found) for found in waiting(self.foreign_tasks())]

    def foreign_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the living tasks that the check did not start itself."""
        current = asyncio.current_task()
        return [
            task
            for task in self.loop.tasks()
            if task is not current and task not in self._own_tasks
        ]

    # What was seen.

    def numbers(self, client: Witness) -> list[int]:
        """Return the numbers of the messages that a client has read, in their order."""
        found = (payloads.number_of(message) for message, _ in client.received)
        return [number for number in found if number is not None]

    def times(self, client: Witness) -> dict[int, float]:
        """Return when a client had each message first."""
        times: dict[int, float] = {}
        for message, time in client.received:
            number = payloads.number_of(message)
            if number is not None:
                times.setdefault(number, time)
        return times

    def pings(self, client: Witness) -> list[float]:
        """Return when a client read a ping.

        Where nothing of the promised form came, whatever came by itself after it had joined is
        taken for one: the form has a check of its own.
        """
        strict = [time for message, time in client.received if self.is_ping(message)]
        if strict or not self._pulse or client.joined is None:
            return strict
        return [
            time
            for message, time in client.received
            if time > client.joined and payloads.number_of(message) is None
        ]

    def is_ping(self, message: str | bytes) -> bool:
        """Tell a ping from a message."""
        if payloads.number_of(message) is not None:
            return False
        form = self.profile.ping
        if form is None or isinstance(form, str):
            return message == form
        try:
            told = json.loads(message)
        except ValueError:
            return False
        return isinstance(told, dict) and all(told.get(key) == form[key] for key in form)

    def sent_after(self, client: Witness, time: float) -> list[int]:
        """Return the numbers of the messages that were sent to a client later than this."""
        found = (payloads.number_of(attempt.text) for attempt in client.sends_after(time))
        return [number for number in found if number is not None]

    # Verdicts.

    def expect(self, kept: object, message: str) -> None:
        """Go on if something is as promised.

        Raises:
            Broken: it is not. What the manager raised on the way is added.
        """
        if not kept:
            raise Broken(message + self._aside())

    def met(self, happened: object, message: str) -> None:
        """Go on if the fault that the check wanted took place.

        Raises:
            Unmet: it did not.
        """
        if not happened:
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
        until = max(self.now, 1e-3)
        shown = [client for client in self.clients if client.joined is not None or client.sends]
        most = 40
        lines = [*self.raised[:5], *self.lines, *more]
        if len(shown) > most:
            lines.append(f"{len(shown) - most} more clients are not drawn")
        return Evidence(
            lanes=tuple(client.lane(until=until) for client in shown[:most]),
            ticks=tuple(self.ticks[:2_000]),
            lines=tuple(lines),
            ends_at=until,
        )


def short(numbers: list[int]) -> str:
    """Show numbers, the middle of a long row left out."""
    if not numbers:
        return "none"
    most = 14
    shown = [str(number) for number in numbers]
    if len(shown) > most:
        shown = [*shown[: most // 2], "…", *shown[-most // 2 :]]
    return " ".join(shown)


def told(error: BaseException) -> str:
    """Say what an exception was, in one line."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
