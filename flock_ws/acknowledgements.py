"""Acknowledgements: what peers have really taken, asked with protocol pings.

A send that completed tells only that a buffer took the event. A ping that follows the data is
answered when the peer has read up to it. Pings are sent only while data is outstanding, one at a
time for each client and at most one every `Limits.ack_interval`.

A peer so far behind that its answer is late is kept while its buffers are emptier at each look than
at the one before. Not told apart are two that are late and gain nothing: one that reads just as
fast as events come is evicted as one is whose kernel takes them and whose application does not.
"""

import asyncio
from collections.abc import Callable

from flock_ws.deadlines import Deadlines
from flock_ws.limits import Limits
from flock_ws.outbox import Outbox

__all__ = ["Acknowledgements"]


class Acknowledgements:
    """Asks the peers of direct connections, and finds the one that takes nothing.

    Args:
        loop: the loop everything runs on.
        limits: `ack_interval` and `ack_timeout`.
        missed: called with a client whose peer answered no ping in time and whose buffers have not
            drained by a byte in that time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits,
        missed: Callable[[Outbox], None],
    ) -> None:
        self._loop = loop
        self._missed = missed
        self._asking = Deadlines[Outbox](loop, limits.ack_interval, self._ask)
        self._waiting = (
            Deadlines[Outbox](loop, limits.ack_timeout, self._late)
            if limits.ack_timeout is not None
            else None
        )

    def sent(self, outbox: Outbox) -> None:
        """Note that data was written to the client. Needs no call while it is not `askable`."""
        outbox.askable = False
        if self._waiting is not None and outbox.asked is None and outbox not in self._asking:
            self._asking.start(outbox)

    def answered(self, outbox: Outbox, number: int) -> None:
        """Note that the peer has taken every event before `number`."""
        if outbox.asked != number or self._waiting is None:
            return
        self._waiting.stop(outbox)
        outbox.asked = None
        outbox.acknowledged = number
        outbox.round_trip = self._loop.time() - outbox.asked_at
        outbox.askable = True
        if outbox.number > number and not outbox.gone:
            self.sent(outbox)

    def drop(self, outbox: Outbox) -> None:
        """Forget a client."""
        self._asking.stop(outbox)
        if self._waiting is not None:
            self._waiting.stop(outbox)

    def _ask(self, outbox: Outbox) -> None:
        direct = outbox.direct
        if direct is None or self._waiting is None:
            return
        outbox.asked = outbox.number
        outbox.asked_at = self._loop.time()
        direct.ping(outbox.number)
        outbox.buffered_bytes = direct.buffered_bytes
        self._waiting.start(outbox)

    def _late(self, outbox: Outbox) -> None:
        direct = outbox.direct
        if direct is None or self._waiting is None:
            return
        buffered_bytes = direct.buffered_bytes
        # Slow, but it takes something: its pong is behind data that is on its way.
        if buffered_bytes < outbox.buffered_bytes:
            outbox.buffered_bytes = buffered_bytes
            self._waiting.start(outbox)
        else:
            self._missed(outbox)
