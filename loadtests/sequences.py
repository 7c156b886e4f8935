"""What one client received, held against what was sent: gaps, duplicates, disorder."""

__all__ = ["SequenceCheck"]

_TRACKED_GAP = 100_000


class SequenceCheck:
    """Follows the running numbers of one stream of events at one client.

    A number that was jumped over is missing until it comes; when it comes later the client got
    it out of order. It does not know what was sent last.

    Attributes:
        first: the first number that came, None before.
        expected: the number that must come next.
        received: numbers that came for the first time.
        duplicates: numbers that came again.
        disordered: numbers that came after a later one.
    """

    __slots__ = (
        "_holes",
        "_untracked",
        "disordered",
        "duplicates",
        "expected",
        "first",
        "received",
    )

    def __init__(self) -> None:
        self.first: int | None = None
        self.expected = 0
        self.received = 0
        self.duplicates = 0
        self.disordered = 0
        self._holes: set[int] = set()
        self._untracked = 0

    def take(self, number: int) -> None:
        """Count one number that came."""
        if number == self.expected and self.first is not None:
            self.expected = number + 1
            self.received += 1
        elif self.first is None:
            self.first = number
            self.expected = number + 1
            self.received = 1
        elif number > self.expected:
            self._jump(number)
        elif number in self._holes:
            self._holes.remove(number)
            self.disordered += 1
            self.received += 1
        else:
            self._before(number)

    def _jump(self, number: int) -> None:
        if number - self.expected > _TRACKED_GAP:
            self._untracked += number - self.expected
        else:
            self._holes.update(range(self.expected, number))
        self.expected = number + 1
        self.received += 1

    def _before(self, number: int) -> None:
        # Before the first one that came: not a second time, but late all the same.
        if self.first is not None and number < self.first:
            self._holes.update(range(number + 1, self.first))
            self.first = number
            self.disordered += 1
            self.received += 1
        else:
            self.duplicates += 1

    def absorb(self, other: "SequenceCheck") -> None:
        """Add the counts of a check that is over; `first` and `expected` stay one's own."""
        self.received += other.received
        self.duplicates += other.duplicates
        self.disordered += other.disordered
        self._untracked += other.gaps

    @property
    def gaps(self) -> int:
        """Numbers that were jumped over and never came."""
        return len(self._holes) + self._untracked
