"""Fake clients: real Starlette WebSockets whose peer behaves as told.

A `FakeClient` goes wherever an accepted WebSocket goes. State changes, exceptions and the results
of ``close`` are Starlette's own; what lies below is a modelled connection (`simulators.link`) and
a peer with a `Behaviour`. It works on any asyncio loop, and in no time on a `SimLoop`.

Not modelled: the upgrade request on the wire, compression, fragmentation, protocol pings.
"""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketState

from simulators.asgi import ServerConnection, websocket_scope
from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, OptionError, SimulatorError
from simulators.faults import Reset, SendDelay, SlowReader, StalledReader
from simulators.link import Lag, Link, Signal
from simulators.misuses import Misuse
from simulators.records import Closed, Received
from simulators.wire import Wire, frame_bytes

__all__ = ["FakeClient"]

_DEFAULT_WIRE = Wire.uvicorn(filled=True)
_HEALTHY = Behaviour.healthy()
_ABNORMAL = 1006
_DISCONNECTED = WebSocketState.DISCONNECTED
_LOST = 1005
_MISUSES_KEPT = 100
# Outside a SimLoop, which has numbers of its own.
_NUMBERS: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))


class FakeClient(WebSocket):
    """A WebSocket as an application holds it, and the peer at its other end.

    The peer reads by itself, as its behaviour says, and answers an application ping
    ``{"type": "ping", …}`` with ``{"type": "pong", "timestamp": <the loop's time in ms>}`` once it
    has read it.

    Misuse by the application is recorded in `misuses`, never raised. Whether a manager encodes one
    event anew for each client can be told by identity: ``a.received[0].message is
    b.received[0].message``.

    Args:
        behaviour: what the peer does; healthy by default.
        wire: what lies between. By default uvicorn's buffers without the kernel's, and full from
            the moment the peer stops reading or reads slowly, so that the next send waits. Pass a
            wire of your own for the time that filling takes.
        name: shown everywhere; by default the behaviour's name and a running number.
        accepted: whether the application has accepted it already.
        abortable: whether ``scope["extensions"]["flock_ws"]`` offers a `ServerConnection`, as
            `flock_ws.uvicorn_protocol` does.
        path: the path of the request.

    Attributes:
        behaviour: as given.
        wire: as given.
        name: as given, or numbered.
        closed: how the connection ended, as the peer saw it; None while it stands. A peer that does
            not read sees no close frame.
        close_called: the first close by the application: its code, reason and time.
        misuses: the first hundred misuses.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        wire: Wire | None = None,
        name: str | None = None,
        accepted: bool = True,
        abortable: bool = False,
        path: str = "/ws",
    ) -> None:
        loop = _running_loop()
        numbers = getattr(loop, "numbers", _NUMBERS)
        self.behaviour = behaviour = behaviour or _HEALTHY
        self.name = name or f"{behaviour.name}-{next(numbers[behaviour.name])}"
        # Not derived from the name: the hash of a string changes from process to process.
        self._number: int = next(numbers["client"])
        self.wire = wire or _DEFAULT_WIRE
        self._link: Link[str | bytes | Closed] = Link(self.wire, read=self._read)
        connection = ServerConnection(self._link, abort=self._abort) if abortable else None
        scope = websocket_scope(self.name, number=self._number, path=path, connection=connection)
        super().__init__(scope, self._asgi_receive, self._asgi_send)
        self.closed: Closed | None = None
        self.close_called: Closed | None = None
        self.misuses: list[Misuse] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._received: list[Received] = []
        self._received_bytes = 0
        self._inbound: deque[Message] = deque()
        self._inbound_latest = 0.0
        self._arrived = Signal()
        self._changed = Signal()
        self._timers: list[asyncio.TimerHandle] = []
        self._sends = 0
        self._cancelled_sends = 0
        self._accepted = accepted
        if accepted:
            self.client_state = self.application_state = WebSocketState.CONNECTED
        else:
            self._inbound.append({"type": "websocket.connect"})
        self._slow = behaviour.fault(SlowReader)
        self._stalled = behaviour.fault(StalledReader)
        self._reset = behaviour.fault(Reset)
        self._delay = behaviour.fault(SendDelay)
        if loop is not None:
            self._link.bind(loop)
        if behaviour.faults:
            self._begin()
        if loop is not None:
            self._bind(loop)

    def __hash__(self) -> int:
        """Return a number that does not change from run to run, so that sets keep their order."""
        return self._number

    def __repr__(self) -> str:
        """Show the name, what it does, what it has read and how it ended."""
        if self.closed is not None:
            state = f"closed {self.closed.code}"
        elif self._link.open:
            state = "open" if self._accepted else "not accepted"
        else:
            state = "aborted"
        return (
            f"<{type(self).__name__} {self.name} {self.behaviour.name}, "
            f"{len(self._received)} received, {state}>"
        )

    # What the peer has seen.

    @property
    def websocket(self) -> WebSocket:
        """The client as its server holds it, which is itself."""
        return self

    @property
    def received(self) -> list[Received]:
        """The messages that the peer has read, with the times at which it had them."""
        return self._received

    @property
    def messages(self) -> list[str]:
        """The text messages that the peer has read."""
        return [message for message, _ in self._received if isinstance(message, str)]

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as the peer has seen."""
        return self._accepted and self.closed is None

    @property
    def stalled(self) -> bool:
        """Whether the peer does not read now."""
        return self._link.stalled and self.closed is None

    @property
    def lag(self) -> Lag:
        """What was sent and not read, with the headers of the frames."""
        return self._link.lag

    @property
    def sending(self) -> int:
        """How many sends are in flight: begun by the application, and not returned."""
        return self._sends

    # What the peer does when told.

    def stall(self) -> None:
        """Stop reading, and keep the connection."""
        if self.closed is None:
            self._link.stall()

    def resume(self) -> None:
        """Read again."""
        if self.closed is None:
            self._link.resume()

    def heal(self) -> None:
        """Be healthy from now on, if it is still connected."""
        self._forget_faults()
        self._link.pace(None)
        self.resume()

    def die(self, *, how: Literal["reset", "fin"] = "reset") -> None:
        """Die without a close frame, by a TCP reset or by closing the socket.

        To the application both are a disconnect with code 1005.
        """
        if how not in {"reset", "fin"}:
            raise OptionError(f"how must be 'reset' or 'fin', not {how!r}")
        if self.closed is None:
            self._end(_ABNORMAL, "")
            self._later(self._lose, {"type": "websocket.disconnect", "code": _LOST})

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close properly, with a close frame."""
        if self.closed is None:
            self._end(code, reason)
            leaving = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._later(self._lose, leaving)

    def say(self, message: str | bytes | Mapping[str, Any]) -> None:
        """Send a message to the application; a mapping goes as JSON.

        Raises:
            SimulatorError: the peer is not connected.
        """
        if not self.connected:
            raise SimulatorError(f"{self!r} cannot say anything: it is not connected")
        if isinstance(message, bytes):
            self._later(self._tell, {"type": "websocket.receive", "bytes": message})
            return
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        self._later(self._tell, {"type": "websocket.receive", "text": text})

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the limit is part of the error
        """Wait until the peer has read at least `count` messages in all.

        Raises:
            NotSeen: it has not within `timeout` seconds, or its connection ended before.
        """
        await self._wait(
            lambda: len(self._received) >= count or self.closed is not None, limit=timeout
        )
        if len(self._received) < count:
            raise NotSeen(
                f"{self!r} had {len(self._received)} of {count} messages "
                f"{self._after(timeout)}; it {self.behaviour.describe()}"
            )

    async def wait_closed(self, *, timeout: float = 10.0) -> Closed:  # noqa: ASYNC109  # the limit is part of the error
        """Wait until the peer has seen the end of the connection, and return how it ended.

        Raises:
            NotSeen: it has not within `timeout` seconds.
        """
        await self._wait(lambda: self.closed is not None, limit=timeout)
        if self.closed is None:
            called = self.close_called
            raise NotSeen(
                f"{self!r} had seen no end of its connection {self._after(timeout)}; "
                + (
                    "close() was not called"
                    if called is None
                    else f"close({called.code}) was called at {called.time:g} s"
                )
                + f"; it {self.behaviour.describe()}"
            )
        return self.closed

    def _after(self, timeout: float) -> str:
        return "when it ended" if self.closed is not None else f"after {timeout:g} s"

    async def _wait(self, condition: Callable[[], bool], *, limit: float) -> None:
        self._bind(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return

    # What the application calls, below Starlette.

    async def send(self, message: Message) -> None:
        """Send as Starlette does, and notice what comes too late."""
        if self.application_state is _DISCONNECTED:
            self._notice_late(message)
        await super().send(message)

    async def _asgi_send(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        if message["type"] != "websocket.send":
            await self._send_control(message)
            return
        frame = message.get("text")
        if frame is None:
            frame = message["bytes"]
        # The way of nearly every message of a large run: no wait, no timer, no task.
        if self._link.direct and not self._sends and self._delay is None:
            if self._cancelled_sends:
                self._notice("send_after_cancel", f"{self._cancelled_sends} sends were cancelled")
            self._take(frame, loop.time())
            return
        await self._send_slowly(frame)

    async def _send_slowly(self, frame: str | bytes) -> None:
        if self._sends:
            self._notice("sends_overlap", f"{self._sends} sends were in flight")
        if self._cancelled_sends:
            self._notice("send_after_cancel", f"{self._cancelled_sends} sends were cancelled")
        self._sends += 1
        try:
            if self._delay is not None:
                more = self._delay.jitter and self._delay.jitter * self._link.draw()
                await asyncio.sleep(self._delay.seconds + more)
            payload = frame.encode() if isinstance(frame, str) else frame
            await self._link.send(frame, frame_bytes(len(payload)))
        except asyncio.CancelledError:
            self._cancelled_sends += 1
            raise
        finally:
            self._sends -= 1

    async def _send_control(self, message: Message) -> None:
        now = self._link.now
        if message["type"] == "websocket.accept":
            if not self._link.open:
                raise ConnectionResetError("the peer is gone")
            self._accepted = True
            return
        code, reason = message.get("code", 1000), message.get("reason") or ""
        if self.close_called is None:
            self.close_called = Closed(code, reason, now)
        if not self._accepted:
            # A server answers the upgrade with HTTP 403 then.
            self._end(_ABNORMAL, "")
            self._lose({"type": "websocket.disconnect", "code": _ABNORMAL})
            return
        await self._link.send(Closed(code, reason, now), frame_bytes(2 + len(reason.encode())))
        self._tell({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def _asgi_receive(self) -> Message:
        self._bind(asyncio.get_running_loop())
        while not self._inbound:
            await self._arrived.wait()
        return self._inbound.popleft()

    # What happens in between.

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on this loop. What a behaviour does after a time counts from the first one."""
        first = self._loop is None
        if loop is self._loop:
            return
        self._loop = loop
        self._link.bind(loop)
        if first and self.behaviour.faults:
            self._set_timers(loop)

    def _begin(self) -> None:
        """Do what the behaviour does at once."""
        if self._slow is not None and not self._slow.after_seconds:
            self._slow_down()
        if self._stalled is not None and self._stalled.at_once:
            self._link.stall()
        if self._reset is not None and self._reset.at_once:
            self.die()

    def _set_timers(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.closed is not None:
            return
        if self._slow is not None and self._slow.after_seconds:
            self._timers.append(loop.call_later(self._slow.after_seconds, self._slow_down))
        if self._stalled is not None:
            if self._stalled.at_once:
                self._resume_later()
            elif self._stalled.after_seconds is not None:
                timer = loop.call_later(self._stalled.after_seconds, self._stall_as_told)
                self._timers.append(timer)
        if self._reset is not None and self._reset.after_seconds is not None:
            self._timers.append(loop.call_later(self._reset.after_seconds, self.die))

    def _slow_down(self) -> None:
        if self._slow is not None:
            self._link.pace(self._slow.bytes_per_second, chunk_bytes=self._slow.chunk_bytes)

    def _stall_as_told(self) -> None:
        if self._stalled is not None:
            self.stall()
            self._resume_later()

    def _resume_later(self) -> None:
        """Set the timer of a stall that ends; it stalls once."""
        stalled, self._stalled = self._stalled, None
        if stalled is not None and stalled.resume_after is not None and self._loop is not None:
            self._timers.append(self._loop.call_later(stalled.resume_after, self.resume))

    def _read(self, frame: str | bytes | Closed, time: float) -> None:
        if isinstance(frame, Closed):
            self._end(frame.code, frame.reason)
            self._later(self._lose, None)
        else:
            self._take(frame, time)

    def _take(self, frame: str | bytes, time: float) -> None:
        # What the class would do, without its keyword handling.
        self._received.append(tuple.__new__(Received, (frame, time)))
        if isinstance(frame, str) and '"ping"' in frame and _is_ping(frame):
            self.say({"type": "pong", "timestamp": int(time * 1000)})
        if len(self._changed):
            self._changed.fire()
        if self._stalled is not None or self._reset is not None:
            self._halt(frame)

    def _halt(self, frame: str | bytes) -> None:
        """Stop where the behaviour says so."""
        self._received_bytes += len(frame.encode() if isinstance(frame, str) else frame)
        count = len(self._received)
        stalled, reset = self._stalled, self._reset
        if reset is not None and reset.after_messages is not None and count >= reset.after_messages:
            self.die()
        elif stalled is not None and (
            (stalled.after_messages is not None and count >= stalled.after_messages)
            or (stalled.after_bytes is not None and self._received_bytes >= stalled.after_bytes)
        ):
            self._stall_as_told()

    def _later(self, act: Callable[[Any], None], argument: Message | None) -> None:
        """Let something that the peer did reach the server, in order."""
        loop = self._loop
        if loop is None or not (self.wire.latency or self.wire.jitter):
            act(argument)
            return
        self._inbound_latest = max(self._inbound_latest, loop.time() + self._link.delay())
        loop.call_at(self._inbound_latest, act, argument)

    def _tell(self, message: Message) -> None:
        if self._link.open or message["type"] == "websocket.disconnect":
            self._inbound.append(message)
            self._arrived.fire()

    def _lose(self, message: Message | None) -> None:
        """The server's end of the connection is gone."""
        if not self._link.open:
            return
        self._link.cut()
        if message is not None:
            self._tell(message)

    def _end(self, code: int, reason: str) -> None:
        """The peer's end of the connection is gone: it reads no more."""
        if self.closed is None:
            self.closed = Closed(code, reason, self._link.now)
            self._forget_faults()
            self._link.stall(fill=False)
            self._changed.fire()

    def _abort(self) -> None:
        if self._link.open:
            self._lose({"type": "websocket.disconnect", "code": _LOST})
            self._later(lambda _: self._end(_ABNORMAL, ""), None)

    def _forget_faults(self) -> None:
        self._slow = self._stalled = self._reset = self._delay = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _notice_late(self, message: Message) -> None:
        if message["type"] != "websocket.send":
            return
        if self.close_called is not None:
            self._notice("send_after_close", f"closed at {self.close_called.time:g} s")
        else:
            self._notice("send_after_failure", "an earlier send had failed")

    def _notice(self, kind: str, detail: str) -> None:
        if len(self.misuses) < _MISUSES_KEPT:
            self.misuses.append(Misuse(kind, self._link.now, detail))


def _is_ping(text: str) -> bool:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("type") == "ping"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
