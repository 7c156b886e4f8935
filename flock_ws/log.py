"""BroadcastLog: each event encoded once, numbered, its bytes counted.

The log knows where its readers stand but not who they are: it keeps a count of readers for each
number. Entries that every reader has taken are dropped at once, so the log is empty while nobody
is behind, and as long as the reader furthest behind otherwise. Nothing here does I/O or reads a
clock.
"""

from flock_ws.delivery import Delivery
from flock_ws.statistics import Lag

__all__ = ["BroadcastLog", "Entry"]


class Entry:
    """One event in the log.

    Attributes:
        text: the JSON text, encoded once for all clients.
        size_bytes: its size as UTF-8.
        end_bytes: bytes of all events up to and with this one, since the log began.
        time: loop time of its publication.
        delivery: who is told when every reader has it.
        frame: the text as a WebSocket frame, made when the first client needs it.
        deflated: the same, compressed, by the window that its readers agreed on.
    """

    __slots__ = (
        "deflated",
        "delivery",
        "end_bytes",
        "evicted",
        "frame",
        "left",
        "size_bytes",
        "text",
        "time",
    )

    def __init__(
        self, text: str, size_bytes: int, *, end_bytes: int, time: float, delivery: Delivery
    ) -> None:
        self.text = text
        self.size_bytes = size_bytes
        self.end_bytes = end_bytes
        self.time = time
        self.delivery = delivery
        self.frame: bytes | None = None
        self.deflated: dict[int, bytes] | None = None
        # Readers lost, as differences to the entry before: a reader that is lost while it stands
        # at number n counts from n on, up to the entry that was newest then.
        self.evicted = 0
        self.left = 0


class BroadcastLog:
    """The events that some reader has not taken yet, in the order of publication.

    Attributes:
        start: number of the oldest event still needed by a reader; `end` when there is none.
        end: number that the next event will have.
        start_bytes: bytes of all events before `start`.
        end_bytes: bytes of all events ever appended.
    """

    __slots__ = (
        "_entries",
        "_evicted",
        "_left",
        "_next_evicted",
        "_next_left",
        "_readers",
        "_stepped",
        "_steps",
        "end",
        "end_bytes",
        "start",
        "start_bytes",
    )

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self.start_bytes = 0
        self.end_bytes = 0
        self._entries: dict[int, Entry] = {}
        self._readers: dict[int, int] = {}
        self._evicted = 0
        self._left = 0
        self._next_evicted = 0
        self._next_left = 0
        self._stepped = -1
        self._steps = 0

    def __len__(self) -> int:
        """Return how many events are kept."""
        return len(self._entries)

    def __getitem__(self, number: int) -> Entry:
        """Return the event with this number, which must lie between `start` and `end`."""
        return self._entries[number]

    def append(self, text: str, size_bytes: int, *, time: float, readers: int) -> Delivery:
        """Add an event that `readers` readers are to take."""
        delivery = Delivery(self.end, readers)
        self.end_bytes += size_bytes
        entry = Entry(text, size_bytes, end_bytes=self.end_bytes, time=time, delivery=delivery)
        entry.evicted, self._next_evicted = self._next_evicted, 0
        entry.left, self._next_left = self._next_left, 0
        self._entries[self.end] = entry
        self.end += 1
        if not readers:
            self._advance()
        return delivery

    def join(self) -> int:
        """Add a reader that takes what comes from now on; return the number it stands at."""
        self._readers[self.end] = self._readers.get(self.end, 0) + 1
        return self.end

    def move(self, old: int, new: int, count: int = 1) -> None:
        """Note that `count` readers which stood at `old` now stand at `new`."""
        if self._steps:
            self.settle()
        readers = self._readers
        readers[new] = readers.get(new, 0) + count
        if readers[old] == count:
            del readers[old]
            if old == self.start:
                self._advance()
        else:
            readers[old] -= count

    def step(self, number: int) -> None:
        """Note that one reader which stood at `number` has taken that event.

        Many readers do so one after the other, which is counted here and seen to by `settle`:
        until then `start` and deliveries do not show it.
        """
        if number != self._stepped:
            self.settle()
            self._stepped = number
        self._steps += 1

    def settle(self) -> None:
        """See to the steps that were counted."""
        count, self._steps = self._steps, 0
        if count:
            self.move(self._stepped, self._stepped + 1, count)

    def leave(self, number: int, *, evicted: bool) -> None:
        """Take away a reader that stands at `number`; it will not have what it has not taken."""
        if self._steps:
            self.settle()
        if number < self.end:
            entry = self._entries[number]
            if evicted:
                entry.evicted += 1
                self._next_evicted -= 1
            else:
                entry.left += 1
                self._next_left -= 1
        if self._readers[number] == 1:
            del self._readers[number]
            if number == self.start:
                self._advance()
        else:
            self._readers[number] -= 1

    def lag(self, number: int, *, now: float) -> Lag:
        """Return how far behind a reader is that stands at `number`."""
        if number >= self.end:
            return Lag()
        entry = self._entries[number]
        lag_bytes = self.end_bytes - entry.end_bytes + entry.size_bytes
        return Lag(self.end - number, lag_bytes, now - entry.time)

    def _advance(self) -> None:
        """Drop what every reader has, and settle its deliveries."""
        readers = self._readers
        while self.start < self.end and self.start not in readers:
            entry = self._entries.pop(self.start)
            self._evicted += entry.evicted
            self._left += entry.left
            self.start += 1
            self.start_bytes = entry.end_bytes
            entry.delivery.finish(evicted=self._evicted, left=self._left)
