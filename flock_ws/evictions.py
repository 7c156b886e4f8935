"""EvictionRecord: who was dropped, why, and when its socket was gone."""

import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from flock_ws.outbox import Outbox
from flock_ws.statistics import Eviction, Lag

__all__ = ["CLOSE_CODES", "EvictionRecord", "describe"]

CLOSE_CODES: Mapping[str, int] = MappingProxyType(
    {
        "send_timeout": 1013,
        "send_failed": 1011,
        "lag_bytes": 1013,
        "lag_messages": 1013,
        "no_pong": 1013,
        "no_ack": 1013,
        "shutdown": 1012,
    }
)
"""Close codes of RFC 6455's registry by reason: 1013 try again later, 1012 service restart,
1011 internal error. None of them is 1000, after which the original's page never comes back."""


class EvictionRecord:
    """Counts every eviction and remembers the last ones."""

    KEPT: ClassVar[int] = 1_000

    def __init__(self) -> None:
        self._last: dict[int, Eviction] = {}
        self._by_reason: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Evictions since the beginning."""
        return self._by_reason.total()

    @property
    def by_reason(self) -> Mapping[str, int]:
        """Evictions since the beginning, by reason; a snapshot."""
        return MappingProxyType(dict(self._by_reason))

    @property
    def last(self) -> tuple[Eviction, ...]:
        """The last `KEPT` evictions, oldest first."""
        return tuple(self._last.values())

    def add(
        self, outbox: Outbox, reason: str, *, lag: Lag, at: float, error: BaseException | None
    ) -> Eviction:
        """Note an eviction; `at` is loop time."""
        eviction = Eviction(
            number=self.total,
            client=outbox.name,
            reason=reason,
            code=CLOSE_CODES[reason],
            lag=lag,
            at=at,
            error=describe(error) if error is not None else None,
            _websocket=_weak(outbox.socket),
        )
        self._by_reason[reason] += 1
        self._last[eviction.number] = eviction
        if len(self._last) > self.KEPT:
            del self._last[next(iter(self._last))]
        return eviction

    def gone(self, eviction: Eviction, *, at: float) -> None:
        """Note that the socket of an evicted client is gone; `at` is loop time."""
        if eviction.number in self._last:
            self._last[eviction.number] = replace(eviction, gone_at=at)


def describe(error: BaseException) -> str:
    """Return type and text: the text alone is empty for several errors of sockets."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a look-alike socket raises what it likes
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _weak(websocket: Any) -> "weakref.ref[Any] | None":
    try:
        return weakref.ref(websocket)
    except TypeError:
        return None
