"""The living connection between one server-side WebSocket and one peer, as `Wire` describes it.

Modelled: the server's write buffer with its two water marks, the kernel's buffers, bandwidth,
latency, jitter, a peer that reads slowly or not at all, and the end of the connection. Not
modelled: TCP itself. Nothing is lost or reordered, because on TCP a loss is a stall.
"""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from simulators.wire import Wire

__all__ = ["Lag", "Link", "Signal", "seeded_draw"]

F = TypeVar("F")

# Bandwidth makes fractions of bytes; less than this is none.
_NO_BYTES = 1e-6
# The same for the number of pauses between two chunks.
_NO_STEP = 1e-9


def seeded_draw(loop: asyncio.AbstractEventLoop | None) -> Callable[[], float]:
    """Return what draws numbers for faults: the same for the same seed on a SimLoop."""
    stream: Callable[[str], random.Random] | None = getattr(loop, "random", None)
    return random.random if stream is None else stream("faults").random


class Signal:
    """Wakes everybody who waits at that moment. It remembers nothing."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiters)

    async def wait(self) -> None:
        """Wait for the next `fire`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)

    def fire(self) -> None:
        """Wake them."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


class Lag(NamedTuple):
    """What was sent to a peer and not read by it; ``bytes`` with the headers of the frames."""

    messages: int
    bytes: int


class Link(Generic[F]):
    """One living connection, seen from the server's side: what was written, and what was read.

    Bytes leave the buffers when the wire and the peer's reading have taken them; then they travel
    for the latency. What is under way when the peer stalls is not counted against the buffers.
    A link to a peer that keeps up has no timer and no task; any other has at most two timers.

    Args:
        wire: what it is like.
        read: called with each frame, in order, when the peer has read it, and with the time.
    """

    __slots__ = (
        "_arrivals",
        "_buffer",
        "_drained",
        "_latest",
        "_next_read",
        "_pace",
        "_paused",
        "_read",
        "_settling",
        "_timer",
        "_travelling",
        "_unread_bytes",
        "_unread_messages",
        "_writable",
        "_written",
        "direct",
        "loop",
        "lost_callbacks",
        "on_wait",
        "open",
        "stalled",
        "swallows",
        "watched",
        "wire",
    )

    def __init__(self, wire: Wire, *, read: Callable[[F, float], None]) -> None:
        self.wire = wire
        self.loop: asyncio.AbstractEventLoop | None = None
        self.open = True
        self.stalled = False
        self._unread_messages = 0
        self._unread_bytes = 0
        self.lost_callbacks: list[Callable[[], object]] = []
        self.on_wait: Callable[[str], None] | None = None
        """Called with ``blocked`` and ``unblocked`` when a send begins and ends to wait."""
        self._read = read
        # The peer's own rate and chunk; None when it takes whatever comes.
        self._pace: tuple[float, int] | None = None
        # Frames with the offset at which each ends. None is what a filled wire held before.
        self._buffer: deque[tuple[float, F | None, int]] = deque()
        self._written = 0.0
        self._drained = 0.0
        self._next_read = 0.0
        self._paused = False
        self._writable = Signal()
        self._timer: asyncio.TimerHandle | None = None
        # Frames that travel, with their times of arrival, in order.
        self._arrivals: deque[tuple[float, F, int]] | None = None
        self._travelling: asyncio.TimerHandle | None = None
        self._latest = 0.0
        self._settling = False
        self.swallows = False
        """Whether what is sent from now on disappears, while the sends succeed."""
        self.watched = False
        """Whether somebody wants to see each frame on its way, so that none goes `direct`."""
        self.direct = False
        """Whether a frame sent now is read now: nothing is before it, and nothing holds it up."""
        if wire.filled and wire.bytes_per_second is not None:
            self._fill()
        self._look()

    @property
    def now(self) -> float:
        """The time of the loop it lives on; 0 before it has one."""
        return 0.0 if self.loop is None else self.loop.time()

    @property
    def lag(self) -> Lag:
        """What was written and not read."""
        return Lag(self._unread_messages, self._unread_bytes)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop from now on: its clock counts, also for what is under way."""
        for timer in (self._timer, self._travelling):
            if timer is not None:
                timer.cancel()
        self._timer = self._travelling = None
        if self._arrivals and self.loop is not None:
            later = loop.time() - self.loop.time()
            self._arrivals = deque((at + later, frame, size) for at, frame, size in self._arrivals)
        self.loop = loop
        self._next_read = loop.time()
        self._latest = 0.0
        self._arrive()
        self._settle()

    def watch(self, *, watched: bool) -> None:
        """Set whether somebody wants to see each frame on its way."""
        self.watched = watched
        self._look()

    def swallow(self, *, swallows: bool) -> None:
        """Set whether what is sent from now on disappears, while the sends succeed."""
        self.swallows = swallows
        if swallows and self.open:
            self._paused = False
            self._writable.fire()
        self._look()

    def rewire(self, wire: Wire) -> None:
        """Be like this wire from now on, for what is buffered as well."""
        self._settle()
        self.wire = wire
        self._next_read = max(self._next_read, self.now)
        self._settle()

    # The server's side.

    async def send(self, frame: F, size: int) -> None:
        """Send a frame of this many bytes as the server does: it waits while the buffer is full.

        Raises:
            ConnectionResetError: the connection is gone, or went while it waited.
        """
        if self.swallows:
            self._check_open()
            return
        if self.wire.order == "wait_then_write":
            self._settle()
            if self._paused and self.open:
                await self._wait_writable()
            self._check_open()
            self.write(frame, size)
            return
        self._check_open()
        self.write(frame, size)
        if self._paused:
            # The legacy protocol has room for one waiter, and says so with a bare assertion.
            if len(self._writable):
                raise AssertionError
            await self._wait_writable()
            self._check_open()

    def write(self, frame: F, size: int) -> None:
        """Put a frame into the buffer, whatever it holds."""
        if not self._buffer:
            self._next_read = max(self._next_read, self.now)
        self._written += size
        self._buffer.append((self._written, frame, size))
        self._unread_messages += 1
        self._unread_bytes += size
        self._settle()
        if self._held() > self.wire.high_water_bytes:
            self._paused = True

    def cut(self) -> None:
        """End the connection: waiting sends fail, and what was not read is gone."""
        if not self.open:
            return
        self.open = False
        self._buffer.clear()
        self._arrivals = None
        self._arm()
        self._look()
        self._writable.fire()
        callbacks, self.lost_callbacks = self.lost_callbacks, []
        for callback in callbacks:
            callback()

    async def _wait_writable(self) -> None:
        self._arm(waiting=True)
        told, first = self.on_wait, not len(self._writable)
        if told is not None and first:
            told("blocked")
        try:
            await self._writable.wait()
        finally:
            if told is not None and first:
                told("unblocked")

    def _check_open(self) -> None:
        if not self.open:
            raise ConnectionResetError("the peer is gone")

    # The peer's side.

    def stall(self, *, fill: bool = True) -> None:
        """The peer stops reading; on a filled wire the buffers are full then, if `fill`."""
        if self.stalled or not self.open:
            return
        self._settle()
        self.stalled = True
        if self.wire.filled and fill:
            self._fill()
        self._arm()
        self._look()

    def resume(self) -> None:
        """The peer reads again, at its own pace."""
        if not self.stalled:
            return
        self.stalled = False
        self._next_read = max(self._next_read, self.now)
        self._arrive()
        self._settle()

    def pace(self, bytes_per_second: float | None, *, chunk_bytes: int = 1) -> None:
        """The peer reads at this rate from now on, a chunk at a time; None: whatever comes."""
        self._settle()
        self._next_read = max(self._next_read, self.now)
        if bytes_per_second is None:
            self._pace = None
        else:
            self._pace = (bytes_per_second, chunk_bytes)
            if self.wire.filled:
                self._fill()
        self._settle()

    def delay(self) -> float:
        """Draw how long a message takes from one side to the other."""
        jitter = self.wire.jitter
        return self.wire.latency + (jitter * self.draw() if jitter else 0.0)

    def draw(self) -> float:
        """Draw a number from 0 to 1: the same for the same seed on a SimLoop, any elsewhere."""
        return seeded_draw(self.loop)()

    # How it moves.

    def _fill(self) -> None:
        full = self.wire.kernel_bytes + self.wire.high_water_bytes + 1
        missing = full - (self._written - self._drained)
        if missing > 0:
            self._written += missing
            self._buffer.append((self._written, None, 0))
        self._paused = True

    def _reads(self) -> bool:
        return self.open and not self.stalled

    def _held(self) -> float:
        """How many bytes the server's own buffer holds."""
        return self._written - self._drained - self.wire.kernel_bytes

    def _rate(self) -> tuple[float, int | None] | None:
        """The rate at which bytes leave, and the chunk if it is the reader's."""
        band = self.wire.bytes_per_second
        if self._pace is not None and (band is None or self._pace[0] <= band):
            return self._pace
        return None if band is None else (band, None)

    def _settle(self) -> None:
        """Let the peer read what it has read by now."""
        if self._settling:
            return
        if self._buffer and self.loop is not None and self._reads():
            self._settling = True
            now = self.loop.time()
            reach = self._reach(now)
            while self._buffer and self._buffer[0][0] <= reach + _NO_BYTES:
                end, frame, size = self._buffer.popleft()
                self._drained = end
                if frame is not None:
                    self._depart(frame, size, now)
                # Reading a frame may have been the last thing the peer did.
                if not self._reads():
                    break
            else:
                self._drained = max(self._drained, reach)
            self._settling = False
        if self._paused and self._held() <= self.wire.low_water_bytes:
            self._paused = False
            self._writable.fire()
        self._arm()
        self._look()

    def _reach(self, now: float) -> float:
        """Return the offset up to which has been read by now, and move the next read on."""
        rate = self._rate()
        if rate is None:
            return self._written
        per_second, chunk = rate
        left = self._written - self._drained
        if chunk is None:
            reach = self._drained + max(0.0, now - self._next_read) * per_second
            if reach >= self._written - _NO_BYTES:
                self._next_read += left / per_second
                return self._written
            self._next_read = max(self._next_read, now)
            return reach
        pause = chunk / per_second
        reads = math.floor((now - self._next_read) / pause + _NO_STEP) + 1
        if reads <= 0:
            return self._drained
        if reads * chunk < left:
            self._next_read += reads * pause
            return self._drained + reads * chunk
        # The last read took less than a chunk, and the pause after it is shorter.
        self._next_read += left / per_second
        return self._written

    def _time_of(self, offset: float) -> float:
        """Return when everything up to this offset will have been read."""
        rate = self._rate()
        if rate is None:
            return self.now
        per_second, chunk = rate
        left = max(0.0, offset - self._drained)
        if chunk is not None:
            reads = max(1, math.ceil(left / chunk - _NO_STEP))
            left = (reads - 1) * chunk
        return self._next_read + left / per_second

    def _arm(self, *, waiting: bool = False) -> None:
        """Set the timer for the next thing that matters to anybody."""
        due = None
        if self._buffer and self._reads():
            target = self._buffer[0][0]
            if self._paused and (waiting or len(self._writable)):
                low = self._written - self.wire.kernel_bytes - self.wire.low_water_bytes
                target = min(target, low)
            due = self._time_of(target)
        if self._timer is not None:
            if self._timer.when() == due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None and self.loop is not None:
            self._timer = self.loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._settle()

    def _depart(self, frame: F, size: int, now: float) -> None:
        """A frame leaves the buffers and travels to the peer."""
        if not self._arrivals and not self.wire.latency and not self.wire.jitter:
            self._hand_over(frame, size, now)
            return
        if self._arrivals is None:
            self._arrivals = deque()
        self._latest = max(self._latest, now + self.delay())
        self._arrivals.append((self._latest, frame, size))
        if self._travelling is None and self.loop is not None:
            self._travelling = self.loop.call_at(self._latest, self._arrive)

    def _arrive(self) -> None:
        """Hand over what has arrived, unless the peer does not read."""
        if self._travelling is not None:
            self._travelling.cancel()
            self._travelling = None
        now = self.now
        while self._arrivals and self._reads() and self._arrivals[0][0] <= now:
            _, frame, size = self._arrivals.popleft()
            self._hand_over(frame, size, now)
        if self._arrivals and self._reads() and self.loop is not None:
            self._travelling = self.loop.call_at(self._arrivals[0][0], self._arrive)
        self._look()

    def _hand_over(self, frame: F, size: int, now: float) -> None:
        self._unread_messages -= 1
        self._unread_bytes -= size
        self._read(frame, now)

    def _look(self) -> None:
        wire = self.wire
        self.direct = (
            self.open
            and not self.stalled
            and not self.watched
            and not self.swallows
            and not self._buffer
            and not self._arrivals
            and self._pace is None
            and wire.bytes_per_second is None
            and not wire.latency
            and not wire.jitter
        )
