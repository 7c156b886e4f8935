"""Mistakes with what is kept: backlogs, tasks, entries, history."""

import asyncio
from collections import defaultdict, deque
from typing import Any, ClassVar

from flock_ws.events import StreamingOutputEvent

from .sound import Member, SoundManager

__all__ = [
    "AskingCreates",
    "CopiesAllForAPage",
    "CountsMessagesOnly",
    "ForgetsTheCap",
    "HandsOutTheContainer",
    "HistoryWithoutBytes",
    "KeepsANote",
    "KeepsNames",
    "KeepsTheOldest",
    "LeaksItsWriters",
    "NewestFirstHistory",
    "OffByOne",
    "RemembersAfterwards",
    "RemembersAnEventThatCannotGo",
    "RemembersForEachClient",
    "RemembersOnlyIfSomebodyListens",
    "SharesOneHistory",
    "SharesOneList",
    "UnboundedQueue",
]


class UnboundedQueue(SoundManager):
    """A queue without a bound and a timeout that only a silent client breaks: memory grows."""

    DEFECTS = (43,)
    KILLED_BY = ("memory.slow_client_backlog_is_bounded",)
    send_timeout = 60.0

    def lags(self, member: Member) -> bool:
        return False


class CountsMessagesOnly(SoundManager):
    """The backlog is bounded in messages: a thousand of a megabyte are a gigabyte."""

    DEFECTS = (44,)
    KILLED_BY = ("memory.slow_client_backlog_is_bounded",)

    def lags(self, member: Member) -> bool:
        return len(member.waiting) > self.most_waiting


class LeaksItsWriters(SoundManager):
    """Leaving forgets the writer: it waits for news for ever, with its client in its hand."""

    DEFECTS = (45,)
    KILLED_BY = ("memory.no_leak_of_tasks", "memory.no_leak_of_clients_with_churn")

    def let_go(self, member: Member) -> None:
        for message in member.waiting:
            message.settle()


class KeepsANote(SoundManager):
    """Notes by client that nobody takes out: every connection of the year is still there."""

    DEFECTS = (45,)
    KILLED_BY = ("memory.no_leak_of_clients_with_churn",)

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.connected_at: dict[Any, float] = {}

    def enrol(self, websocket: Any) -> Member:
        self.connected_at[websocket] = asyncio.get_running_loop().time()
        return super().enrol(websocket)


class AskingCreates(SoundManager):
    """A `defaultdict` and an index: whoever asks for names fills the memory."""

    DEFECTS = (48,)
    KILLED_BY = ("history.unknown_agent_leaves_no_trace",)

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.history = defaultdict(lambda: deque(maxlen=self.history_limit))

    def remember(self, event: StreamingOutputEvent) -> None:
        self.history[event.agent_name].append(event)

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(self.history[agent_name])


class KeepsNames(SoundManager):
    """Bounded for each name, and names without a bound."""

    DEFECTS = (48,)
    KILLED_BY = ("history.agents_are_bounded",)
    history_agents = 1_000_000_000


class HistoryWithoutBytes(SoundManager):
    """Bounded in events and not in bytes: a hundred thousand of a megabyte are allowed."""

    DEFECTS = (49,)
    KILLED_BY = ("history.bytes_are_bounded",)
    PROFILE: ClassVar[dict[str, Any]] = {"history_bytes": 1_000_000}


class OffByOne(SoundManager):
    """Trims before it appends: one more than the cap."""

    DEFECTS = (50,)
    KILLED_BY = ("history.cap_is_exact",)

    def remember(self, event: StreamingOutputEvent) -> None:
        events = self.history.setdefault(event.agent_name, deque())
        while len(events) > self.history_limit:
            events.popleft()
        events.append(event)


class ForgetsTheCap(SoundManager):
    """No cap at all: the history of a chatty agent takes the server down in a week."""

    DEFECTS = (49, 50)
    KILLED_BY = ("history.cap_is_exact",)

    def remember(self, event: StreamingOutputEvent) -> None:
        self.history.setdefault(event.agent_name, deque()).append(event)


class KeepsTheOldest(SoundManager):
    """Stops remembering when it is full: the page shows last week."""

    DEFECTS = (50,)
    KILLED_BY = ("history.newest_kept_in_order", "history.cap_is_exact")

    def remember(self, event: StreamingOutputEvent) -> None:
        events = self.history.setdefault(event.agent_name, deque())
        if len(events) < self.history_limit:
            events.append(event)


class NewestFirstHistory(SoundManager):
    """`appendleft`: the newest comes first, and the page writes backwards."""

    DEFECTS = (50,)
    KILLED_BY = ("history.newest_kept_in_order",)

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(reversed(self.history.get(agent_name, ())))


class HandsOutTheContainer(SoundManager):
    """Returns what it keeps: a caller that sorts or clears it changes the history."""

    DEFECTS = (50,)
    KILLED_BY = ("history.copy_not_container",)

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.events: dict[str, list[StreamingOutputEvent]] = {}

    def remember(self, event: StreamingOutputEvent) -> None:
        events = self.events.setdefault(event.agent_name, [])
        events.append(event)
        del events[: -self.history_limit]

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return self.events.get(agent_name, [])


class SharesOneList(SoundManager):
    """One list for everybody without history: what one caller puts in, the next one finds."""

    DEFECTS = (50,)
    KILLED_BY = ("history.copy_not_container", "history.unknown_agent_leaves_no_trace")
    nothing: list[StreamingOutputEvent] = []

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return list(self.history[agent_name]) if agent_name in self.history else self.nothing


class SharesOneHistory(SoundManager):
    """One deque for all agents: a chatty one pushes the others out."""

    DEFECTS = (50,)
    KILLED_BY = ("history.agents_do_not_push_each_other_out",)

    def __init__(self, heartbeat_interval: float = 120, enable_heartbeat: bool = False) -> None:
        super().__init__(heartbeat_interval, enable_heartbeat)
        self.events: deque[StreamingOutputEvent] = deque(maxlen=self.history_limit)

    def remember(self, event: StreamingOutputEvent) -> None:
        self.events.append(event)

    def get_streaming_history(self, agent_name: str) -> list[StreamingOutputEvent]:
        return [event for event in self.events if event.agent_name == agent_name]


class RemembersAfterwards(SoundManager):
    """Remembers once everybody has it: who joins meanwhile finds it neither here nor there."""

    DEFECTS = (51,)
    KILLED_BY = ("history.meets_live_without_gap",)

    async def broadcast(self, event: Any) -> None:
        await self.deliver(self.encode(event))
        if isinstance(event, StreamingOutputEvent):
            self.remember(event)


class CopiesAllForAPage(SoundManager):
    """`newest` is there and forgotten: a page of ten copies and sends everything."""

    DEFECTS = (53,)
    KILLED_BY = ("history.read_in_pages",)

    def get_streaming_history(
        self, agent_name: str, *, newest: int | None = None
    ) -> list[StreamingOutputEvent]:
        return list(self.history.get(agent_name, ()))


class RemembersOnlyIfSomebodyListens(SoundManager):
    """Without clients it returns early: what happens at night is forgotten."""

    DEFECTS = (51,)
    KILLED_BY = ("history.remembers_without_clients",)

    async def broadcast(self, event: Any) -> None:
        if self.clients:
            await super().broadcast(event)


class RemembersForEachClient(SoundManager):
    """Remembers inside the loop over the clients: three clients, three entries."""

    DEFECTS = (51,)
    KILLED_BY = ("history.nothing_twice",)

    async def broadcast(self, event: Any) -> None:
        text = self.encode(event)
        for _ in range(max(1, len(self.clients))):
            if isinstance(event, StreamingOutputEvent):
                self.remember(event)
        await self.deliver(text)


class RemembersAnEventThatCannotGo(SoundManager):
    """Remembers before it encodes: history and wire differ when the event cannot be encoded."""

    DEFECTS = (14,)
    KILLED_BY = ("history.only_what_can_be_sent",)

    async def broadcast(self, event: Any) -> None:
        if isinstance(event, StreamingOutputEvent):
            self.remember(event)
        await self.deliver(self.encode(event))
