"""Lookout: what the live page shows of a manager, taken no more often than it can be afforded.

However many pages are open, they share one sample. The next one is taken half a second later at
the earliest, and later still where taking one is expensive: never more than 2 % of the time.
"""

import asyncio
import dataclasses
import json
import math
import time
from collections.abc import Callable
from typing import Any

from flock_ws import foreign
from flock_ws.limits import Limits
from flock_ws.manager import WebSocketManager
from flock_ws.overview import BEHIND_AFTER

__all__ = ["LANES", "Lookout", "Sample"]

LANES = 40
"""How many clients a sample tells about, those furthest behind first."""

Sample = dict[str, Any]
"""What `Lookout.sample` tells, ready for JSON; docs/page.md lists it."""

_COUNTS = ("clients", "published", "delivered", "joined", "left")
_INTERVAL = 0.4
_SHARE = 0.02
# Something waits for the client, and for so long its kernel has taken nothing of it.
_STALLED_AFTER = 0.8


class Lookout:
    """Takes samples of a manager, whoever wrote it, for everybody who looks.

    A state is told for each lane:

    - `healthy`: nothing has waited long for it.
    - `lagging`: an event, or the question what it has taken, waits for it.
    - `stalled`: the same, and its kernel has taken nothing for a while.
    - `zombie`: it is out of the pool, and its socket is still open. Seen only of managers that are
      not ours; ours tells how many it is closing.
    - `connected`: its socket is open, and this manager tells nothing more.

    Args:
        manager: any manager; what it tells decides what can be shown.
        connections: the application's own record of open sockets.
        process: what is known of the process; it should be cheap.
        extras: what else goes into each sample, asked for each time.
        clock: tells in seconds what a sample cost; the loop's own may stand still within a turn.
    """

    def __init__(
        self,
        manager: Any,
        *,
        connections: Callable[[], list[dict[str, Any]]],
        process: Callable[[], dict[str, Any]],
        extras: Callable[[], dict[str, Any]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._connections = connections
        self._process = process
        self._extras = extras
        self._clock = clock
        self._started = time.time()
        self._next = -math.inf
        self._last: Sample = {}
        self._text = ""
        # What each lane had taken when last seen, and since when it has not taken more.
        self._taken: dict[str, tuple[int, float]] = {}

    def text(self) -> str:
        """Return the current sample as JSON, encoded once for all who ask."""
        self.sample()
        return self._text

    def sample(self) -> Sample:
        """Return the current sample; take one if the last is old enough."""
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            began = self._clock()
            self._last = self._take(now)
            self._text = json.dumps(self._last, default=str)
            cost = self._clock() - began
            self._next = now + max(_INTERVAL, cost / _SHARE)
        return self._last

    def _take(self, now: float) -> Sample:
        ours = isinstance(self._manager, WebSocketManager)
        told = self._from_inside() if ours else self._from_outside(now)
        limits = getattr(self._manager, "limits", None)
        return {
            **told,
            "manager": foreign.name_of(self._manager),
            "limits": dataclasses.asdict(limits) if isinstance(limits, Limits) else None,
            "server": {**self._process(), "started": self._started},
            **self._extras(),
        }

    def _from_inside(self) -> Sample:
        told: Sample = self._manager.overview(lanes=LANES).as_dict()
        for lane in told["lanes"]:
            lane["key"] = f"{lane['name']} {lane['joined_at']}"
            lane["state"] = self._state(lane, told["time"])
        keys = {lane["key"] for lane in told["lanes"]}
        self._taken = {key: seen for key, seen in self._taken.items() if key in keys}
        return told

    def _from_outside(self, now: float) -> Sample:
        """Return what the application sees of a manager that is not ours."""
        offered = foreign.statistics(self._manager, time=now)
        # Under the same names it may tell something else altogether.
        told = {name: offered[name] for name in _COUNTS if isinstance(offered.get(name), int)}
        records = self._connections()
        zombies = [record for record in records if record["in_pool"] is False]
        others = [record for record in records if record["in_pool"] is not False]
        lanes = [
            {
                "key": f"{record['name']} {record['opened_at']}",
                "name": record["name"],
                "joined_at": record["opened_at"],
                "state": "zombie" if record["in_pool"] is False else "connected",
            }
            for record in (zombies + others)[:LANES]
        ]
        return {
            "clients": len(others),
            **told,
            "time": now,
            "zombies": len(zombies),
            "lanes": lanes,
        }

    def _state(self, lane: dict[str, Any], now: float) -> str:
        taken = lane["accepted_bytes"] - (lane["buffered_bytes"] or 0)
        most, since = self._taken.get(lane["key"], (taken, now))
        # Frames are a little larger than events: of who takes nothing, this slowly gets less.
        if taken > most:
            most, since = taken, now
        self._taken[lane["key"]] = (most, since)
        if lane["waiting"] < BEHIND_AFTER and not lane["busy"]:
            return "healthy"
        return "stalled" if now - since >= _STALLED_AFTER else "lagging"
