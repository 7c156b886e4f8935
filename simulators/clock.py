"""Virtual time: an event loop whose clock jumps to the next thing that happens.

`SimLoop` runs ordinary asyncio code: tasks, timeouts, queues, task groups. Its clock stands still
while anything is ready, then moves exactly to the next timer. Twenty-four hours of heartbeats take
a fraction of a second, and the same seed gives the same run.

It does no I/O: sockets, threads, subprocesses and signals are refused by name (`SimRefused`).
`simulators.runs` has the everyday ways in: `simulate`, `sim_test`, `sim_runner`.
"""

import asyncio
import heapq
import itertools
import math
import threading
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context
from random import Random
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack

from simulators.errors import (
    OptionError,
    SimDeadlock,
    SimHorizonReached,
    SimRefused,
    SimStepLimit,
    SimulatorError,
)
from simulators.whereabouts import waiting

__all__ = ["DEFAULT_HORIZON", "Interleaving", "SimLoop"]

Interleaving = Literal["fifo", "random"]

DEFAULT_HORIZON = 100_000.0
"""Seconds of virtual time that a run may take unless told otherwise: a day and some hours. Without
a limit a test that waits for ever beside a running heartbeat would never end."""

_STANDSTILL_STEPS = 10_000_000
_WATCHED_STEPS = 1_000
# After a limit was hit, what is left must still be able to end: cancelled tasks run their cleanup.
_GRACE = 3_600.0
_GRACE_STEPS = 100_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _refuse(name: str, why: str) -> Any:
    def refused(*_: object, **__: object) -> Any:
        raise SimRefused(
            f"SimLoop runs in virtual time: {name} {why}; replace it by a fake in this test, "
            "or run the test on a real event loop"
        )

    refused.__name__ = name
    return refused


_THREAD = "would wait for a real thread"
_NETWORK = "would wait for a real network"
_FILE = "would wait for a real file descriptor"
_PROCESS = "would wait for a real process"


class SimLoop(asyncio.BaseEventLoop):
    """An asyncio event loop in virtual time.

    It does not model how long code takes: computing is free, only waiting takes time. Timers with
    equal deadlines fire in the order in which they were set.

    Args:
        seed: the only source of randomness: the same seed gives the same run.
        interleaving: ``fifo`` runs everything in asyncio's own order. ``random`` permutes, by the
            seed, task steps that are ready together, and timers that fire together; plain
            callbacks keep their places, because asyncio itself relies on them.
        start: what the clock shows at first, in seconds.
        horizon: the clock may not move further than this many seconds from `start`; None for no
            limit.
        max_steps: how many callbacks may run in all; None for no limit. Ten million callbacks
            without the clock moving are an error in any case.
    """

    _ready: deque[asyncio.Handle]
    _stopping: bool
    _debug: bool
    _closed: bool = True  # until the constructor has run: the destructor asks
    _thread_id: int | None
    _current_handle: asyncio.Handle | None

    def __init__(
        self,
        *,
        seed: int = 0,
        interleaving: Interleaving = "fifo",
        start: float = 0.0,
        horizon: float | None = DEFAULT_HORIZON,
        max_steps: int | None = None,
    ) -> None:
        if interleaving not in ("fifo", "random"):
            raise OptionError(f"interleaving must be 'fifo' or 'random', not {interleaving!r}")
        if horizon is not None and not (_is_number(horizon) and horizon >= 0):
            raise OptionError(f"horizon must be at least 0 seconds or None, not {horizon!r}")
        if max_steps is not None and not (_is_number(max_steps) and max_steps >= 1):
            raise OptionError(f"max_steps must be at least 1 or None, not {max_steps!r}")
        if not (_is_number(start) and math.isfinite(start)):
            raise OptionError(f"start must be a finite number of seconds, not {start!r}")
        super().__init__()
        self._now = float(start)
        self.seed = seed
        self.interleaving = interleaving
        self.numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        """Running numbers by kind, from 1, for stable names; ``next(loop.numbers["client"])``."""
        self._horizon = horizon
        self._end = math.inf if horizon is None else self._now + horizon
        self._max_steps: float = math.inf if max_steps is None else max_steps
        self._steps = 0
        self._standstill: float = _STANDSTILL_STEPS
        self._watch_from: float = min(self._max_steps, self._standstill) - _WATCHED_STEPS
        self._ran: Counter[str] = Counter()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_numbers = itertools.count()
        self._cancelled_timers = 0
        self._until: float | None = None
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._births: list[weakref.ref[asyncio.Task[Any]]] = []
        self._births_limit = 256
        self._refused: str | None = None
        self._streams: dict[str, Random] = {}
        self._permute = self.random("schedule") if interleaving == "random" else None

    def __repr__(self) -> str:
        """Show the clock, the seed and the state."""
        state = "closed" if self._closed else "running" if self.is_running() else "stopped"
        return f"<SimLoop at {self._now:g} s, seed {self.seed}, {self.interleaving}, {state}>"

    # What a tester asks of it.

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    @property
    def steps(self) -> int:
        """How many callbacks have run."""
        return self._steps

    def random(self, name: str) -> Random:
        """Return the random stream of this name: ``schedule``, ``faults``, ``data``, or your own.

        Streams of one seed are independent: drawing from one does not change another.
        """
        stream = self._streams.get(name)
        if stream is None:
            # Seeding with a string hashes it with SHA-512, so PYTHONHASHSEED has no say.
            stream = self._streams[name] = Random(f"{self.seed}/{name}")
        return stream

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that have not ended, in the order in which they were created."""
        known = [task for birth in self._births if (task := birth()) is not None]
        living = asyncio.all_tasks(self)
        others = living.difference(known)
        return [
            *(task for task in known if task in living),
            *sorted(others, key=lambda task: task.get_name()),
        ]

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, running all that falls due on the way, each at its time.

        For synchronous tests, while the loop does not run; inside a coroutine
        ``await asyncio.sleep(seconds)`` is the same. Nothing due is left when it returns.
        """
        if not (_is_number(seconds) and 0 <= seconds < math.inf):
            raise OptionError(f"advance takes a finite number of seconds from 0, not {seconds!r}")
        if self.is_running():
            raise SimulatorError(
                "the loop is running: advance() and run_until_idle() are for synchronous code; "
                "await asyncio.sleep(seconds) or loop.wait_idle() instead"
            )
        self._until = self._now + seconds
        try:
            self.run_forever()
        finally:
            self._until = None

    def block(self, seconds: float) -> None:
        """Let time go by while nothing runs, as code that computes or sleeps without awaiting does.

        Timers that fall due meanwhile fire late, in their order.
        """
        if not (_is_number(seconds) and 0 <= seconds < math.inf):
            raise OptionError(f"block takes a finite number of seconds from 0, not {seconds!r}")
        self._now += seconds

    def run_until_idle(self) -> None:
        """Run all that is ready or due now, until nothing is. The clock does not move."""
        self.advance(0)

    async def wait_idle(self) -> None:
        """Wait until everybody else waits for the clock or for another. The clock does not move."""
        waiter = self.create_future()
        self._idle_waiters.append(waiter)
        await waiter

    # What asyncio asks of it.

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call in the next turn of the loop, in order."""
        if self._debug or self._closed:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call in the next turn; only from the loop's own thread, as a signal handler does."""
        if self._thread_id not in {None, threading.get_ident()}:
            self._refused = threading.current_thread().name
            raise SimRefused(
                "SimLoop runs in virtual time and does not wait for threads: call_soon_threadsafe "
                f"was called from {self._refused}"
            )
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call when the clock shows `when`; at once if it has passed, never if it is infinite."""
        if math.isnan(when):
            raise ValueError("a timer's deadline must be a number of seconds, not NaN")
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if self._cancelled_timers > _WATCHED_STEPS and (
            self._cancelled_timers * 2 > len(self._timers)
        ):
            self._timers = [entry for entry in self._timers if not entry[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001  # asyncio's own mark: cancel() then reports here
        heapq.heappush(self._timers, (when, next(self._timer_numbers), timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call in `delay` seconds of virtual time."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **options: Any
    ) -> asyncio.Task[T]:
        """Start a task. Tasks without a name are numbered for each loop, so that traces agree."""
        if options.get("name") is None:
            options["name"] = f"Task-{next(self.numbers['task'])}"
        if self._debug or self._closed or self.get_task_factory() is not None:
            task = super().create_task(coro, **options)
        else:
            # As asyncio itself does then, at half the cost.
            task = asyncio.Task(coro, loop=self, **options)
        if len(self._births) >= self._births_limit:
            self._births = [
                birth for birth in self._births if (old := birth()) is not None and not old.done()
            ]
            self._births_limit = max(256, 2 * len(self._births))
        self._births.append(weakref.ref(task))
        return task

    def close(self) -> None:
        """Close the loop. Tasks that were left, and could not be ended, make no noise later."""
        if not self._closed and not self.is_running():
            for task in self.tasks():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # an error has named them
            self._timers.clear()
        super().close()

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if handle._scheduled:  # noqa: SLF001  # asyncio's own mark
            self._cancelled_timers += 1

    def _write_to_self(self) -> None:
        """Nothing sleeps in a selector, so nothing has to be woken."""

    def _process_events(self, event_list: object) -> None:
        """Nothing comes from a selector."""

    # The turn of the loop.

    def _run_once(self) -> None:
        ready = self._ready
        if self._timers and self._timers[0][0] <= self._now:
            self._collect_due()
        if not ready and not self._stopping:
            self._move_clock()
        count = len(ready)
        if count > 1 and self._permute is not None:
            self._permute_steps(self._permute)
        if self._debug or self._steps + count > self._watch_from:
            self._run_watched(count)
            return
        self._steps += count
        for _ in range(count):
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001  # as in asyncio: a call for each would double the cost
                handle._run()  # noqa: SLF001  # a loop runs its handles

    def _collect_due(self) -> None:
        timers, now = self._timers, self._now
        due = []
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  # asyncio's own mark
            if timer.cancelled():
                self._cancelled_timers -= 1
            else:
                due.append(timer)
        if self._permute is not None:
            self._permute.shuffle(due)
        self._ready.extend(due)

    def _move_clock(self) -> None:
        if self._idle_waiters:
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
            if self._ready:
                return
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        when = timers[0][0] if timers else math.inf
        if self._until is not None and when > self._until:
            self._now = self._until
            self._stopping = True
            return
        if when == math.inf:
            tried = f"; {self._refused} tried to" if self._refused else ""
            raise SimDeadlock(
                f"at {self._now:g} s nothing is ready and no timer is set (and no thread, socket "
                f"or signal can wake a SimLoop{tried})",
                time=self._now,
                waiting=waiting(self.tasks()),
            )
        if when > self._end:
            horizon, self._end = self._horizon, self._now + _GRACE
            raise SimHorizonReached(
                f"at {self._now:g} s the next timer, at {when:g} s, lies beyond the horizon of "
                f"{horizon:g} s; pass a larger horizon if this run is meant to last longer",
                time=self._now,
                waiting=waiting(self.tasks()),
            )
        self._now = when
        self._standstill = self._steps + _STANDSTILL_STEPS
        self._watch_from = min(self._max_steps, self._standstill) - _WATCHED_STEPS
        self._collect_due()

    def _permute_steps(self, stream: Random) -> None:
        handles = list(self._ready)
        start = 0
        for end in range(1, len(handles) + 1):
            if end < len(handles) and _is_step(handles[end]) and _is_step(handles[start]):
                continue
            if end - start > 1:
                run = handles[start:end]
                stream.shuffle(run)
                handles[start:end] = run
            start = end
        self._ready.clear()
        self._ready.extend(handles)

    def _run_watched(self, count: int) -> None:
        """Run a turn in debug mode or near a limit: slower, and it knows what runs."""
        for _ in range(count):
            if self._steps >= min(self._max_steps, self._standstill):
                self._stop_running_away()
            handle = self._ready.popleft()
            self._steps += 1
            if handle.cancelled():
                continue
            if self._steps > self._watch_from:
                self._ran[_name_of(handle)] += 1
            self._current_handle = handle
            try:
                handle._run()  # noqa: SLF001  # a loop runs its handles
            finally:
                self._current_handle = None

    def _stop_running_away(self) -> None:
        if self._steps >= self._max_steps:
            message = f"at {self._now:g} s {self._steps} callbacks had run, the limit of max_steps"
        else:
            message = (
                f"the clock stands still at {self._now:g} s: {_STANDSTILL_STEPS} callbacks ran"
            )
        most = tuple(self._ran.most_common(3))
        self._ran.clear()
        if self._max_steps < math.inf:
            self._max_steps = self._steps + _GRACE_STEPS
        self._standstill = self._steps + _GRACE_STEPS
        self._watch_from = min(self._max_steps, self._standstill) - _WATCHED_STEPS
        raise SimStepLimit(message, time=self._now, most=most)

    # What would need the real world. Callers that can do without it expect NotImplementedError.

    run_in_executor = _refuse("run_in_executor", _THREAD)
    set_default_executor = _refuse("set_default_executor", _THREAD)
    getaddrinfo = _refuse("getaddrinfo", _THREAD)
    getnameinfo = _refuse("getnameinfo", _THREAD)
    add_reader = _refuse("add_reader", _FILE)
    add_writer = _refuse("add_writer", _FILE)
    connect_read_pipe = _refuse("connect_read_pipe", _FILE)
    connect_write_pipe = _refuse("connect_write_pipe", _FILE)
    add_signal_handler = _refuse("add_signal_handler", "would wait for a real signal")
    subprocess_exec = _refuse("subprocess_exec", _PROCESS)
    subprocess_shell = _refuse("subprocess_shell", _PROCESS)
    create_connection = _refuse("create_connection", _NETWORK)
    create_server = _refuse("create_server", _NETWORK)
    create_unix_connection = _refuse("create_unix_connection", _NETWORK)
    create_unix_server = _refuse("create_unix_server", _NETWORK)
    create_datagram_endpoint = _refuse("create_datagram_endpoint", _NETWORK)
    connect_accepted_socket = _refuse("connect_accepted_socket", _NETWORK)
    start_tls = _refuse("start_tls", _NETWORK)
    sendfile = _refuse("sendfile", _NETWORK)
    sock_accept = _refuse("sock_accept", _NETWORK)
    sock_connect = _refuse("sock_connect", _NETWORK)
    sock_recv = _refuse("sock_recv", _NETWORK)
    sock_recv_into = _refuse("sock_recv_into", _NETWORK)
    sock_recvfrom = _refuse("sock_recvfrom", _NETWORK)
    sock_recvfrom_into = _refuse("sock_recvfrom_into", _NETWORK)
    sock_sendall = _refuse("sock_sendall", _NETWORK)
    sock_sendfile = _refuse("sock_sendfile", _NETWORK)
    sock_sendto = _refuse("sock_sendto", _NETWORK)

    def remove_reader(self, fd: object) -> bool:  # noqa: ARG002  # asyncio's signature
        """Return False: there was none."""
        return False

    def remove_writer(self, fd: object) -> bool:  # noqa: ARG002  # asyncio's signature
        """Return False: there was none."""
        return False

    def remove_signal_handler(self, sig: int) -> bool:  # noqa: ARG002  # asyncio's signature
        """Return False: there was none."""
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_step(handle: asyncio.Handle) -> bool:
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001  # only a handle knows what it runs
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def _name_of(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001  # only a handle knows what it runs
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        code = getattr(owner.get_coro(), "__qualname__", "?")
        return f"{owner.get_name()} ({code})"
    return getattr(callback, "__qualname__", None) or repr(callback)
