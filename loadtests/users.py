"""Locust users that hold a WebSocket, one class for each kind of `loadtests.kinds`.

They live in locust's life cycle and appear in its statistics: each connection as ``WS connect
<cohort>``, the pushes as ``WS push <cohort>`` with their latency as response time, a connection
that the server ended as ``WS close <cohort> <code>``, a return as ``WS return <cohort>``. The
sockets themselves are carried by one `loadtests.engine.Engine` for each locust process, outside of
gevent.

Use them in a locustfile as you use ``HttpUser``: subclass one, and give a host::

    from loadtests.users import SlowUser, ViewerUser

    class Dashboard(ViewerUser):
        host = "ws://127.0.0.1:8000/ws"

    class Snail(SlowUser):
        host = "ws://127.0.0.1:8000/ws"
        options = {"bytes_per_second": 50.0}
        turns = 5.0

Importing this module imports locust, which patches the whole process.
"""

import http.client
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar

import gevent
from locust import User, constant, events, task
from locust.env import Environment

from loadtests.attendance import engine_of, join
from loadtests.errors import LoadTestError, ScenarioError
from loadtests.kinds import KINDS
from loadtests.members import Member
from loadtests.readings import read_history
from loadtests.service import Service
from simulators.behaviours import Behaviour
from simulators.events import numbered_events

__all__ = [
    "DeadUser",
    "FlappingUser",
    "FlockUser",
    "FlooderUser",
    "HalfOpenUser",
    "HistoryReaderUser",
    "NeverPongsUser",
    "PublisherUser",
    "PulsingUser",
    "SlowUser",
    "StalledUser",
    "ViewerUser",
    "engine_of",
]

_ANSWER_LIMIT = 10.0
_EVENTS_AT_ONCE = 1_000
_EVENTS_PATH = "/api/events"

# Its clock stood still while all this was imported, and locust's run time would begin before that.
gevent.get_hub().loop.update_now()


class FlockUser(User):
    """One user with a WebSocket connection. It connects once and stays.

    Attributes:
        kind: what it does, a key of `loadtests.kinds.KINDS`.
        cohort: what it is counted under; the kind by default.
        options: those of the kind that differ from its defaults.
        turns: when it comes to misbehave, or to do what its kind does beside reading.
        joins: when it connects; at once when None.
        leaves: when it closes by itself; at the end of the test when None.
        member: its client in the engine.

    Times are seconds from the moment at which locust started the user; under a plan of
    ``flock-ws load`` they are seconds of publishing.
    """

    abstract = True
    wait_time = constant(60.0)
    kind: ClassVar[str] = "viewer"
    cohort: str = ""
    options: ClassVar[Mapping[str, Any]] = {}
    turns: float | None = None
    joins: float | None = None
    leaves: float | None = None
    member: Member

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse options that the kind does not take."""
        super().__init_subclass__(**arguments)
        if cls.kind not in KINDS:
            raise ScenarioError(
                f"{cls.__name__}: kind must be one of {', '.join(KINDS)}, not {cls.kind!r}"
            )
        KINDS[cls.kind].complete(cls.options)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.cohort = self.cohort or self.kind
        self.settings = KINDS[self.kind].complete(self.options)
        own = [one for one in self.tasks if one is not FlockUser.stay]
        # Whoever adds tasks wants those, and no rounds of doing nothing between them.
        self.tasks = own or self.tasks
        self._since = 0.0

    def behaviour(self, after_seconds: float) -> Behaviour:
        """Return what its connection does; a faulty one turns faulty after this many seconds."""
        return KINDS[self.kind].behaviour(self.settings, after_seconds)

    def on_start(self) -> None:
        """Connect. A failure is a failed request, and the user stays without a connection."""
        engine = engine_of(self.environment, host=self.host)
        planned = engine.plan.scheduled
        self._since = engine.publishing_at if planned else time.monotonic()
        if self.joins is not None:
            self._wait_until(self._since + self.joins)
        faulty = KINDS[self.kind].faulty
        turns = self.turns if self.turns is not None or not faulty else 0.0
        turns_at = None if turns is None else max(self._since + turns, time.monotonic())
        self.member = member = Member(
            engine.new_name(self.cohort),
            self.cohort,
            kind=self.kind,
            options=self.settings,
            behaviour=self.behaviour(max(0.0, (turns_at or 0.0) - time.monotonic())),
            url=None if planned else self.environment.host or self.host,
            turns_at=turns_at,
            leaves_at=None if self.leaves is None else self._since + self.leaves,
        )
        engine.connect(member)
        error = LoadTestError(member.error) if member.error else None
        self.fire(f"connect {self.cohort}", seconds=member.connect_time or 0.0, error=error)
        if turns_at is not None and not faulty:
            self._wait_until(turns_at)

    def on_stop(self) -> None:
        """Close the connection without waiting, for the tail of a run must not be lost."""
        if hasattr(self, "member"):
            engine_of(self.environment).release(self.member)

    @task
    def stay(self) -> None:
        """Do nothing: what comes is taken outside of gevent."""

    def fire(
        self,
        name: str,
        *,
        seconds: float,
        size_bytes: int = 0,
        error: Exception | None = None,
        method: str = "WS",
    ) -> None:
        """Add an entry to locust's statistics."""
        self.environment.events.request.fire(
            request_type=method,
            name=name,
            response_time=seconds * 1_000,
            response_length=size_bytes,
            exception=error,
            context={},
        )

    def request(
        self, service: Service, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes, float, Exception | None]:
        """Send an HTTP request; return status, body, seconds and what went wrong, if it did."""
        began = time.monotonic()
        try:
            status, answer = service.request(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            return 0, b"", time.monotonic() - began, error
        wrong = None
        if status // 100 != 2:  # noqa: PLR2004 - the class of success
            wrong = LoadTestError(f"{method} {path}: status {status}")
        return status, answer, time.monotonic() - began, wrong

    def _wait_until(self, moment: float) -> None:
        gevent.sleep(max(0.0, moment - time.monotonic()))


class ViewerUser(FlockUser):
    """Reads everything as it comes."""

    abstract = True
    kind = "viewer"


class SlowUser(FlockUser):
    """Comes to read at a low steady rate: option ``bytes_per_second``."""

    abstract = True
    kind = "slow"


class PulsingUser(FlockUser):
    """Comes to read now and then: options ``on`` and ``off``, in seconds."""

    abstract = True
    kind = "pulsing"


class StalledUser(FlockUser):
    """Comes to stop reading, and keeps its connection."""

    abstract = True
    kind = "stalled"


class HalfOpenUser(FlockUser):
    """Comes to vanish without a word: option ``deaf``, whether its kernel is silent too."""

    abstract = True
    kind = "half_open"


class DeadUser(FlockUser):
    """Comes to die with a TCP reset, and does not come back."""

    abstract = True
    kind = "dead"


class FlappingUser(FlockUser):
    """Comes to drop and return, again and again: options ``up``, ``down``, ``spread``, ``ends``."""

    abstract = True
    kind = "flapping"


class NeverPongsUser(FlockUser):
    """Reads everything, and comes to answer no ping."""

    abstract = True
    kind = "never_pongs"


class FlooderUser(FlockUser):
    """Comes to send many messages: options ``rate`` and ``message_bytes``."""

    abstract = True
    kind = "flooder"


class HistoryReaderUser(FlockUser):
    """Asks for the server's history each ``interval`` seconds, at ``path``."""

    abstract = True
    kind = "history_reader"

    def wait_time(self) -> float:
        """Return the pause between two requests."""
        return float(self.settings["interval"])

    @task
    def read_history(self) -> None:
        """Ask once, and hold the answer against what this client has received."""
        engine = engine_of(self.environment)
        if not hasattr(self, "_service"):
            self._service = Service.of(engine.plan, timeout=_ANSWER_LIMIT)
        known = self.member.expected - 1
        at = time.monotonic() - engine.plan.origin
        status, body, seconds, error = self.request(self._service, "GET", self.settings["path"])
        reading = read_history(
            body,
            client=self.member.name,
            at=at,
            status=status,
            seconds=seconds,
            known=known if known >= 0 else None,
            run_id=engine.plan.run_id,
        )
        engine.note_history(reading)
        self.fire(
            f"history {self.cohort}",
            seconds=seconds,
            size_bytes=len(body),
            error=error,
            method="GET",
        )


class PublisherUser(FlockUser):
    """Publishes ``rate`` events of ``size_bytes`` a second, whatever the server does (open loop).

    The events carry a run of their own, so that they are not taken for those of the test's
    publisher. What was refused is not sent again.
    """

    abstract = True
    kind = "publisher"
    wait_time = constant(0.0)

    def on_start(self) -> None:
        """Connect, and make ready to publish."""
        super().on_start()
        engine = engine_of(self.environment)
        self._service = Service.of(engine.plan, timeout=_ANSWER_LIMIT)
        self._begun = time.monotonic()
        self._published = 0
        self._events = numbered_events(
            agent_name=self.cohort,
            run_id=self.member.name,
            size_bytes=self.settings["size_bytes"],
            stamp=lambda: datetime.now(UTC),
        )

    @task
    def publish(self) -> None:
        """Wait for the next event's time, and publish what is due."""
        rate = self.settings["rate"]
        self._wait_until(self._begun + self._published / rate)
        due = int((time.monotonic() - self._begun) * rate) + 1 - self._published
        number = max(1, min(due, _EVENTS_AT_ONCE))
        self._published += number
        lines = [
            f'{{"kind":"StreamingOutputEvent","event":{event.model_dump_json()}}}'
            for event in islice(self._events, number)
        ]
        body = f"[{','.join(lines)}]".encode()
        self.member.sent += number
        _, _, seconds, error = self.request(self._service, "POST", _EVENTS_PATH, body)
        self.member.refused += number if error else 0
        self.fire(
            f"publish {self.cohort}",
            seconds=seconds,
            size_bytes=len(body),
            error=error,
            method="POST",
        )


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def _join(environment: Environment, **_: Any) -> None:
    # A master and its workers need it whatever the locustfile says.
    join(environment)
