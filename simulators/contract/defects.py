"""The classes of mistakes in hand-written managers, by their numbers.

Collected from public issue trackers, from public projects with their own managers, and from
measurements. A check names those that it finds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["AREAS", "DEFECTS"]

AREAS: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {
        "Fan-out": {
            1: "the pool changes while it is iterated across an await, and the event is aborted",
            2: "removing from the list that is iterated skips the next client",
            3: "one client that fails aborts the event for those after it",
            4: "clients are served one after the other, so slow ones add up",
            5: "a send has no deadline",
            6: "the next event waits for the slowest client of this one",
            7: "a slow client is kept after its timeout and costs it again each time",
            8: "concurrent broadcasts arrive in another order",
            9: "two sends are under way on one connection",
            10: "a send that was cancelled is taken for unsent, or for sent",
            11: "a client is kept after it lost a message, and cannot know",
            12: "an event is serialised once for each client",
            13: "an event is serialised late, when it has changed",
            14: "an event that cannot be serialised evicts healthy clients, or is remembered",
            15: "one message that is too large closes everybody's connection",
            16: "a burst never gives the loop a turn",
            17: "tasks that nobody waits for are lost",
            18: "a call from another thread mixes frames",
        },
        "Eviction and membership": {
            19: "the socket of an evicted client is never closed",
            20: "a close without a bound is on the way of delivery",
            21: "a peer that does not read keeps its connection and buffer for ever",
            22: "removing a client twice raises",
            23: "a type of exception is missed",
            24: "a bare except swallows a cancellation",
            25: "a send that ended in CancelledError counts as success",
            26: "sends to a dead peer succeed, and nobody looks further",
            27: "the old connection's end removes the new one of the same id",
            28: "one socket that joins twice gets everything twice",
            29: "a client is pooled before it is accepted, or after it was closed",
            30: "an endpoint that only sends never hears of the disconnect",
            31: "how soon a dead peer is noticed depends on how much is sent",
            32: "a lock that is held across a send keeps others from joining",
            33: "a callback that broadcasts deadlocks",
        },
        "Heartbeat": {
            34: "the heartbeat awaits itself",
            35: "it runs twice",
            36: "it is lost: a task that has ended stands for one that runs",
            37: "one exception ends it for good",
            38: "a ping has no deadline",
            39: "the answer to a ping is never looked at",
            40: "a ping is stuck behind a full buffer",
            41: "everybody is pinged at the same moment",
            42: "it outlives the last client, or the shutdown",
        },
        "Memory, history, recovery": {
            43: "a client's queue has no bound",
            44: "it is bounded by count and not by bytes",
            45: "a client's writer task stays when the client leaves",
            46: "the oldest messages are dropped without a word",
            47: "an evicted client comes straight back, and is not told to wait",
            48: "the names of agents grow without bound, or asking for one creates it",
            49: "a history is bounded by count and not by bytes",
            50: "the cap is off by one, at the wrong end, or the live container is handed out",
            51: "a gap or a duplicate where history meets live events",
            52: "no sequence: a client can see neither a gap nor a restart",
            53: "copying a large history blocks the loop",
        },
        "Lifecycle, scale, diagnosis": {
            54: "the shutdown awaits closes without a bound",
            55: "the shutdown is not final, not idempotent, or not safe to cancel",
            56: "a close right after a send loses what was sent",
            57: "a wrong close code, or none; everybody comes back at the same moment",
            58: "asyncio's primitives are bound to a loop at import",
            59: "clients of other workers are missed",
            60: "the listener of a message broker dies silently",
            61: "a message broker echoes, doubles or reorders",
            62: "it cannot be diagnosed: empty messages, or a line for every event",
            63: "each client's messages are compressed anew",
            64: "it never ran on another server, loop or Python",
        },
    }
)
"""The classes by area, each with its number: what goes wrong, as a clause."""

DEFECTS: Final[Mapping[int, str]] = MappingProxyType(
    {number: text for classes in AREAS.values() for number, text in classes.items()}
)
"""All classes by number."""
