"""What happened in a run, as data: `Trace`. Every verdict, table and picture is computed from it.

A trace holds entries: at this time, this one did or met that, with a value. It is kept in columns,
24 bytes an entry, so that a million deliveries fit in 24 MB; names, texts and other values that
repeat are kept once.

    trace = Trace()
    trace.watch(client)
    trace.watch_manager(manager)
    ...
    last = trace.tail(20)
    trace.write("run.jsonl")

Who writes what, and with which value:

========== ============= ==========================================================
who        what          value
========== ============= ==========================================================
client     received      the message's length, or what ``watch(value=…)`` makes of it
client     blocked       none: a send to it has begun to wait
client     unblocked     none: no send to it waits any more
client     stalled       none: it has stopped reading
client     resumed       none: it reads again
client     close_called  the code with which the application closed it
client     ended         the code with which it saw the connection end
schedule   seed          of the loop
schedule   permuted      how many steps, or timers, that were ready together
manager    published     the running number of the event, from 0
client     joined, left  none: in and out of the pool, by the application
client     evicted       the manager's reason
========== ============= ==========================================================

Anything else may be recorded besides.
"""

import gzip
import hashlib
import io
import json
import math
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO, cast

from simulators.errors import OptionError, SimulatorError
from simulators.lanes import Span, lanes
from simulators.watching import Value, watch_client, watch_manager, watch_schedule

__all__ = ["Entry", "Trace"]

_FORMAT = 1
_NONE, _INTEGER, _NUMBER, _OTHER = range(4)
_MOST_KINDS = 1 << 16
_DOUBLE = struct.Struct("<d")
_SAME_BITS = struct.Struct("<q")


class Entry(NamedTuple):
    """One thing that happened. ``time`` is the loop's, in seconds."""

    time: float
    who: str
    what: str
    value: Value = None


class Trace:
    """The history of a run: entries in the order in which they were recorded.

    It checks nothing about what is recorded but its form, and keeps everything: it has no bound.

    Args:
        about: what is worth knowing of the run as a whole, such as its seed: any JSON. It goes
            into the file, and not into the digest.

    Example:
        >>> trace = Trace(about={"seed": 7})
        >>> trace.record(0.5, "slow-1", "stalled")
        >>> trace.tail(1)
        ['       0.5 s  slow-1  stalled']
    """

    __slots__ = (
        "_kind_ids",
        "_kinds",
        "_name_ids",
        "_names",
        "_other_ids",
        "_others",
        "_tags",
        "_times",
        "_values",
        "_what",
        "_who",
        "about",
    )

    def __init__(self, *, about: Mapping[str, Any] | None = None) -> None:
        self.about: dict[str, Any] = dict(about or {})
        self._times = array("d")
        self._who = array("I")
        self._what = array("H")
        # How to read the value: eight bytes that are an integer, a double, or a place in _others.
        self._tags = array("B")
        self._values = array("q")
        self._name_ids: dict[str, int] = {}
        self._names: list[str] = []
        self._kind_ids: dict[str, int] = {}
        self._kinds: list[str] = []
        self._other_ids: dict[str, int] = {}
        self._others: list[str] = []

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._times)

    def __iter__(self) -> Iterator[Entry]:
        """Go through the entries in the order in which they were recorded."""
        return map(self._entry, range(len(self._times)))

    def __getitem__(self, index: int) -> Entry:
        """Return one entry; from the end when negative."""
        return self._entry(range(len(self._times))[index])

    def __repr__(self) -> str:
        """Show how much there is."""
        return f"<Trace of {len(self)} entries, {len(self._names)} names>"

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who did something, in order of appearance."""
        return tuple(self._names)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Everything that was done, in order of appearance."""
        return tuple(self._kinds)

    @property
    def memory_bytes(self) -> int:
        """What the columns take; names and repeated values come on top."""
        columns = (self._times, self._who, self._what, self._tags, self._values)
        return sum(column.__sizeof__() for column in columns)

    def record(self, time: float, who: str, what: str, value: Value = None) -> None:
        """Add an entry.

        Args:
            time: the loop's, in seconds.
            who: a client's name, ``manager``, ``schedule`` or another.
            what: the kind of the entry.
            value: any JSON. Texts, containers and large integers that differ each time cost about
                200 bytes each; other numbers nothing.

        Raises:
            OptionError: the time is no finite number, or the value no JSON.
        """
        name_id = self._name_ids.get(who)
        if name_id is None:
            name_id = _number(self._name_ids, self._names, who, "who")
        kind_id = self._kind_ids.get(what)
        if kind_id is None:
            if len(self._kinds) == _MOST_KINDS:
                raise OptionError(f"a trace takes {_MOST_KINDS} kinds of entries, not more")
            kind_id = _number(self._kind_ids, self._kinds, what, "what")
        if value is None:
            tag, bits = _NONE, 0
        elif type(value) is int and -(1 << 63) <= value < 1 << 63:
            tag, bits = _INTEGER, value
        elif type(value) is float and math.isfinite(value):
            tag, bits = _NUMBER, _SAME_BITS.unpack(_DOUBLE.pack(value))[0]
        else:
            tag, bits = _OTHER, self._place(value)
        if not math.isfinite(time):
            raise OptionError(f"a trace's time must be a finite number of seconds, not {time!r}")
        self._times.append(time)
        self._who.append(name_id)
        self._what.append(kind_id)
        self._tags.append(tag)
        self._values.append(bits)

    def of(self, who: str) -> list[Entry]:
        """Return the entries of one, in order; none for a name that is not there."""
        name_id = self._name_ids.get(who)
        return [self._entry(i) for i, found in enumerate(self._who) if found == name_id]

    def count(self, what: str, *, who: str | None = None) -> int:
        """Return how often something happened, in all or to one."""
        kind_id = self._kind_ids.get(what)
        if who is None:
            return sum(1 for found in self._what if found == kind_id)
        name_id = self._name_ids.get(who)
        pairs = zip(self._who, self._what, strict=True)
        return sum(1 for name, kind in pairs if kind == kind_id and name == name_id)

    def tail(self, count: int, *, who: str | Iterable[str] | None = None) -> list[str]:
        """Return the last entries as lines for a person.

        Args:
            count: how many at most.
            who: only of this one, or of these.
        """
        wanted = None
        if who is not None:
            names = [who] if isinstance(who, str) else list(who)
            wanted = {self._name_ids[name] for name in names if name in self._name_ids}
        found: list[Entry] = []
        for index in range(len(self) - 1, -1, -1):
            if len(found) >= count:
                break
            if wanted is None or self._who[index] in wanted:
                found.append(self._entry(index))
        found.reverse()
        width = max((len(entry.who) for entry in found), default=0)
        return [_line_for_a_person(entry, width) for entry in found]

    def digest(self) -> str:
        """Return a hash of the entries: the same for two runs in which the same happened."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def lanes(self, *, until: float | None = None) -> dict[str, list[Span]]:
        """Return what each client was like, span after span: see `simulators.lanes`.

        Args:
            until: where spans end that have not ended; the time of the last entry by default.
        """
        return lanes(self, until=until)

    # Recording by itself.

    def watch(
        self,
        client: Any,
        *,
        name: str | None = None,
        value: Callable[[str | bytes], Value] = len,
    ) -> None:
        """Record from now on what a fake client does and meets.

        Args:
            client: anything with an ``observer``, such as a `FakeClient`.
            name: shown in the trace; the client's own by default.
            value: what to record of a message that it has received: its length, or for instance
                ``lambda text: json.loads(text)["sequence"]``.

        Raises:
            SimulatorError: it cannot be watched, or another trace watches it.
        """
        watch_client(self.record, client, name=name, value=value)

    def watch_manager(self, manager: Any, *, name: str = "manager") -> None:
        """Record from now on what a manager publishes, and who joins, leaves and is evicted.

        It wraps, on this one object, what is there of ``publish``, ``broadcast``; ``add_client``,
        ``connect``; ``remove_client``, ``disconnect``; ``on_evict``. What is published is recorded
        before it is; a broadcast that publishes counts once.

        Raises:
            SimulatorError: it has neither ``publish`` nor ``broadcast``, or takes no attributes.
        """
        watch_manager(self.record, manager, name=name)

    def watch_schedule(self, loop: Any) -> None:
        """Record the seed of a `SimLoop`, and from now on each time that it permutes steps."""
        watch_schedule(self.record, loop)

    # In and out.

    def write(self, path: str | Path) -> None:
        """Write it as JSON lines; compressed when the path ends in ``.gz``.

        The first line is ``{"trace": 1, "about": …}``; each other ``[time, who, what]`` or
        ``[time, who, what, value]``.
        """
        head = json.dumps({"trace": _FORMAT, "about": self.about})
        with _open(Path(path), "w") as file:
            file.write(head + "\n")
            file.writelines(self._lines())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a trace back.

        Raises:
            SimulatorError: a line is not what it must be; it names the file and the line.
            OSError: the file cannot be read.
        """
        with _open(Path(path), "r") as file:
            trace = cls(about=_about(path, file.readline()))
            for number, line in enumerate(file, start=2):
                try:
                    trace.record(*_fields(json.loads(line)))
                except (ValueError, TypeError) as error:
                    raise SimulatorError(
                        f"{path}, line {number}: {_shortened(line)} is no entry of a trace, which "
                        f"is [time, who, what] or [time, who, what, value]: {error}"
                    ) from None
        return trace

    def _lines(self) -> Iterator[str]:
        # Two parts of each line repeat in nearly all of them: they are encoded once.
        names = [json.dumps(name) for name in self._names]
        kinds = [json.dumps(kind) for kind in self._kinds]
        columns = zip(self._times, self._who, self._what, self._tags, self._values, strict=True)
        for time, name_id, kind_id, tag, bits in columns:
            head = f"[{time!r},{names[name_id]},{kinds[kind_id]}"
            if tag == _NONE:
                yield head + "]\n"
            elif tag == _INTEGER:
                yield f"{head},{bits}]\n"
            elif tag == _NUMBER:
                yield f"{head},{_double(bits)!r}]\n"
            else:
                yield f"{head},{self._others[bits]}]\n"

    def _entry(self, index: int) -> Entry:
        tag, bits = self._tags[index], self._values[index]
        value: Value = None
        if tag == _INTEGER:
            value = bits
        elif tag == _NUMBER:
            value = _double(bits)
        elif tag == _OTHER:
            value = json.loads(self._others[bits])
        who, what = self._names[self._who[index]], self._kinds[self._what[index]]
        return Entry(self._times[index], who, what, value)

    def _place(self, value: Value) -> int:
        try:
            text = json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=True)
        except (TypeError, ValueError, RecursionError) as error:
            raise OptionError(f"a trace's value must be JSON, not {value!r}: {error}") from None
        place = self._other_ids.get(text)
        if place is None:
            place = self._other_ids[text] = len(self._others)
            self._others.append(text)
        return place


def _number(ids: dict[str, int], names: list[str], name: str, field: str) -> int:
    if not isinstance(name, str):
        raise OptionError(f"a trace's {field} must be text, not {name!r}")
    number = ids[name] = len(names)
    names.append(name)
    return number


def _double(bits: int) -> float:
    return cast("float", _DOUBLE.unpack(_SAME_BITS.pack(bits))[0])


def _line_for_a_person(entry: Entry, width: int) -> str:
    value = "" if entry.value is None else f" {entry.value}"
    return f"{entry.time:>10.6g} s  {entry.who:<{width}}  {entry.what}{value}"


def _about(path: str | Path, line: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    about = head.get("about") if isinstance(head, dict) else None
    if not isinstance(about, dict) or head.get("trace") != _FORMAT:
        raise SimulatorError(
            f"{path}, line 1: {_shortened(line)} is not the head of a trace, which is "
            f'{{"trace": {_FORMAT}, "about": {{…}}}}'
        )
    return about


def _fields(entry: Any) -> tuple[float, str, str, Value]:
    if not isinstance(entry, list) or len(entry) not in {3, 4}:
        raise ValueError("a list of 3 or 4 is expected")
    time = entry[0]
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise ValueError(f"the time must be a number, not {time!r}")  # noqa: TRY004  # the same
    return float(time), entry[1], entry[2], entry[3] if len(entry) > 3 else None  # noqa: PLR2004  # the value


def _shortened(line: str) -> str:
    line = line.strip()
    return repr(line if len(line) <= 60 else line[:59] + "…")  # noqa: PLR2004  # a line of an error


def _open(path: Path, mode: str) -> TextIO:
    if path.suffix == ".gz":
        # The time of writing would make two files of one run differ.
        if mode == "w":
            return io.TextIOWrapper(gzip.GzipFile(path, "wb", mtime=0), encoding="ascii")
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="ascii")
    return path.open(mode, encoding="ascii")  # type: ignore[return-value]  # text modes only
