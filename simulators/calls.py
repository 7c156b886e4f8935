"""What the socket object of an application does wrong by itself, in process."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from simulators.faults import (
    Fault,
    SendCancelled,
    SendDelay,
    SendFault,
    SendHangs,
    SendRaises,
    SendSwallowsCancel,
)

__all__ = ["Calls"]


class Calls:
    """The sends of an application to one client, as far as the object itself spoils them.

    Args:
        faults: those of the behaviour; the ones of sends are taken from them.
        draw: gives a number from 0 to 1, for jitter.

    Attributes:
        raised: how many sends raised because of it.
    """

    __slots__ = ("_delay", "_draw", "_faults", "_sends", "raised")

    def __init__(self, faults: Iterable[Fault], *, draw: Callable[[], float]) -> None:
        self._faults = [fault for fault in faults if isinstance(fault, SendFault)]
        self._delay = next((fault for fault in faults if isinstance(fault, SendDelay)), None)
        self._draw = draw
        self._sends = 0
        self.raised = 0

    def __bool__(self) -> bool:
        """Whether there is anything to spoil."""
        return bool(self._faults) or self._delay is not None

    async def begin(self) -> None:
        """Do what happens to this send before the framework sees it."""
        self._sends += 1
        for fault in self._faults:
            if fault.hits(self._sends):
                await self._spoil(fault)

    async def delay(self) -> None:
        """Take the time that each send takes before anything is written."""
        if self._delay is not None:
            more = self._delay.jitter and self._delay.jitter * self._draw()
            await asyncio.sleep(self._delay.seconds + more)

    async def _spoil(self, fault: SendFault) -> None:
        loop = asyncio.get_running_loop()
        match fault:
            case SendRaises():
                self.raised += 1
                raise fault.error()
            case SendCancelled():
                raise asyncio.CancelledError
            case SendHangs():
                await loop.create_future()
            case SendSwallowsCancel():
                end = loop.time() + fault.seconds
                while loop.time() < end:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(end - loop.time())
            case _:
                pass
