"""What a scene of these tests is made of: who is there, what is said and heard, what time it is."""

import asyncio

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from simulators import FakeClient

__all__ = ["joined", "now", "numbers", "said"]


def said(
    number: int = 0, *, content: str = "hello", size_bytes: int = 0, agent: str = "agent"
) -> StreamingOutputEvent:
    """Return a piece of output; with `size_bytes` its content is that long."""
    return StreamingOutputEvent(
        correlation_id="c",
        agent_name=agent,
        run_id="r",
        output_type="stdout",
        content="x" * size_bytes if size_bytes else content,
        sequence=number,
    )


def numbers(client: FakeClient) -> list[int]:
    """Return the numbers of what a client was sent, in that order."""
    return [StreamingOutputEvent.model_validate_json(text).sequence for text in client.messages]


async def joined(manager: WebSocketManager, *clients: FakeClient) -> None:
    """Have clients join, one after the other."""
    for client in clients:
        await manager.add_client(client)


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()
