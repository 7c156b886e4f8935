"""uvicorn's sans-IO WebSocket protocol, with frames written directly, an abort, and bounded reads.

Pass it as ``uvicorn.run(app, ws=FlockWebSocketProtocol)``; `flock-ws serve` does. The whole of the
protocol stays uvicorn's own. Without it every event goes through ASGI, and an evicted peer that
does not read keeps its socket, its endpoint task and its buffers for as long as it likes: uvicorn
closes a connection only once its buffer is flushed.

A hostile peer meets four bounds here that uvicorn does not have: frames of any kind count against
a rate, a chunk of tiny frames is taken in slices, fragments are joined as they come, and a peer
that does not read is owed the pongs of one slice at most.
"""

from typing import ClassVar

from websockets.frames import CloseCode, Frame

from flock_ws.inbound import Budget, Refusals
from flock_ws.uvicorn_direct import DirectProtocol

__all__ = ["FlockWebSocketProtocol"]


_SLICE_BYTES = 4_096
"""What is parsed between two looks at the budget: at most 683 frames, some 10 ms. uvicorn parses
what was read in one go, up to 256 KiB; full of empty frames it held up the loop for 0.75 s."""

_FURTHER_FRAMES = 100.0
"""Frames a second that a client may send beyond its messages: pongs, pings and fragments."""

_LINGER = 1.0
"""Seconds in which a peer that was closed for what it sent may read why. A socket closed at once,
with input unread, is reset, and the reason lost."""

_MOST_DISCARDED_BYTES = 32 * 1024 * 1024
"""What is read away of such a peer; without a bound it was 800 MB in that second."""

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class FlockWebSocketProtocol(DirectProtocol):
    """Offers itself as a `DirectConnection` in ``scope["extensions"]["flock_ws"]``.

    Attributes:
        max_inbound_rate: messages a second that a peer may send, and `_FURTHER_FRAMES` frames
            beside them; who sends more is closed with 1008. None, as here, sets no limit.
        refusals: where those who broke it are counted.
    """

    max_inbound_rate: ClassVar[float | None] = None
    refusals: ClassVar[Refusals | None] = None
    _budget: Budget | None = None
    _refused = False
    _discarded_bytes = 0
    _joined: bytearray | None = None
    _owed_pongs: bytes | None = None

    @classmethod
    def limited(
        cls, *, max_inbound_rate: float | None, refusals: Refusals
    ) -> "type[FlockWebSocketProtocol]":
        """Return this protocol with these limits, for ``uvicorn.run(ws=…)``."""
        limits = {"max_inbound_rate": max_inbound_rate, "refusals": refusals}
        return type(cls.__name__, (cls,), limits)

    def data_received(self, data: bytes) -> None:
        """Take what came, in slices, as long as the peer keeps to the protocol and its rate."""
        if self._refused:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > _MOST_DISCARDED_BYTES:
                self.transport.abort()
            return
        for start in range(0, len(data), _SLICE_BYTES):
            if self._is_over():
                return
            super().data_received(data[start : start + _SLICE_BYTES])
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # websockets gave up on the request, which uvicorn would not notice: more than 128
            # headers left the connection open for ever.
            self._count("handshake")
            self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_REQUEST)
            self.transport.close()

    def _is_over(self) -> bool:
        return self._refused or self.transport.is_closing()

    def handle_events(self) -> None:
        """Count the frames, then let uvicorn act on them."""
        if self._within_budget(len(self.conn.events)):
            super().handle_events()
        else:
            self._count("inbound_rate")
            self.conn.fail(CloseCode.POLICY_VIOLATION, "too many messages")
            self.handle_parser_exception()

    def _within_budget(self, frames: int) -> bool:
        if self.max_inbound_rate is None or not frames or self.close_sent:
            return True
        now = self.loop.time()
        if self._budget is None:
            self._budget = Budget(self.max_inbound_rate + _FURTHER_FRAMES, now=now)
        return self._budget.spend(frames, now=now)

    def handle_parser_exception(self) -> None:
        """Tell peer and application why it ends; then read on, and away, for a moment."""
        if self._refused or self.conn.close_sent is None:
            return
        self._refused = True
        if self.conn.close_sent.code == CloseCode.MESSAGE_TOO_BIG:
            self._count("inbound_bytes")
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.close_timer is not None:
            self.close_timer.cancel()
        # uvicorn leaves the transport open after the application's end while this timer runs.
        self.close_timer = self.loop.call_later(_LINGER, self.transport.abort)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def _count(self, reason: str) -> None:
        if self.refusals is not None:
            self.refusals[reason] += 1

    def handle_cont(self, event: Frame) -> None:
        """Join a fragment to those before it: a list of tiny ones takes twenty times as much."""
        if self._joined is None:
            self._joined = bytearray(self.frames[0])
        self._joined += event.data
        if event.fin:
            self.frames = [bytes(self._joined)]
            self._joined = None
            self.send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping; the last slice's only while the peer does not read: RFC 6455, 5.5.3."""
        pongs = b"".join(self.conn.data_to_send())
        if not pongs:
            return  # answered with an earlier one of the same slice
        if self.can_write:
            self.transport.write(pongs)
            return
        if self._owed_pongs is None:
            self.when_writable(self._pay_pongs)
        self._owed_pongs = pongs

    def _pay_pongs(self) -> None:
        if self._owed_pongs is not None and not self.outlet.shut:
            self.transport.write(self._owed_pongs)
        self._owed_pongs = None
