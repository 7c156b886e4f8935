"""Fake clients by what is wrong with them: named constructors of `FakeClient`."""

from typing import TypedDict, Unpack

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import Fault, SendDelay, SlowReader
from simulators.wire import Wire

__all__ = [
    "ClientOptions",
    "DeadClient",
    "HealthyClient",
    "LookAlike",
    "SlowClient",
    "StalledClient",
]

_SLOW_BYTES_PER_SECOND = 1_000.0


class ClientOptions(TypedDict, total=False):
    """What every named constructor passes on to `FakeClient`."""

    wire: Wire
    name: str
    accepted: bool
    abortable: bool
    path: str


def HealthyClient(**options: Unpack[ClientOptions]) -> FakeClient:  # noqa: N802  # reads as the client that it returns
    """Return a client that reads everything as it comes."""
    return FakeClient(Behaviour.healthy(), **options)


def SlowClient(  # noqa: N802  # reads as the client that it returns
    *,
    bytes_per_second: float | None = None,
    delay: float | None = None,
    **options: Unpack[ClientOptions],
) -> FakeClient:
    """Return a client that is too slow.

    By default it reads 1000 bytes/s from buffers that are full: its first send waits 49 seconds.

    Args:
        bytes_per_second: how fast it reads; 1000 unless `delay` is given.
        delay: instead, or besides: how many seconds each send takes, whatever its size.
        options: see `FakeClient`.
    """
    faults: list[Fault] = []
    if bytes_per_second is not None or delay is None:
        rate = _SLOW_BYTES_PER_SECOND if bytes_per_second is None else bytes_per_second
        faults.append(SlowReader(bytes_per_second=rate))
    if delay is not None:
        faults.append(SendDelay(seconds=delay))
    return FakeClient(Behaviour(name="slow", faults=tuple(faults)), **options)


def StalledClient(  # noqa: N802  # reads as the client that it returns
    *,
    after_messages: int | None = None,
    after_seconds: float | None = None,
    resume_after: float | None = None,
    **options: Unpack[ClientOptions],
) -> FakeClient:
    """Return a client that stops reading and keeps its connection.

    By default it reads nothing at all, and its first send waits for ever.

    Args:
        after_messages: it reads this many messages first.
        after_seconds: it reads for this long first.
        resume_after: it reads again this many seconds after it stalled.
        options: see `FakeClient`.
    """
    behaviour = Behaviour.stalled(
        after_messages=after_messages, after_seconds=after_seconds, resume_after=resume_after
    )
    return FakeClient(behaviour, **options)


def DeadClient(  # noqa: N802  # reads as the client that it returns
    *,
    after_messages: int | None = None,
    after_seconds: float | None = None,
    **options: Unpack[ClientOptions],
) -> FakeClient:
    """Return a client that dies with a TCP reset, without a close frame.

    By default it is dead already: its first send raises ``WebSocketDisconnect(1006)``.

    Args:
        after_messages: it reads this many messages first.
        after_seconds: it lives this long first.
        options: see `FakeClient`.
    """
    behaviour = Behaviour.dead(after_messages=after_messages, after_seconds=after_seconds)
    return FakeClient(behaviour, **options)


class LookAlike:
    """A fake client for managers that take anything with ``async send_text(str)``: it has no more.

    Args:
        client: the fake client behind it, where the test looks.
    """

    __slots__ = ("fake",)

    def __init__(self, client: FakeClient) -> None:
        self.fake = client

    def __hash__(self) -> int:
        """Return a number that does not change from run to run."""
        return hash(self.fake)

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same object."""
        return self is other

    def __repr__(self) -> str:
        """Show the client behind it."""
        return f"<LookAlike of {self.fake!r}>"

    async def send_text(self, data: str) -> None:
        """Send a text message."""
        await self.fake.send_text(data)
