"""What the generator's process is told: where to connect, who does, and which clocks count."""

import functools
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from loadtests.scenario import Scenario

__all__ = ["VARIABLE", "Plan"]

VARIABLE = "FLOCK_LOAD_PLAN"
"""Holds the plan of a generator as JSON: a full disk cannot keep a run from it."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def _wall_offset() -> float:
    return time.time() - time.monotonic()


@functools.cache
def _machine() -> str:
    """Name what shares a monotonic clock: a machine from one start to the next."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The part of a run that the generator carries out.

    Attributes:
        scenario: who connects and what they do.
        url: the WebSocket address.
        run_id: the events that count carry it; None counts every event that has a sequence.
        tag: ends the name of every client, so that two runs against one server do not mix.
        origin: the monotonic clock's reading at run time 0.
        wall_offset: wall clock minus monotonic clock, read once: events carry wall time, and a
            clock that is set in the middle of a run must not look like latency.
        look_again: whether stalled clients read again at the end, to see whether they had been
            dropped: the only witness where a server does not tell.
        scheduled: whether the users keep to the times of the scenario; those of a locustfile of
            somebody's own do not.
        tells_names: whether each client gives its name to the server, as ``?client=NAME``.
        headers: further headers of every handshake and request, say ``Authorization``.
        subprotocols: offered in the handshake, the preferred one first.
        messages: text messages that each client sends once it is connected, say to subscribe.
        sequence_path: where an event's sequence number is in its JSON, as ``data.seq`` or
            ``items.0.seq``; None for ``sequence``.
        time_path: where the time is at which it was sent; None for ``timestamp``.
        share: which part of the users is this generator's: its number, and how many there are. It
            names its clients so that no two have the same name.
        begun_at: when the run began for all generators, on the monotonic clock; None for each to
            begin by itself.
        machine: names the machine whose monotonic clock these moments are on.
        ca: a file of certificates to trust in the system's stead, for ``wss``.
        insecure: whether a ``wss`` server may show any certificate.
    """

    scenario: Scenario
    url: str
    run_id: str | None = None
    tag: str = field(default_factory=lambda: uuid4().hex[:6])
    origin: float = field(default_factory=time.monotonic)
    wall_offset: float = field(default_factory=_wall_offset)
    look_again: bool = False
    scheduled: bool = True
    tells_names: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    sequence_path: str | None = None
    time_path: str | None = None
    share: tuple[int, int] = (0, 1)
    begun_at: float | None = None
    machine: str = field(default_factory=_machine)
    ca: str | None = None
    insecure: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "scenario": self.scenario.to_json(),
            "url": self.url,
            "run_id": self.run_id,
            "tag": self.tag,
            "origin": self.origin,
            "wall_offset": self.wall_offset,
            "look_again": self.look_again,
            "scheduled": self.scheduled,
            "tells_names": self.tells_names,
            "headers": dict(self.headers),
            "subprotocols": self.subprotocols,
            "messages": self.messages,
            "sequence_path": self.sequence_path,
            "time_path": self.time_path,
            "share": self.share,
            "begun_at": self.begun_at,
            "machine": self.machine,
            "ca": self.ca,
            "insecure": self.insecure,
        }

    @classmethod
    def find(cls) -> Self | None:
        """Return the plan that this process was given in its environment; None without one."""
        text = os.environ.get(VARIABLE)
        return cls.from_json(json.loads(text)) if text else None

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a plan back from its JSON form."""
        values = dict(form)
        for name in ("subprotocols", "messages", "share"):
            if name in values:
                values[name] = tuple(values[name])
        scenario = Scenario.from_json(values.pop("scenario"))
        return cls(**values, scenario=scenario)

    def here(self) -> Self:
        """Return the plan on the clocks of this machine; they must agree on the time of day."""
        if self.machine == _machine():
            return self
        offset = _wall_offset()
        shift = self.wall_offset - offset
        begun_at = self.begun_at + shift if self.begun_at is not None else None
        return replace(
            self,
            origin=self.origin + shift,
            begun_at=begun_at,
            wall_offset=offset,
            machine=_machine(),
        )
