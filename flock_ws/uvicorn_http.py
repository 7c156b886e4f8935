"""uvicorn's HTTP protocol, on which a request must arrive, and an answer be taken, in time.

Pass it as ``uvicorn.run(app, http=FlockHttpProtocol)``; `flock-ws serve` does. uvicorn itself waits
for ever for a peer that connects and says nothing, or says it byte by byte, or asks for something
large and does not read it. It is the h11 one, which refuses more than 16 KiB of headers.
"""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from flock_ws.inbound import Refusals

__all__ = ["FlockHttpProtocol"]


class FlockHttpProtocol(H11Protocol):
    """Drops a peer that takes too long over a request or an answer.

    What it does not bound: how long the application takes, and how many connections there are.

    Attributes:
        handshake_timeout: seconds from the first byte of a request (from the connection, for the
            first one) to its last, body included; and for a peer whose buffer is full to drain it.
        refusals: where those who were too slow are counted.
    """

    handshake_timeout: ClassVar[float] = 10.0
    refusals: ClassVar[Refusals | None] = None
    _arriving: asyncio.TimerHandle | None = None
    _draining: asyncio.TimerHandle | None = None

    @classmethod
    def limited(cls, *, handshake_timeout: float, refusals: Refusals) -> "type[FlockHttpProtocol]":
        """Return this protocol with these limits, for ``uvicorn.run(http=…)``."""
        limits = {"handshake_timeout": handshake_timeout, "refusals": refusals}
        return type(cls.__name__, (cls,), limits)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Go on with what came behind the request that was answered."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        """Wait for the rest of a request, if there is a part of one."""
        if self.transport.get_protocol() is not self:
            return  # it became a WebSocket, whose request is left unread to its end
        state = self.conn.their_state
        begun = state is h11.IDLE and self.conn.trailing_data[0]
        if not (begun or state is h11.SEND_BODY):
            self._stop_waiting()
        elif self._arriving is None and not self.transport.is_closing():
            self._await_request()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over: it has arrived.

        Not behind an answer that fills the buffer: nobody would see any more that it is not taken.
        """
        self._stop_waiting()
        if self._draining is not None:
            self.send_400_response("Take the earlier answer before the upgrade.")
            return
        super().handle_websocket_upgrade(event)
        self._stop_draining()  # from now on it is the other protocol that is told

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._stop_waiting()
        self._stop_draining()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for a peer that does not take its answer."""
        super().pause_writing()
        if self._draining is None:
            self._draining = self.loop.call_later(
                self.handshake_timeout, self._drop, "answer_timeout"
            )

    def resume_writing(self) -> None:
        """Go on: the peer has taken what there was."""
        self._stop_draining()
        super().resume_writing()

    def _await_request(self) -> None:
        self._arriving = self.loop.call_later(
            self.handshake_timeout, self._drop, "handshake_timeout"
        )

    def _stop_waiting(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _stop_draining(self) -> None:
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None

    def _drop(self, reason: str) -> None:
        if self.refusals is not None:
            self.refusals[reason] += 1
        self.transport.abort()
