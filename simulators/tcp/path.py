"""One connection through a relay: two ways, and the faults that hold on them."""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, Literal, TypeVar

from simulators.faults import (
    Bandwidth,
    BlackHole,
    Denied,
    Direction,
    DropFrame,
    DuplicateFrame,
    Fault,
    HoldFrame,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowAccept,
    SlowClose,
    Timeout,
)
from simulators.tcp.connection import reset_on_close
from simulators.tcp.frames import BINARY, CLOSE, TEXT, FrameReader

__all__ = ["Path"]

F = TypeVar("F", bound=Fault)

_HEAD_END: Final = b"\r\n\r\n"
_READ_BYTES: Final = 16_384
_QUEUE_BYTES: Final = 32_768
# With latency, what is on its way is no backlog.
_QUEUE_BYTES_FAR: Final = 1024 * 1024
_TICK: Final = 0.02
_TCP_CLOSE: Final = 7
_END: Final = b""


class _Way:
    """One direction: it reads, cuts the stream into frames, delays, and writes."""

    def __init__(
        self, path: "Path", direction: Direction, source: socket.socket, sink: socket.socket
    ) -> None:
        self.path = path
        self.direction = direction
        self.source = source
        self.sink = sink
        self.queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._changed = asyncio.Event()
        self._reader = FrameReader()
        self._head_done = not path.sees
        self._raw = not path.sees
        self._rest = 0
        self._control = False
        self._final = True
        self._message = 0
        self._dropping = False
        self._copy: list[bytes] | None = None
        self._sent_bytes = 0

    def wake(self, *, hurry: bool = False) -> None:
        """Look again at what holds; with `hurry`, what is delayed goes now."""
        if hurry:
            self.queue = deque((0.0, piece) for _, piece in self.queue)
        self._changed.set()

    def fault(self, kind: type[F]) -> F | None:
        """Return the fault of this kind that holds on this way."""
        found = self.path.fault(kind)
        ways = getattr(found, "direction", "both")
        return found if ways in ("both", self.direction) else None

    async def _change(self, within: float | None = None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()

    async def _let_through(self) -> None:
        while self.path.cut:
            await self._change()

    async def read(self) -> None:
        """Read until the source ends."""
        loop = asyncio.get_running_loop()
        while True:
            await self._let_through()
            room = _QUEUE_BYTES_FAR if self.fault(Latency) else _QUEUE_BYTES
            while self._queued_bytes >= room:
                await self._change()
            try:
                data = await loop.sock_recv(self.source, _READ_BYTES)
            except ConnectionError:
                await self._let_through()
                if self.path.hole:
                    return
                raise
            if not data:
                break
            self._reader.feed(data)
            for delay, piece in self._pieces():
                self._put(piece, delay)
        if not self.path.hole:
            slow = self.path.fault(SlowClose) if self.direction == "to_server" else None
            self._put(_END, slow.seconds if slow else 0)

    def _put(self, piece: bytes, delay: float) -> None:
        if (latency := self.fault(Latency)) is not None:
            delay += latency.seconds + latency.jitter * self.path.jitter()
        due = asyncio.get_running_loop().time() + delay
        if self.queue:
            due = max(due, self.queue[-1][0])
        self.queue.append((due, piece))
        self._queued_bytes += len(piece)
        self._changed.set()

    def _pieces(self) -> Iterator[tuple[float, bytes]]:
        """Cut what was read, and say for each piece by how much it is delayed by its content."""
        reader = self._reader
        if not self._head_done:
            head = reader.take_through(_HEAD_END)
            if head is None:
                return
            self._head_done = True
            if self.direction == "to_client":
                self._raw = b" 101" not in head.partition(b"\r\n")[0]
                denied, slow = self.fault(Denied), self.fault(SlowAccept)
                if denied is not None:
                    self.path.deny(denied.code)
                    return
                if not self._raw:
                    # The upgrade is not counted, and what comes after it begins when it is out.
                    self._sent_bytes = -len(head)
                yield (slow.delay if slow else 0), head
            else:
                yield 0, head
        while reader.buffered_bytes:
            if self._raw:
                yield 0, reader.take_raw(reader.buffered_bytes)
                continue
            delay = 0.0
            if not self._rest:
                begun = reader.beginning()
                if not begun.size_bytes:
                    return
                self._rest, self._final = begun.size_bytes, begun.final
                self._control = begun.opcode >= CLOSE
                if begun.opcode in (TEXT, BINARY):
                    delay = self._begin_message()
            piece = reader.take_raw(self._rest)
            self._rest -= len(piece)
            yield from self._frame(piece, delay)

    def _begin_message(self) -> float:
        self._message = number = self._message + 1
        drop, double = self.fault(DropFrame), self.fault(DuplicateFrame)
        hold = self.fault(HoldFrame)
        self._dropping = drop is not None and drop.nth == number
        self._copy = [] if double is not None and double.nth == number else None
        return hold.seconds if hold is not None and hold.nth == number else 0.0

    def _frame(self, piece: bytes, delay: float) -> Iterator[tuple[float, bytes]]:
        if self.path.hole:
            return
        if self._control:
            yield delay, piece
            return
        if not self._dropping:
            yield delay, piece
        if self._copy is not None:
            self._copy.append(piece)
        if not self._rest and self._final:
            if self._copy is not None:
                yield 0, b"".join(self._copy)
            self._copy, self._dropping = None, False
            if self.direction == "to_client":
                self.path.passed(self._message)

    async def write(self) -> None:
        """Write until the source has ended, and end the sink's side then."""
        loop = asyncio.get_running_loop()
        while True:
            if not self.queue:
                await self._change()
                continue
            due, piece = self.queue[0]
            left = due - loop.time()
            if self.path.cut or left > 0:
                await self._change(None if self.path.cut else left)
                continue
            self.queue.popleft()
            if piece == _END:
                self.sink.shutdown(socket.SHUT_WR)
                return
            await self._send(memoryview(piece))
            self._queued_bytes -= len(piece)
            self._changed.set()

    async def _send(self, view: memoryview) -> None:
        loop = asyncio.get_running_loop()
        while view:
            await self._let_through()
            step, pause = len(view), 0.0
            if (slicer := self.fault(Slicer)) is not None:
                step, pause = min(step, slicer.piece_bytes), slicer.pause
            if (bandwidth := self.fault(Bandwidth)) is not None:
                step = min(step, max(1, int(bandwidth.bytes_per_second * _TICK)))
                pause = max(pause, step / bandwidth.bytes_per_second)
            limit = self.path.fault(LimitData) if self.direction == "to_client" else None
            if limit is not None and self._sent_bytes >= 0:
                step = min(step, limit.limit_bytes - self._sent_bytes)
            if step > 0:
                await loop.sock_sendall(self.sink, view[:step])
                view = view[step:]
                upgrading = self._sent_bytes < 0
                self._sent_bytes += step
                if upgrading and self._sent_bytes >= 0:
                    self.path.begin()
            if limit is not None and self.path.begun_at and self._sent_bytes >= limit.limit_bytes:
                self.path.finish()
                await self._change()
            if pause:
                await self._change(pause)


class Path:
    """One connection from a client to a server.

    Args:
        client: the accepted socket.
        sees: whether the stream can be read: it is WebSocket in the open.
        jitter: gives numbers from 0 to 1.

    Attributes:
        begun_at: when the upgrade went through, None before.
        cut: whether nothing gets through now; it is kept.
        hole: whether what comes is thrown away now.
    """

    def __init__(self, client: socket.socket, *, sees: bool, jitter: Callable[[], float]) -> None:
        client.setblocking(False)  # noqa: FBT003 - the standard library's signature
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sees = sees
        self.jitter = jitter
        self.begun_at: float | None = None
        self.cut = False
        self.hole = False
        self._client = client
        self._server: socket.socket | None = None
        self._faults: list[Fault] = []
        self._ways: tuple[_Way, ...] = ()
        self._timers: list[tuple[Fault, asyncio.TimerHandle]] = []
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def fault(self, kind: type[F]) -> F | None:
        """Return the fault of this kind that holds."""
        return next((fault for fault in self._faults if isinstance(fault, kind)), None)

    def infect(self, fault: Fault) -> None:
        """Let a fault hold from now on, or from the upgrade on if that is still to come."""
        self._faults.append(fault)
        if self.begun_at is not None:
            self._arm(fault)
        self._wake()

    def heal(self, kind: type[Fault]) -> None:
        """Take the faults of a kind away."""
        gone = [fault for fault in self._faults if isinstance(fault, kind)]
        self._faults = [fault for fault in self._faults if fault not in gone]
        for fault, timer in self._timers:
            if fault in gone:
                timer.cancel()
        if any(isinstance(fault, Timeout) for fault in gone):
            self.cut = False
        if self.hole and any(isinstance(fault, BlackHole) for fault in gone):
            self.reset()
        for way in self._ways:
            way.wake(hurry=bool(gone))

    def begin(self) -> None:
        """Note that the upgrade went through: the faults' times count from here."""
        self.begun_at = asyncio.get_running_loop().time()
        for fault in self._faults:
            self._arm(fault)

    def _arm(self, fault: Fault) -> None:
        if isinstance(fault, Timeout):
            self._after(fault, fault.after_seconds, self._cut_off)
            if fault.seconds is not None:
                self._after(fault, fault.after_seconds + fault.seconds, self.finish)
        elif isinstance(fault, ResetPeer):
            self._after(fault, fault.seconds, self.reset)
        elif isinstance(fault, BlackHole):
            if fault.at_once:
                self.hole = True
            elif fault.after_seconds is not None:
                self._after(fault, fault.after_seconds, self._open_hole)

    def _after(self, fault: Fault, seconds: float, action: Callable[[], None]) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, action)
        self._timers.append((fault, timer))

    def _cut_off(self) -> None:
        self.cut = True

    def _open_hole(self) -> None:
        self.hole = True

    def passed(self, messages: int) -> None:
        """Note that so many messages went to the client."""
        hole = self.fault(BlackHole)
        if hole is not None and hole.after_messages is not None:
            self.hole = self.hole or messages >= hole.after_messages

    def _wake(self) -> None:
        for way in self._ways:
            way.wake()

    def deny(self, code: int) -> None:
        """Answer the client with an HTTP error in the server's stead."""
        answer = f"HTTP/1.1 {code} Denied by a proxy\r\nContent-Length: 0\r\n\r\n".encode()
        with contextlib.suppress(OSError):
            self._client.send(answer)
        self.finish()

    def finish(self) -> None:
        """End both sides with a FIN."""
        for sock in (self._client, self._server):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
        self._end("fin")

    def reset(self) -> None:
        """End both sides with a reset."""
        self._end("reset")

    def _end(self, how: Literal["fin", "reset"]) -> None:
        if not self._over.done():
            self._over.set_result(how)

    async def carry(self, server: socket.socket) -> None:
        """Carry until both sides have ended, or one broke."""
        self._server = server
        self._ways = (
            _Way(self, "to_client", server, self._client),
            _Way(self, "to_server", self._client, server),
        )
        if not self.sees:
            self.begin()
        writing = [asyncio.create_task(self._try(way.write())) for way in self._ways]
        tasks = [asyncio.create_task(self._try(way.read())) for way in self._ways]
        tasks += [*writing, asyncio.create_task(self._watch())]

        def written(_: asyncio.Task[None]) -> None:
            if all(task.done() for task in writing):
                self._end("fin")

        for task in writing:
            task.add_done_callback(written)
        how = "reset"
        try:
            how = await self._over
        finally:
            if how == "reset":
                reset_on_close(self._client)
                reset_on_close(server)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except OSError:
            self.reset()

    async def _watch(self) -> None:
        """Pass on a reset of a side from which nobody reads just now (Linux)."""
        if not hasattr(socket, "TCP_INFO"):
            return
        while True:
            await asyncio.sleep(_TICK)
            if self.cut or self.hole:
                continue
            for sock in (self._client, self._server):
                if sock is not None:
                    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
                    if state == _TCP_CLOSE and not self._over.done():
                        self.reset()

    def close(self) -> None:
        """Free both sockets."""
        for _, timer in self._timers:
            timer.cancel()
        for sock in (self._client, self._server):
            if sock is not None:
                sock.close()
