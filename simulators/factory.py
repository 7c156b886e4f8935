"""Fake clients as a test orders them: one or several of a kind, remembered in order."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Unpack, overload

from simulators.behaviours import Behaviour, require
from simulators.clients import FakeClient
from simulators.errors import OptionError
from simulators.named import ClientOptions, DeadClient, HealthyClient, SlowClient, StalledClient

__all__ = ["ClientFactory"]


class ClientFactory:
    """Makes fake clients, names them by kind and number, and remembers them.

    It heals nothing and closes nothing. Each method returns one client, or a list when it is asked
    for a number.

    Args:
        made: called with each client that was made.

    Attributes:
        clients: all that were made, in order.

    Example:
        >>> clients = ClientFactory()
        >>> clients.stalled()
        <FakeClient stalled-1 stalled, 0 received, open>
        >>> [client.name for client in clients.healthy(2)]
        ['healthy-1', 'healthy-2']
    """

    def __init__(self, *, made: Callable[[FakeClient], object] | None = None) -> None:
        self.clients: list[FakeClient] = []
        self._made = made
        self._numbers: Counter[str] = Counter()

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<ClientFactory, {len(self.clients)} made>"

    def __iter__(self) -> Iterator[FakeClient]:
        """Give all that were made, in order."""
        return iter(self.clients)

    def __len__(self) -> int:
        """Return how many were made."""
        return len(self.clients)

    @overload
    def healthy(self, count: None = None, **options: Unpack[ClientOptions]) -> FakeClient: ...
    @overload
    def healthy(self, count: int, **options: Unpack[ClientOptions]) -> list[FakeClient]: ...
    def healthy(
        self, count: int | None = None, **options: Unpack[ClientOptions]
    ) -> FakeClient | list[FakeClient]:
        """Make clients that read everything as it comes; see `HealthyClient`."""
        return self._make("healthy", count, lambda more: HealthyClient(**more), options)

    @overload
    def slow(
        self,
        count: None = None,
        *,
        bytes_per_second: float | None = None,
        delay: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient: ...
    @overload
    def slow(
        self,
        count: int,
        *,
        bytes_per_second: float | None = None,
        delay: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> list[FakeClient]: ...
    def slow(
        self,
        count: int | None = None,
        *,
        bytes_per_second: float | None = None,
        delay: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient | list[FakeClient]:
        """Make clients that are too slow; see `SlowClient`."""
        return self._make(
            "slow",
            count,
            lambda more: SlowClient(bytes_per_second=bytes_per_second, delay=delay, **more),
            options,
        )

    @overload
    def stalled(
        self,
        count: None = None,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        resume_after: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient: ...
    @overload
    def stalled(
        self,
        count: int,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        resume_after: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> list[FakeClient]: ...
    def stalled(
        self,
        count: int | None = None,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        resume_after: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient | list[FakeClient]:
        """Make clients that stop reading and keep their connection; see `StalledClient`."""
        return self._make(
            "stalled",
            count,
            lambda more: StalledClient(
                after_messages=after_messages,
                after_seconds=after_seconds,
                resume_after=resume_after,
                **more,
            ),
            options,
        )

    @overload
    def dead(
        self,
        count: None = None,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient: ...
    @overload
    def dead(
        self,
        count: int,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> list[FakeClient]: ...
    def dead(
        self,
        count: int | None = None,
        *,
        after_messages: int | None = None,
        after_seconds: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> FakeClient | list[FakeClient]:
        """Make clients that die with a TCP reset; see `DeadClient`."""
        return self._make(
            "dead",
            count,
            lambda more: DeadClient(
                after_messages=after_messages, after_seconds=after_seconds, **more
            ),
            options,
        )

    @overload
    def of(
        self, behaviour: Behaviour, count: None = None, **options: Unpack[ClientOptions]
    ) -> FakeClient: ...
    @overload
    def of(
        self, behaviour: Behaviour, count: int, **options: Unpack[ClientOptions]
    ) -> list[FakeClient]: ...
    def of(
        self, behaviour: Behaviour, count: int | None = None, **options: Unpack[ClientOptions]
    ) -> FakeClient | list[FakeClient]:
        """Make clients of any behaviour.

        Raises:
            BehaviourError: it is none, or cannot be produced in process.
        """
        require(behaviour, wire="in process")
        return self._make(
            behaviour.name, count, lambda more: FakeClient(behaviour, **more), options
        )

    def _make(
        self,
        kind: str,
        count: int | None,
        make: Callable[[ClientOptions], FakeClient],
        options: ClientOptions,
    ) -> FakeClient | list[FakeClient]:
        if count is not None and (type(count) is not int or count < 0):
            raise OptionError(f"{kind}: how many clients must be a whole number, not {count!r}")
        made = []
        for _ in range(1 if count is None else count):
            self._numbers[kind] += 1
            named: ClientOptions = {"name": f"{kind}-{self._numbers[kind]}"}
            client = make({**named, **options})
            made.append(client)
            self.clients.append(client)
            if self._made is not None:
                self._made(client)
        return made[0] if count is None else made
