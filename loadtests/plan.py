"""What the generator's process is told: where to connect, which clocks count, where to write."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from loadtests.scenario import Scenario

__all__ = ["Plan"]


def _wall_offset() -> float:
    return time.time() - time.monotonic()


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
        folder: where progress and results are written; None for nowhere.
        look_again: whether stalled clients read again at the end, to see whether they had been
            dropped: the only witness where a server does not tell.
        parent: the process that started the generator; when it is gone, so is the run.
    """

    scenario: Scenario
    url: str
    run_id: str | None = None
    tag: str = field(default_factory=lambda: uuid4().hex[:6])
    origin: float = field(default_factory=time.monotonic)
    wall_offset: float = field(default_factory=_wall_offset)
    folder: Path | None = None
    look_again: bool = False
    parent: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "scenario": self.scenario.to_json(),
            "url": self.url,
            "run_id": self.run_id,
            "tag": self.tag,
            "origin": self.origin,
            "wall_offset": self.wall_offset,
            "folder": str(self.folder) if self.folder is not None else None,
            "look_again": self.look_again,
            "parent": self.parent,
        }

    def write(self, path: Path) -> None:
        """Write the JSON form to a file."""
        path.write_text(json.dumps(self.to_json()), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a plan from its file."""
        form = json.loads(path.read_text(encoding="utf-8"))
        folder = form.pop("folder")
        scenario = Scenario.from_json(form.pop("scenario"))
        return cls(**form, scenario=scenario, folder=Path(folder) if folder else None)
