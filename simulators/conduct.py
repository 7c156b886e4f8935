"""What a faulty client does by itself, in process: its behaviour, living.

`simulators.peer.Peer` is the client; here is when it does what. A healthy client has no conduct.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from simulators.behaviours import Behaviour
from simulators.body import Body, Frame
from simulators.faults import (
    BadJson,
    BlackHole,
    ClosesMidBroadcast,
    ClosesWhileBlocked,
    CloseWithUnread,
    Death,
    DeepJson,
    Denied,
    DiesDuringBroadcast,
    DoubleDisconnect,
    Dribble,
    DropFrame,
    DuplicateFrame,
    Fault,
    FinWithoutClose,
    Flood,
    HalfClose,
    HalfOpen,
    HoldFrame,
    IgnoresClose,
    Inbound,
    LatePong,
    LimitData,
    NeverPongs,
    Oversize,
    PingFlood,
    PulsingReader,
    Reset,
    ResetBeforeAccept,
    ResetPeer,
    SendsAfterClose,
    SilentApplication,
    SimultaneousClose,
    SlowAccept,
    SlowReader,
    StalledReader,
    Timeout,
    UnsolicitedPongs,
    WrongPong,
    WrongType,
)
from simulators.link import Signal
from simulators.pings import pong
from simulators.records import Closed
from simulators.wire import frame_bytes

__all__ = ["MAX_MESSAGE_BYTES", "Conduct"]

# What a server holds of a client's messages before its kernel pushes back, roughly.
_UNREAD_MESSAGES = 1_000

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message that a server takes: uvicorn's ``ws_max_size``."""


class Conduct:
    """The living behaviour of one client.

    Args:
        behaviour: what it does; all of it can be produced in process.
        body: who does it.
    """

    def __init__(self, behaviour: Behaviour, body: Body) -> None:
        self._faults = behaviour.faults
        self._body = body
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = self._timed = False
        self._timers: set[asyncio.TimerHandle] = set()
        # What happens once, by message or by time, with what must be taken before.
        self._due: list[tuple[float, float, Fault]] = []
        self._happened: set[str] = set()
        self._taken = self._taken_bytes = 0
        self._sends = 0
        self._arrived = self._passed_bytes = 0
        self._tears = self._leaves_unread = False
        # How long a send waits before what happens.
        self._when_blocked: tuple[float, Callable[[], None]] | None = None
        self._held: deque[Frame] | None = None
        self._hold_over = False
        self._limit = behaviour.fault(LimitData)
        self._frames = [
            fault
            for fault in behaviour.faults
            if isinstance(fault, DropFrame | DuplicateFrame | HoldFrame)
            and fault.direction == "to_client"
        ]

    # When it begins, and when it ends.

    def ask(self) -> None:
        """Do what it does before its connection stands."""
        for fault in self._faults:
            if isinstance(fault, ResetBeforeAccept) or _before_accept(fault):
                self._body.leave(1006)

    async def accepting(self) -> None:
        """Do what it does while the application accepts it."""
        for fault in self._faults:
            if isinstance(fault, SlowAccept):
                await asyncio.sleep(fault.delay)
        for fault in self._faults:
            if isinstance(fault, Denied):
                self._body.leave(1006, f"HTTP {fault.code}")

    def begin(self) -> None:
        """Do what it does at once: the connection stands."""
        self._begun = True
        for fault in self._faults:
            self._begin(fault)
        self._set_timers()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop. What it does after a time counts from the first one."""
        if self._loop is None:
            self._loop = loop
            self._set_timers()

    def stop(self) -> list[Frame]:
        """Do nothing more, and return what was held back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._due.clear()
        held, self._held = self._held or (), None
        return list(held)

    def _begin(self, fault: Fault) -> None:
        match fault:
            case SlowReader(after_seconds=0):
                self._slow_down(fault)
            case StalledReader():
                self._wait_for(fault, fault.after_messages, fault.after_bytes)
            case Death() if not _before_accept(fault):
                self._wait_for(fault, fault.after_messages)
            case ClosesWhileBlocked():
                self._wait_for(fault, fault.after_messages)
            case LimitData(limit_bytes=0) | ResetPeer(seconds=0) | Timeout(after_seconds=0):
                self._happen(fault)
            case _:
                pass

    def _wait_for(self, fault: Fault, messages: int | None, size: int | None = None) -> None:
        """Let it happen when so much has been taken; at once when that is nothing."""
        if getattr(fault, "at_once", messages == 0):
            self._happen(fault)
        elif messages is not None or size is not None:
            limits = [math.inf if limit is None else limit for limit in (messages, size)]
            self._due.append((limits[0], limits[1], fault))

    def _set_timers(self) -> None:
        """Set the timers, as soon as there are a connection and a loop."""
        if self._timed or not self._begun or self._loop is None or not self._body.connected:
            return
        self._timed = True
        for fault in self._faults:
            match fault:
                case SlowReader() if fault.after_seconds:
                    self._after(fault.after_seconds, self._slow_down, fault)
                case StalledReader() if fault.at_once:
                    self._resume_later(fault)
                case StalledReader() | Death() if fault.after_seconds and not fault.at_once:
                    self._after(fault.after_seconds, self._happen, fault)
                case PulsingReader():
                    self._after(fault.after_seconds + fault.on, self._pulse, fault)
                case NeverPongs() if fault.after_seconds:
                    self._after(fault.after_seconds, self._happen, fault)
                case UnsolicitedPongs() | PingFlood() | Flood() | Inbound():
                    self._after(fault.after_seconds, self._send, fault)
                case Timeout():
                    self._after(fault.after_seconds, self._happen, fault)
                    if fault.seconds is not None:
                        self._after(fault.after_seconds + fault.seconds, self._time_out)
                case ResetPeer():
                    self._after(fault.seconds, self._happen, fault)
                case _:
                    pass

    def _after(self, seconds: float, act: Callable[..., object], *arguments: Any) -> None:
        if self._loop is None:
            return

        def happen() -> None:
            self._timers.discard(timer)
            act(*arguments)

        timer = self._loop.call_later(seconds, happen)
        self._timers.add(timer)

    # What happens once.

    def _happen(self, fault: Fault) -> None:
        """Let it happen, unless it has."""
        body = self._body
        if fault.kind in self._happened:
            return
        self._happened.add(fault.kind)
        match fault:
            case StalledReader():
                body.stall()
                self._resume_later(fault)
            case Reset(when="mid_frame"):
                self._tears = True
            case Reset(when="during_send"):
                body.stall()
                self._when_blocked = (0.0, body.reset)
            case ClosesWhileBlocked():
                body.stall()
                self._when_blocked = (fault.hold, lambda: body.leave(fault.code))
            case CloseWithUnread():
                body.stall(fill=False)
                self._leaves_unread = True
                self.sent()
            case HalfOpen():
                body.stall()
                body.uplink.muted = True
            case BlackHole() | Timeout():
                body.link.swallow(swallows=True)
                body.uplink.muted = True
            case _:
                self._be_off(fault)

    def _be_off(self, fault: Fault) -> None:
        """End the connection, from one side at least."""
        body = self._body
        match fault:
            case Reset() | ResetPeer():
                body.reset()
            case FinWithoutClose() | LimitData():
                body.fin()
            case HalfClose():
                body.half_close()
            case DoubleDisconnect():
                body.leave(fault.code)
                body.lose_again()
            case _:
                pass

    def _time_out(self) -> None:
        self._body.link.swallow(swallows=False)
        self._body.uplink.muted = False
        self._body.fin()

    # While the application sends.

    async def sending(self) -> None:
        """Do what it does while a message is sent to it."""
        self._sends += 1
        for fault in self._faults:
            match fault:
                case DiesDuringBroadcast() if fault.nth == self._sends:
                    await self._be_gone(self._body.reset)
                case ClosesMidBroadcast() if fault.nth == self._sends:
                    await self._be_gone(lambda code=fault.code: self._body.leave(code))  # type: ignore[misc]  # the loop's own value
                case _:
                    pass

    async def _be_gone(self, go: Callable[[], None]) -> None:
        # The send is under way: others run before it fails.
        await asyncio.sleep(0)
        link = self._body.link
        go()
        if link.open and not self._body.uplink.muted:
            gone = Signal()
            link.lost_callbacks.append(gone.fire)
            await gone.wait()

    def watch(self) -> asyncio.TimerHandle | None:
        """Return the timer of what happens when a send that begins now waits long, if any does."""
        if self._when_blocked is None or self._loop is None:
            return None
        return self._loop.call_later(*self._when_blocked)

    def sent(self) -> None:
        """Do what it does when a message has been written."""
        if self._leaves_unread and self._body.link.lag.messages:
            self._body.reset()

    def closing(self) -> None:
        """Do what it does when the application closes."""
        for fault in self._faults:
            if isinstance(fault, SimultaneousClose):
                self._body.leave(fault.code)

    # While it reads.

    def read(self, frame: Frame, time: float) -> None:
        """Take a frame that has come out of the buffers, as the path and the client would."""
        if self._held is not None:
            self._held.append(frame)
            return
        if isinstance(frame, Closed):
            self._answer_close(frame)
            return
        self._arrived += 1
        if self._limit is not None and self._exceeds(self._limit, frame):
            self._happen(self._limit)
            return
        copies = 1
        for fault in self._frames:
            if fault.nth == self._arrived:
                match fault:
                    case DropFrame():
                        copies = 0
                    case DuplicateFrame():
                        copies = 2
                    case HoldFrame():
                        self._held = deque([frame])
                        self._after(fault.seconds, self._release)
                        return
        for _ in range(copies):
            self._take(frame, time)

    def resumed(self) -> None:
        """Do what it does when it reads again."""
        if self._hold_over:
            self._release()

    def ping(self) -> None:
        """Answer an application ping that it has read."""
        late = 0.0
        stamp = None
        for fault in self._faults:
            match fault:
                case NeverPongs() if fault.after_seconds and fault.kind not in self._happened:
                    pass
                case NeverPongs() | SilentApplication():
                    return
                case LatePong():
                    late = fault.delay
                case WrongPong():
                    stamp = -1
                case _:
                    pass
        if late:
            self._after(late, self._pong, stamp)
        else:
            self._pong(stamp)

    def _exceeds(self, limit: LimitData, frame: str | bytes) -> bool:
        self._passed_bytes += frame_bytes(_size(frame))
        return self._passed_bytes > limit.limit_bytes

    def _release(self) -> None:
        """Let go what was held back, as far as the client reads."""
        self._hold_over = True
        link = self._body.link
        while self._held and not link.stalled:
            frame = self._held.popleft()
            if isinstance(frame, Closed):
                self._answer_close(frame)
            else:
                self._take(frame, link.now)
        if not self._held:
            self._held = None
            self._hold_over = False

    def _take(self, frame: str | bytes, time: float) -> None:
        if not self._body.connected:
            return
        if self._tears:
            self._body.reset()
            return
        self._body.take(frame, time)
        self._taken += 1
        self._taken_bytes += _size(frame)
        for entry in self._due.copy():
            messages, size, fault = entry
            if entry in self._due and (self._taken >= messages or self._taken_bytes >= size):
                self._due.remove(entry)
                self._happen(fault)

    def _answer_close(self, frame: Closed) -> None:
        """Answer a close frame, now, later or never."""
        wait: float | None = 0.0
        for fault in self._faults:
            match fault:
                case SendsAfterClose() if wait is not None:
                    wait += fault.messages / fault.rate
                    for number in range(fault.messages):
                        self._after(number / fault.rate, self._say, f"late {number + 1}")
                case SendsAfterClose():
                    for number in range(fault.messages):
                        self._after(number / fault.rate, self._say, f"late {number + 1}")
                case IgnoresClose():
                    wait = None if fault.hold is None or wait is None else wait + fault.hold
                case _:
                    pass
        if wait:
            self._after(wait, self._body.answer_close, frame)
        elif wait is not None:
            self._body.answer_close(frame)

    def _slow_down(self, fault: SlowReader) -> None:
        self._body.link.pace(fault.bytes_per_second, chunk_bytes=fault.chunk_bytes)

    def _resume_later(self, fault: StalledReader) -> None:
        if fault.resume_after is not None:
            self._after(fault.resume_after, self._body.resume)

    def _pulse(self, fault: PulsingReader) -> None:
        if self._body.link.stalled:
            # Before it reads: what it reads may be the end, which stops all timers.
            self._after(fault.on, self._pulse, fault)
            self._body.resume()
        else:
            self._body.stall()
            self._after(fault.off, self._pulse, fault)

    # What it says.

    def _say(self, message: str | bytes | Mapping[str, Any]) -> None:
        if self._body.connected:
            self._body.say(message)

    def _pong(self, stamp: int | None = None) -> None:
        self._say(pong(self._body.link.now, timestamp=stamp))

    def _send(self, fault: UnsolicitedPongs | PingFlood | Flood | Inbound) -> None:
        """Send what it sends, and do so again if it does."""
        again: float | None
        match fault:
            case Inbound():
                again = fault.every
                self._send_once(fault)
            case _:
                again = 1 / fault.rate
                # A kernel would push back.
                if self._body.unread_by_server < _UNREAD_MESSAGES:
                    self._send_one_of_many(fault)
        if again is not None:
            self._after(again, self._send, fault)

    def _send_one_of_many(self, fault: UnsolicitedPongs | PingFlood | Flood) -> None:
        match fault:
            case UnsolicitedPongs():
                self._pong()
            case PingFlood():
                self._say({"type": "ping", "timestamp": self._body.link.now})
            case Flood():
                self._say(fault.message())

    def _send_once(self, fault: Inbound) -> None:
        match fault:
            case Dribble():
                self._after(fault.message_bytes * fault.interval, self._say, fault.message())
            case Oversize() if fault.message_bytes > MAX_MESSAGE_BYTES:
                self._body.leave(1009, "message too big")
            case Oversize() | WrongType() | BadJson() | DeepJson():
                self._say(fault.message())
            case _:
                pass


def _before_accept(fault: Fault) -> bool:
    return isinstance(fault, Reset) and fault.when == "before_accept"


def _size(frame: str | bytes) -> int:
    return len(frame.encode() if isinstance(frame, str) else frame)
