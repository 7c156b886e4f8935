"""An application's ping, and a client's answer to it: the same in process and over TCP."""

import json
from typing import Any

__all__ = ["is_ping", "pong"]


def is_ping(message: str | bytes) -> bool:
    """Tell whether a message is ``{"type": "ping", …}``, whatever else it holds, in any order.

    It decodes the JSON: where many messages come, look first whether ``"ping"`` is in it at all.
    """
    try:
        form = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(form, dict) and form.get("type") == "ping"


def pong(time: float, *, timestamp: int | None = None) -> dict[str, Any]:
    """Return the answer to a ping.

    Args:
        time: the loop's, in seconds.
        timestamp: said instead, in milliseconds.
    """
    return {"type": "pong", "timestamp": int(time * 1000) if timestamp is None else timestamp}
