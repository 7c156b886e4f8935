"""StreamingHistory: the newest streaming events of each agent."""

import heapq
from collections import defaultdict, deque
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from flock_ws.events import StreamingOutputEvent
from flock_ws.limits import Limits

__all__ = ["StreamingHistory"]


class StreamingHistory(defaultdict[str, deque[StreamingOutputEvent]]):
    """A deque of events for each agent name, created on index and bounded by `Limits`.

    A caller may replace an agent's deque or append to it; what is in the deques is what counts.
    Events that a caller put there himself have no known size and are not part of `bytes`.
    Not safe to use from several threads.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(partial(deque, maxlen=limits.history_limit))
        self._limits = limits
        self._sizes: dict[str, deque[tuple[int, int]]] = {}
        self._heads: list[tuple[int, str]] = []
        self._number = 0
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Bytes remembered; counted only where `Limits.history_bytes` is set, else 0."""
        return self._bytes

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many events of each agent are remembered; a snapshot."""
        return MappingProxyType({agent: len(events) for agent, events in self.items()})

    def remember(self, event: StreamingOutputEvent, size_bytes: int) -> None:
        """Add an event at the new end of its agent's deque.

        Args:
            event: what to remember.
            size_bytes: its size on the wire.
        """
        agent = event.agent_name
        if self._limits.history_agents is not None:
            self._touch(agent, self._limits.history_agents)
        self[agent].append(event)
        if self._limits.history_bytes is not None:
            self._count(agent, size_bytes, self._limits.history_bytes)

    def _touch(self, agent: str, most: int) -> None:
        """Make the agent the one that spoke last, and forget the one silent longest."""
        if agent in self:
            self[agent] = self.pop(agent)
        while len(self) - (agent in self) >= most:
            silent = next(iter(self))
            del self[silent]
            self._settle(silent)

    def _count(self, agent: str, size_bytes: int, most: int) -> None:
        sizes = self._sizes.setdefault(agent, deque())
        if not sizes:
            heapq.heappush(self._heads, (self._number, agent))
        sizes.append((self._number, size_bytes))
        self._number += 1
        self._bytes += size_bytes
        self._settle(agent)
        while self._bytes > most and (oldest := self._oldest()) is not None:
            self[oldest].popleft()
            self._settle(oldest)

    def _settle(self, agent: str) -> None:
        """Take off the sizes of events that are no longer in the agent's deque."""
        kept = len(self[agent]) if agent in self else 0
        sizes = self._sizes.get(agent, deque())
        while len(sizes) > kept:
            self._bytes -= sizes.popleft()[1]
        if not sizes:
            self._sizes.pop(agent, None)
        if kept == 0:
            self.pop(agent, None)

    def _oldest(self) -> str | None:
        """Return the agent that holds the oldest event of known size."""
        while self._heads:
            number, agent = self._heads[0]
            sizes = self._sizes.get(agent)
            if not sizes:
                heapq.heappop(self._heads)
            elif sizes[0][0] != number:
                heapq.heapreplace(self._heads, (sizes[0][0], agent))
            else:
                return agent
        return None
