"""What a pushed message says: which event it is, and when it was due. Each payload is parsed once.

A broadcast sends the same bytes to every client, so what was read from the last payloads is kept
and found again by the bytes themselves. What differs from client to client, its sequence and the
moment of arrival, is not looked at here.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

__all__ = ["Event", "PayloadReader", "moment_of"]

_KEPT = 1_024
_KEPT_BYTES = 4 * 1024 * 1024
# The year 2000. What is less is no time of day, but say a duration or the reading of some clock.
_EARLIEST = 946_684_800.0
# Seconds up to the year 5138, milliseconds from 1973 on.
_MILLISECONDS_FROM = 1e11
_LATEST_MILLISECONDS = 1e14


class Event:
    """What one payload says.

    Attributes:
        run: whose sequence it is in; empty where an event does not tell.
        sequence: its number, None when it has none: then it is no event that counts.
        due: when it was sent, on the monotonic clock; None when it does not tell.
        second: the second of run time in which that was.
        ping: whether it is an application ping.
    """

    __slots__ = ("due", "ping", "run", "second", "sequence")

    def __init__(
        self,
        *,
        run: str = "",
        sequence: int | None = None,
        due: float | None = None,
        second: int = 0,
        ping: bool = False,
    ) -> None:
        self.run = run
        self.sequence = sequence
        self.due = due
        self.second = second
        self.ping = ping


_OTHER = Event()
_PING = Event(ping=True)


class PayloadReader:
    """Reads payloads.

    Args:
        sequence_path: where the number is, as ``data.seq`` or ``items.0.seq``.
        time_path: where the time is: ISO 8601, or seconds or milliseconds since 1970.
        wall_offset: wall clock minus monotonic clock.
        origin: the monotonic clock's reading at run time 0.

    Attributes:
        read: returns the `Event` of a payload. Anything that is no JSON object with a whole number
            at `sequence_path` is one without a sequence.
        known: what was read lately, by payload; who reads very many looks here before `read`.
        parsed: how many payloads were parsed, and not found again.
    """

    def __init__(
        self,
        *,
        sequence_path: str | None = None,
        time_path: str | None = None,
        wall_offset: float = 0.0,
        origin: float = 0.0,
    ) -> None:
        self._wall_offset = wall_offset
        self._origin = origin
        self.known: dict[bytes, Event] = {}
        self.parsed = 0
        self._sequence_at = _finder(sequence_path or "sequence")
        self._time_at = _finder(time_path or "timestamp")
        self.read = self._reader()

    def _reader(self) -> Callable[[bytes], Event]:
        # Two generations: what was not asked for during a whole one is forgotten.
        young = self.known
        old: dict[bytes, Event] = {}
        young_bytes = 0
        parse = self._parse

        def read(payload: bytes) -> Event:
            nonlocal young_bytes
            event = young.get(payload)
            if event is not None:
                return event
            event = old.get(payload)
            if event is None:
                event = parse(payload)
            if len(young) >= _KEPT or young_bytes > _KEPT_BYTES:
                # In their places: `known` is looked into by others.
                old.clear()
                old.update(young)
                young.clear()
                young_bytes = 0
            young[payload] = event
            young_bytes += len(payload)
            return event

        return read

    def _parse(self, payload: bytes) -> Event:
        self.parsed += 1
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError):
            return _OTHER
        if not isinstance(message, dict):
            return _OTHER
        sequence = _whole_number(self._sequence_at(message))
        if sequence is None and message.get("type") == "ping":
            return _PING
        run = message.get("run_id")
        due = moment_of(self._time_at(message))
        if due is not None:
            due -= self._wall_offset
        return Event(
            run=run if isinstance(run, str) else "",
            sequence=sequence,
            due=due,
            second=0 if due is None else int(due - self._origin),
        )


def moment_of(value: object) -> float | None:
    """Return the seconds since 1970 that a value means; None when it means no time of day.

    ISO 8601 text, which is UTC where it does not tell; or a number, also as text, of seconds or,
    from 100 000 000 000 on, of milliseconds. Whatever lies before the year 2000 is taken for no
    time of day.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _iso(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    seconds = value / 1_000 if _MILLISECONDS_FROM <= value < _LATEST_MILLISECONDS else value
    return float(seconds) if _EARLIEST <= seconds < _MILLISECONDS_FROM else None


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= _EARLIEST else None


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _finder(path: str) -> Callable[[Any], object]:
    """Make the function that finds what is at a dotted path, None where there is nothing."""
    steps = path.split(".")
    if len(steps) == 1:
        only = steps[0]
        return lambda message: message.get(only)

    def find(message: Any) -> object:
        for step in steps:
            if isinstance(message, dict):
                message = message.get(step)
            elif isinstance(message, list) and step.isdecimal() and int(step) < len(message):
                message = message[int(step)]
            else:
                return None
        return message

    return find
