"""What goes wrong on the server's side, done to any manager that has ``broadcast``.

The faults themselves are data (`simulators.faults`). Those of one client are not here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Literal, NamedTuple, NoReturn, Protocol

from flock_ws.events import MessagePublishedEvent, StreamingOutputEvent, VisibilitySpec
from simulators.clock import SimLoop
from simulators.errors import NotSeen
from simulators.faults import (
    CancelBroadcast,
    HistoryOverflow,
    HookRaises,
    JoinDuringStream,
    LoopBlock,
    ShutdownWithStalled,
    UnserializableEvent,
)

__all__ = [
    "Broadcaster",
    "Joined",
    "RaisingHook",
    "Stallable",
    "block_loop",
    "cancel_broadcast",
    "join_during_stream",
    "overflow_history",
    "shut_down_with_stalled",
    "streamed",
    "unserializable_event",
]

_EXCEPTIONS: dict[str, type[Exception]] = {
    "RuntimeError": RuntimeError,
    "ValueError": ValueError,
    "KeyError": KeyError,
}


class Broadcaster(Protocol):
    """A manager, as far as it is needed here."""

    def broadcast(self, event: Any, /) -> Awaitable[Any]:
        """Send an event to all clients."""


class Stallable(Protocol):
    """A client that can be told to stop reading."""

    def stall(self) -> None:
        """Stop reading."""


class Joined(NamedTuple):
    """What a client had that joined during a stream: sequence numbers, in order."""

    history: list[int]
    live: list[int]


class RaisingHook:
    """A callback that raises each time.

    Args:
        fault: what it raises.

    Attributes:
        calls: the arguments of each call.
    """

    def __init__(self, fault: HookRaises) -> None:
        self._fault = fault
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> NoReturn:
        """Remember the call, and raise."""
        self.calls.append(arguments)
        raise _EXCEPTIONS[self._fault.exception](f"{self._fault.hook} was made to raise")


def block_loop(fault: LoopBlock) -> None:
    """Block the running event loop. In virtual time it takes none; elsewhere it really sleeps."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimLoop):
        loop.block(fault.seconds)
    else:
        time.sleep(fault.seconds)


async def cancel_broadcast(
    manager: Broadcaster, event: Any, fault: CancelBroadcast
) -> Literal["cancelled", "done"]:
    """Broadcast an event, cancel the caller where the fault says, and return how it ended.

    It is ``done`` when the broadcast had ended before, or swallowed the cancellation.

    Raises:
        Exception: what the broadcast raises instead.
    """

    async def call() -> None:
        await _Counted(manager.broadcast(event), cancel_at=fault.at_await)

    task = asyncio.create_task(call())
    if fault.at_await == 0:
        task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    task.result()
    return "done"


class _Counted:
    """Awaits something, and cancels the task that does when it has waited so often."""

    def __init__(self, inner: Awaitable[Any], *, cancel_at: int) -> None:
        self._inner = inner
        self._cancel_at = cancel_at

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        waits = 0
        answer: BaseException | None = None
        while True:
            try:
                waited_for = next(steps) if answer is None else steps.throw(answer)
            except StopIteration as end:
                return end.value
            waits += 1
            if waits == self._cancel_at and (task := asyncio.current_task()) is not None:
                task.cancel()
            answer = None
            try:
                yield waited_for
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the inner one's
                answer = error


def unserializable_event(fault: UnserializableEvent) -> MessagePublishedEvent:
    """Return an event that cannot be encoded as JSON."""
    payload: dict[str, Any] = {"number": 1}
    match fault.how:
        case "object":
            payload["value"] = object()
        case "surrogate":
            payload["value"] = "\ud800"
        case "circular":
            payload["value"] = payload
    # Validation would refuse some of them, and copy the others.
    return MessagePublishedEvent.model_construct(
        correlation_id="incident",
        artifact_id="incident",
        artifact_type="Broken",
        produced_by="incident",
        payload=payload,
        visibility=VisibilitySpec(kind="Public"),
        tags=[],
        consumers=[],
    )


async def shut_down_with_stalled(
    manager: Any, clients: Iterable[Stallable], fault: ShutdownWithStalled, *, limit: float = 60.0
) -> float:
    """Stall so many of the clients, shut the manager down, and return how long that took.

    Raises:
        NotSeen: it took longer than `limit`, and was cancelled.
    """
    stalled = list(clients)[: fault.clients]
    for client in stalled:
        client.stall()
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(limit):
            await manager.shutdown()
    except TimeoutError:
        raise NotSeen(
            f"shutdown() with {len(stalled)} stalled clients had not returned after {limit:g} s"
        ) from None
    return loop.time() - began


def streamed(agent: str, sequence: int) -> StreamingOutputEvent:
    """Return the streaming event of this number."""
    return StreamingOutputEvent(
        correlation_id="incident",
        agent_name=agent,
        run_id="incident",
        output_type="llm_token",
        content=f"token {sequence}",
        sequence=sequence,
    )


async def overflow_history(manager: Broadcaster, fault: HistoryOverflow) -> range:
    """Broadcast more streaming events than the history holds.

    Returns:
        The sequence numbers that a correct history holds now.
    """
    total = fault.limit + fault.more
    for sequence in range(total):
        await manager.broadcast(streamed(fault.agent, sequence))
    return range(fault.more, total)


async def join_during_stream(
    manager: Any,
    client: Any,
    fault: JoinDuringStream,
    *,
    join: Callable[[Any], Awaitable[Any]] | None = None,
    history: Callable[[str], Iterable[StreamingOutputEvent]] | None = None,
) -> Joined:
    """Stream events, and have a client join in the middle and take the history at once.

    Args:
        manager: broadcasts.
        client: a `FakeClient`, accepted.
        fault: how many events before and after.
        join: ``manager.add_client`` by default.
        history: ``manager.get_streaming_history`` by default.

    Returns:
        The sequence numbers in the history, and those that the client received.
    """
    for sequence in range(fault.before):
        await manager.broadcast(streamed(fault.agent, sequence))

    async def go_on() -> None:
        for sequence in range(fault.before, fault.before + fault.after):
            await manager.broadcast(streamed(fault.agent, sequence))
            await asyncio.sleep(0)

    stream = asyncio.create_task(go_on())
    await (join or manager.add_client)(client)
    past = [event.sequence for event in (history or manager.get_streaming_history)(fault.agent)]
    await stream
    live = [
        StreamingOutputEvent.model_validate_json(text).sequence
        for text in client.messages
        if '"sequence"' in text
    ]
    return Joined(past, live)
