"""Pages of a history that moves: new events come at one end, old ones are forgotten at the other.

A page is continued from an event, not from a position: `mark` names the event, `position` finds
it again. Pages therefore neither overlap nor leave a hole. Events alike in run, sequence and
time are told apart by counting only, so among those a page may shift.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import BaseModel

__all__ = ["mark", "position", "write_page"]

_PIECE_BYTES = 65_536
_TRAITS = ("sequence", "run_id", "timestamp")


def mark(events: Sequence[Any], at: int) -> str:
    """Name the event at a position, in a form that fits into an address.

    Costs a fraction of a µs for each newer event, as does `position`.
    """
    traits = _traits(events[at])
    alike = sum(1 for event in events[at:] if _has(event, traits))
    text = json.dumps([alike, *traits])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(events: Sequence[Any], name: str) -> int:
    """Find a marked event again.

    Returns:
        Its position; 0 when it was forgotten, for then nothing older is left.

    Raises:
        ValueError: `name` was not made by `mark`.
    """
    try:
        text = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))
        alike, *traits = json.loads(text)
        missing = int(alike)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{name!r} is no mark: pass what an earlier page gave") from error
    if len(traits) != len(_TRAITS):
        raise ValueError(f"{name!r} is no mark: pass what an earlier page gave")
    for at in range(len(events) - 1, -1, -1):
        if _has(events[at], traits):
            missing -= 1
            if missing == 0:
                return at
    return 0


async def write_page(head: dict[str, Any], events: Sequence[Any]) -> AsyncIterator[str]:
    """Write a JSON object of `head` and `events`, piece by piece.

    A full history encoded at one go would hold up the loop for a good part of a second, and wait
    in memory for whoever does not read it.
    """
    yield json.dumps({**head, "events": []})[:-2]
    pieces: list[str] = []
    size = 0
    for at, event in enumerate(events):
        piece = _encoded(event)
        pieces.append(f",{piece}" if at else piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield "".join(pieces)
            pieces.clear()
            size = 0
            await asyncio.sleep(0)
    yield "".join((*pieces, "]}"))


def _has(event: Any, traits: list[Any]) -> bool:
    # The sequence alone rules out nearly all, and is cheap to read.
    return _plain(_read(event, _TRAITS[0])) == traits[0] and _traits(event) == traits


def _traits(event: Any) -> list[Any]:
    return [_plain(_read(event, name)) for name in _TRAITS]


def _plain(value: Any) -> Any:
    """Return what survives JSON unchanged."""
    return value if isinstance(value, int | str) else str(value)


def _read(event: Any, name: str) -> Any:
    return event.get(name) if isinstance(event, dict) else getattr(event, name, None)


def _encoded(event: Any) -> str:
    return (
        event.model_dump_json() if isinstance(event, BaseModel) else json.dumps(event, default=str)
    )
