"""Events that a server publishes by itself, to be looked at or measured."""

import asyncio
import itertools
import logging
import uuid
from typing import Any

from flock_ws import foreign
from flock_ws.events import StreamingOutputEvent

__all__ = ["AGENT", "publish_steadily"]

AGENT = "synthetic"
"""The agent whose output the events are."""

_SIZE_BYTES = 300
_TEXT = "An event like any other, of 300 bytes, made by flock-ws to be looked at and measured. "
_MOST_AT_ONCE = 64
_FORGIVEN = 1.0

logger = logging.getLogger("flock_ws.synthetic")


async def publish_steadily(manager: Any, *, rate: float) -> None:
    """Publish ``rate`` streaming events of about 300 bytes a second, until cancelled.

    Each has a fixed time of its own, so the rate does not drift; ``sequence`` counts from 0 within
    one run id for each call. After a delay the events of up to one second are made up for; what
    is older was never an event, and leaves no hole in the sequence.

    A manager whose ``broadcast`` must be awaited is awaited, as a publisher of its application
    would. An exception of the manager is logged once for each type and stops nothing.
    """
    loop = asyncio.get_running_loop()
    run_id = uuid.uuid4().hex
    room = _SIZE_BYTES - len(_event(run_id, 0, "").model_dump_json())
    content = (_TEXT * room)[:room]
    sequence = itertools.count()
    seen: set[type[Exception]] = set()
    due = loop.time()
    while True:
        now = loop.time()
        due = max(due, now - _FORGIVEN)
        for _ in range(_MOST_AT_ONCE):
            if due > now:
                break
            due += 1 / rate
            event = _event(run_id, next(sequence), content)
            try:
                await foreign.publish_through(manager, (event,))
            except Exception as error:
                if type(error) not in seen:
                    seen.add(type(error))
                    logger.exception("%s failed to publish", foreign.name_of(manager))
        await asyncio.sleep(max(0.0, due - loop.time()))


def _event(run_id: str, sequence: int, content: str) -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id=run_id,
        agent_name=AGENT,
        run_id=run_id,
        output_type="llm_token",
        content=content,
        sequence=sequence,
    )
