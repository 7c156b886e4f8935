"""The record of a run, from which every answer, table and file is computed.

All times are run time: seconds since the run began, on the monotonic clock. Nothing here measures.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from loadtests.histogram import Histogram

__all__ = [
    "Block",
    "ClientRecord",
    "EvictionRecord",
    "GeneratorRecord",
    "GeneratorResults",
    "HistogramField",
    "HistoryReading",
    "PresenceRecord",
    "PublisherRecord",
    "Record",
    "ReturnRecord",
    "ServerRecord",
    "ServerSample",
    "window",
]


def _histogram(value: Any) -> Any:
    return value if isinstance(value, Histogram) else Histogram.from_json(value)


HistogramField = Annotated[
    Histogram, BeforeValidator(_histogram), PlainSerializer(Histogram.to_json)
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class ReturnRecord(_Model):
    """A client that dropped its connection and came back.

    Attributes:
        dropped_at: when it dropped it.
        back_at: when it was connected again; None when it never was.
        served_at: when the first event came to it after that; None when none did.
    """

    dropped_at: float
    back_at: float | None = None
    served_at: float | None = None


class HistoryReading(_Model):
    """One answer to a client that asked for the server's history.

    Attributes:
        at: when it was asked for.
        status: of the answer; 0 when there was none.
        events: how many of this run's publisher it held.
        seconds: what the answer took.
        newest: the sequence number of the last one of this run's publisher.
        total: how many events it held, whoever published them.
        known: the highest number that this client had received before it asked: a correct
            history holds it, or newer ones.
        whole: whether the numbers of this run's publisher followed one another without a gap.
    """

    client: str
    at: float
    status: int
    events: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    newest: int | None = None
    total: int = 0
    known: int | None = None
    whole: bool = True


class ClientRecord(_Model):
    """What one client did and saw.

    Attributes:
        name: as the server knows it.
        cohort: the name of its cohort in the scenario.
        connected_at: None when it never connected; `error` says why.
        faulty_at: when it turned slow, stalled or died.
        hung_up_at: when its TCP connection was seen to be ended by the server, without reading.
        closed_at: when it saw the end of its connection; with `closed_code` and `closed_reason`.
        released: whether the end was its own doing.
        looked_again: whether it read again at the end of the run, to see whether the server had
            ended its connection meanwhile.
        received: events of this run that it took, each counted once.
        first: the first sequence number that it took.
        expected: one more than the highest that it took.
        gaps: numbers below `expected` that never came.
        others: messages that were no event of this run.
        untimed: events of this run without a time that could be read.
        after_close: messages that came after the server's close frame.
        pings: the server's application pings.
        sent: messages or events that it sent to the server by itself.
        refused: those of them that the server did not take.
        returns: each time that it dropped its connection to come back.
    """

    name: str
    cohort: str
    connected_at: float | None = None
    connect_time: float | None = None
    error: str | None = None
    faulty_at: float | None = None
    hung_up_at: float | None = None
    closed_at: float | None = None
    closed_code: int | None = None
    closed_reason: str = ""
    released: bool = False
    looked_again: bool = False
    received: int = 0
    received_bytes: int = 0
    first: int | None = None
    expected: int = 0
    gaps: int = 0
    duplicates: int = 0
    disordered: int = 0
    others: int = 0
    untimed: int = 0
    after_close: int = 0
    pings: int = 0
    sent: int = 0
    refused: int = 0
    returns: list[ReturnRecord] = Field(default_factory=list)

    def missed(self, *, start: int | None, end: int) -> int:
        """Return how many of the numbers from `start` to before `end` did not come.

        `start` is None where only what came after the client's first event can be asked for.
        """
        if self.first is None:
            return max(0, end - start) if start is not None else 0
        head = max(0, self.first - start) if start is not None else 0
        return head + self.gaps + max(0, end - self.expected)


class EvictionRecord(_Model):
    """An eviction as the server's manager tells it."""

    client: str
    reason: str
    code: int | None = None
    at: float
    gone_at: float | None = None
    lag_messages: int = 0
    lag_bytes: int = 0
    lag_seconds: float = 0.0
    error: str | None = None


class PresenceRecord(_Model):
    """When a client was seen at the server, to the grain of the polls.

    Attributes:
        seen_at: first seen.
        out_of_pool_at: first seen outside the manager's pool after having been in it.
        gone_at: first poll in which its endpoint had ended.
    """

    client: str
    seen_at: float
    out_of_pool_at: float | None = None
    gone_at: float | None = None


class ServerSample(_Model):
    """One answer of the server's statistics; None where a manager does not tell.

    Attributes:
        lag_messages, lag_bytes, lag_seconds: of the client that is furthest behind.
        history: events in the server's history.
        waited: seconds for which its process had been ready to run and had no core, so far; only
            of a server on this machine.
    """

    at: float
    connections: int | None = None
    clients: int | None = None
    published: int | None = None
    delivered: int | None = None
    evicted: int | None = None
    closing: int | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = None
    tasks: int | None = None
    loop_lag: float | None = None
    lag_messages: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    history: int | None = None
    waited: float | None = None


class ServerRecord(_Model):
    """What was seen of the server.

    Attributes:
        url: where the clients connected.
        manager: its name, where the server tells.
        started_here: whether it was this run's own process.
        tuned: whether its buffers are those of our server, so that the pipe is known.
        offers_evictions: whether its manager keeps a record of evictions.
        offers_connections: whether it lists its open endpoints.
        offers_pool: whether it tells which of them are in the manager's pool.
        died_at: when it was found dead, with `death` saying how.
        silent: the longest time for which it gave no statistics.
    """

    url: str
    manager: str | None = None
    started_here: bool = False
    tuned: bool = False
    offers_evictions: bool = False
    offers_connections: bool = False
    offers_pool: bool = False
    died_at: float | None = None
    death: str | None = None
    silent: float = 0.0
    evictions: list[EvictionRecord] = Field(default_factory=list)
    presences: list[PresenceRecord] = Field(default_factory=list)
    samples: list[ServerSample] = Field(default_factory=list)


class Block(_Model):
    """A publication that took long: when it began, how long, and whether it ever returned."""

    at: float
    seconds: float
    returned: bool


class PublisherRecord(_Model):
    """What was published. The ground truth for loss.

    Attributes:
        due: events whose time came.
        sent: events in requests that were sent.
        accepted: events in requests that the server answered with success.
        refusals: answers that were no success, and errors of the connection, by their text.
        blocks: requests that took longer than half a second, in order.
        late: how late its own timer was at worst while no request was under way.
    """

    started_at: float
    ended_at: float
    due: int = 0
    sent: int = 0
    accepted: int = 0
    requests: int = 0
    longest: float = 0.0
    late: float = 0.0
    refusals: dict[str, int] = Field(default_factory=dict)
    blocks: list[Block] = Field(default_factory=list)


class GeneratorRecord(_Model):
    """How the generator itself fared.

    Attributes:
        lag: how late its loop's timer was.
        lags: the same for each second of run time.
        cpu: the share of one core that its process used from the first connection on.
        waited: the share of the time for which its loop was ready to run and had no core; None
            where the system does not tell.
        messages: all that its clients took.
        loop: the event loop's class.
        processes: how many shared the clients.
        error: why it failed, if it did.
    """

    lag: HistogramField = Field(default_factory=Histogram)
    lags: dict[int, HistogramField] = Field(default_factory=dict)
    cpu: float = 0.0
    waited: float | None = None
    messages: int = 0
    loop: str = ""
    processes: int = 1
    error: str | None = None


class GeneratorResults(_Model):
    """What the generator's process hands back at its end.

    Attributes:
        series: for each cohort, the push latencies of the events of each second of run time. The
            second is that in which the event was due, not that in which it came.
        spread: for each event, the time from its first healthy receiver to its last.
        statistics: locust's own entries.
        ping_intervals: between two of the server's application pings at the same client.
        ping_jitter: how far each of these was from the interval that the scenario asks for.
        history: what was answered to those who asked for the server's history.
    """

    clients: list[ClientRecord]
    series: dict[str, dict[int, HistogramField]]
    spread: HistogramField
    generator: GeneratorRecord
    statistics: list[dict[str, Any]] = Field(default_factory=list)
    ping_intervals: HistogramField = Field(default_factory=Histogram)
    ping_jitter: HistogramField = Field(default_factory=Histogram)
    history: list[HistoryReading] = Field(default_factory=list)


class Record(_Model):
    """Everything that a verdict needs to know of a run.

    Attributes:
        publisher: None when the run only listened.
        publishing: when events were due, or listened for: from, to.
        faults_at: when the faulty clients turned faulty.
        interrupted_at: when somebody ended the run early.
        sequence_path: where a foreign server's events were said to carry their number.
        time_path: the same for their time.
    """

    scenario: dict[str, Any]
    command: str = ""
    began: str = ""
    environment: dict[str, Any] = Field(default_factory=dict)
    server: ServerRecord
    publisher: PublisherRecord | None = None
    publishing: tuple[float, float] = (0.0, 0.0)
    faults_at: float = 0.0
    ended_at: float = 0.0
    interrupted_at: float | None = None
    sequence_path: str | None = None
    time_path: str | None = None
    results: GeneratorResults


def window(
    series: dict[int, Histogram], *, start: float = float("-inf"), end: float = float("inf")
) -> Histogram:
    """Merge the seconds that lie whole between `start` and `end`."""
    merged = Histogram()
    for second, histogram in series.items():
        if second >= start and second + 1 <= end:
            merged.merge(histogram)
    return merged
