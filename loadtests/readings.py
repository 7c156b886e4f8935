"""What a server answers to a client that asks for its history."""

import json
from itertools import pairwise
from typing import Any

from loadtests.record import HistoryReading

__all__ = ["read_history"]


def read_history(
    body: bytes,
    *,
    client: str,
    at: float,
    status: int,
    seconds: float,
    known: int | None,
    run_id: str | None,
) -> HistoryReading:
    """Read an answer: a list of events, or an object that has it as ``events``, oldest first.

    Args:
        body: of the answer.
        client: who asked.
        at: when, in run time.
        status: of the answer, 0 when there was none.
        seconds: what it took.
        known: the highest sequence number that the client had received before it asked.
        run_id: the run whose numbers are looked at; that of the newest event when None.
    """
    events = _events(body) if status // 100 == 2 else []  # noqa: PLR2004 - the class of success
    run = run_id if run_id is not None else next((one.get("run_id") for one in events[::-1]), None)
    numbers = [one["sequence"] for one in events if one.get("run_id") == run and "sequence" in one]
    return HistoryReading(
        client=client,
        at=at,
        status=status,
        events=len(numbers),
        total=len(events),
        size_bytes=len(body),
        seconds=seconds,
        newest=numbers[-1] if numbers else None,
        known=known,
        whole=all(after == before + 1 for before, after in pairwise(numbers)),
    )


def _events(body: bytes) -> list[dict[str, Any]]:
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    events = answer.get("events") if isinstance(answer, dict) else answer
    return [one for one in events if isinstance(one, dict)] if isinstance(events, list) else []
