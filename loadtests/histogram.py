"""A histogram of durations: log-linear, mergeable without loss, and small on disk."""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

__all__ = ["Histogram"]

_EXACT = 256
_HALF = _EXACT // 2
_BITS = 8


def _upper_edge(bucket: int) -> int:
    if bucket < _EXACT:
        return bucket
    shift = bucket // _HALF - 1
    return ((bucket - shift * _HALF + 1) << shift) - 1


class Histogram:
    """Counts durations in buckets less than 0.8 % wide, exact below 256 µs.

    Locust rounds response times to 10 ms between 100 ms and 1 s, too coarse for a limit in that
    range; this does not. A negative duration, which only a clock that stepped can give, counts as
    0 and in `negatives`.

    Attributes:
        count: durations recorded.
        total: their sum in seconds.
        maximum: the longest in seconds, exact; 0 when empty.
        minimum: the shortest in seconds, exact; 0 when empty.
        negatives: how many were below 0.
    """

    __slots__ = ("_buckets", "count", "maximum", "minimum", "negatives", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.maximum = 0.0
        self.minimum = 0.0
        self.negatives = 0

    def __eq__(self, other: object) -> bool:
        """Tell whether both hold the same counts; sums may differ by rounding."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self._buckets == other._buckets
            and (self.count, self.maximum, self.minimum, self.negatives)
            == (other.count, other.maximum, other.minimum, other.negatives)
            and math.isclose(self.total, other.total, abs_tol=1e-9)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable: typeshed wants a method here

    def __repr__(self) -> str:
        """Show what matters in a failed assertion."""
        return f"Histogram(count={self.count}, p50={self.quantile(0.5)}, max={self.maximum})"

    def record(self, seconds: float) -> None:
        """Count one duration."""
        if seconds < 0:
            self.negatives += 1
            seconds = 0.0
        # Written out, for it is done for each message of a run.
        bucket = int(seconds * 1_000_000)
        if bucket >= _EXACT:
            shift = bucket.bit_length() - _BITS
            bucket = shift * _HALF + (bucket >> shift)
        buckets = self._buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if seconds > self.maximum:  # noqa: PLR1730 - a call costs more
            self.maximum = seconds
        if not self.count or seconds < self.minimum:
            self.minimum = seconds
        self.count += 1
        self.total += seconds

    def record_all(self, durations: Iterable[float]) -> None:
        """Count many durations: for each as `record`, at less than half of its cost."""
        buckets, count = self._buckets, self.count
        total, minimum, maximum = self.total, self.minimum, self.maximum
        if not count:
            minimum = math.inf
        for seconds in durations:
            if seconds < 0:
                self.negatives += 1
                seconds = 0.0  # noqa: PLW2901 - as in `record`
            bucket = int(seconds * 1_000_000)
            if bucket >= _EXACT:
                shift = bucket.bit_length() - _BITS
                bucket = shift * _HALF + (bucket >> shift)
            if bucket in buckets:
                buckets[bucket] += 1
            else:
                buckets[bucket] = 1
            if seconds > maximum:  # noqa: PLR1730 - a call costs more
                maximum = seconds
            if seconds < minimum:  # noqa: PLR1730 - the same
                minimum = seconds
            count += 1
            total += seconds
        self.count, self.total, self.maximum = count, total, maximum
        self.minimum = minimum if count else 0.0

    def merge(self, other: "Histogram") -> None:
        """Add another's counts; the result is as if all had been recorded here."""
        if not other.count:
            return
        for bucket, count in other._buckets.items():  # noqa: SLF001 - of the same class
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self.total += other.total
        self.negatives += other.negatives

    def quantile(self, fraction: float, *, missing: int = 0) -> float:
        """Return the duration that this fraction did not exceed, in seconds; 0 when empty.

        `missing` counts what should have been recorded and never came: it is later than everything,
        so the answer is infinite when the fraction reaches into it.

        Nearest rank. At most 0.8 % and 1 µs above the true value, and never below it by more
        than the 1 µs to which durations are cut.
        """
        if not self.count and not missing:
            return 0.0
        rank = max(1, math.ceil(fraction * (self.count + missing)))
        if rank > self.count:
            return math.inf
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(_upper_edge(bucket) / 1_000_000, self.maximum)
        return self.maximum

    def milliseconds(self) -> dict[int, int]:
        """Return the counts by whole milliseconds, as locust's statistics hold them."""
        counts: dict[int, int] = {}
        for bucket, count in self._buckets.items():
            middle = (_upper_edge(bucket - 1) + 1 + _upper_edge(bucket)) / 2
            key = round(middle / 1_000)
            counts[key] = counts.get(key, 0) + count
        return counts

    def between(self, edges: Sequence[float]) -> list[int]:
        """Return how many durations lie below the first edge, between two, and above the last.

        Args:
            edges: seconds, rising. A bucket that an edge cuts counts where its upper end lies.
        """
        counts = [0] * (len(edges) + 1)
        for bucket, count in self._buckets.items():
            counts[bisect.bisect_left(edges, _upper_edge(bucket) / 1_000_000)] += count
        return counts

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; `from_json` gives an equal histogram back."""
        return {
            "count": self.count,
            "total": self.total,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "negatives": self.negatives,
            "buckets": {str(bucket): self._buckets[bucket] for bucket in sorted(self._buckets)},
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Self:
        """Read a histogram back from its JSON form."""
        histogram = cls()
        histogram._buckets = {int(bucket): count for bucket, count in form["buckets"].items()}
        histogram.count = form["count"]
        histogram.total = form["total"]
        histogram.minimum = form["minimum"]
        histogram.maximum = form["maximum"]
        histogram.negatives = form["negatives"]
        return histogram
