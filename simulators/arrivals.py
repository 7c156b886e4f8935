"""Arrival processes: when events come, as times in seconds from 0 on.

Each is an iterator of due times that never go back. Nothing here waits or reads a clock but
`paced`, which waits on the running loop's.
"""

import asyncio
import itertools
import math
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

from flock_ws.events import DashboardEvent
from simulators.errors import OptionError

__all__ = ["bursts", "paced", "poisson", "ramp", "replay", "steady"]

T = TypeVar("T")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and value is not True and math.isfinite(value)


def _above_zero(name: str, value: float) -> None:
    if not (_is_finite(value) and value > 0):
        raise OptionError(f"{name} must be a finite number above 0, not {value!r}")


def steady(*, rate: float) -> Iterator[float]:
    """Give arrivals at a steady rate per second."""
    _above_zero("rate", rate)
    return (number / rate for number in itertools.count())


def poisson(*, rate: float, seed: int | str = 0) -> Iterator[float]:
    """Give independent arrivals: exponential gaps, `rate` of them per second on average."""
    _above_zero("rate", rate)
    draw = random.Random(seed)
    return itertools.accumulate(draw.expovariate(rate) for _ in itertools.count())


def bursts(*, rate: float, size: int) -> Iterator[float]:
    """Give arrivals of which `size` come at one moment, `rate` per second in all."""
    _above_zero("rate", rate)
    if type(size) is not int or size < 1:
        raise OptionError(f"size must be a whole number of at least 1, not {size!r}")
    return (number // size * size / rate for number in itertools.count())


def ramp(*, start: float, end: float, duration: float) -> Iterator[float]:
    """Give arrivals whose rate goes from `start` to `end` per second, evenly over `duration`.

    They end with the ramp. The number that has come by a moment is the area under the rate up to
    it; each arrival is where that area reaches the next whole number.
    """
    for name, value in (("start", start), ("end", end)):
        if not (_is_finite(value) and value >= 0):
            raise OptionError(f"{name} must be a finite number of at least 0, not {value!r}")
    _above_zero("duration", duration)
    return _ramp(start, end, duration)


def _ramp(start: float, end: float, duration: float) -> Iterator[float]:
    slope = (end - start) / duration
    for number in range(math.floor((start + end) / 2 * duration + 1e-9)):
        # slope / 2 * t² + start * t = number, in the form that is stable for small slopes.
        root = math.sqrt(max(0.0, start * start + 2 * slope * number))
        yield 2 * number / (start + root) if number else 0.0


def replay(events: Iterable[DashboardEvent], *, speed: float = 1.0) -> Iterator[float]:
    """Give the times at which recorded events came, by their own timestamps.

    Args:
        events: as recorded; an event older than the one before it comes at once.
        speed: 2 replays in half the time.
    """
    _above_zero("speed", speed)
    return _replay(events, speed)


def _replay(events: Iterable[DashboardEvent], speed: float) -> Iterator[float]:
    first = latest = None
    for event in events:
        first = first or event.timestamp
        due = (event.timestamp - first).total_seconds() / speed
        latest = due if latest is None else max(latest, due)
        yield latest


async def paced(items: Iterable[T], arrivals: Iterable[float]) -> AsyncIterator[T]:
    """Give each item at its time on the running loop's clock, counted from the first request.

    Late items come at once, so a consumer that falls behind gets the same number in all. Ends
    with the shorter of the two.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    for item, due in zip(items, arrivals, strict=False):
        if (wait := began + due - loop.time()) > 0:
            await asyncio.sleep(wait)
        yield item
