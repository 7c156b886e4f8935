"""Every number the manager keeps to, in one frozen dataclass."""

import math
from dataclasses import dataclass, fields
from typing import TypedDict

__all__ = ["LimitOptions", "Limits", "check_seconds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The promises of a manager as numbers. Durations are seconds, sizes are bytes on the wire.

    The defaults of `send_timeout` and `history_limit` are the original manager's; the others are
    ours.

    Attributes:
        send_timeout: a client whose single send takes longer is evicted.
        max_lag_bytes: a client with a send in flight that is further behind is evicted. One
            message alone never breaks this limit, however large.
        max_lag_messages: the same, in messages.
        close_timeout: what a close may take before the connection is aborted, where the server
            lets us, or given up.
        history_limit: streaming events remembered for each agent; 0 remembers none.
        history_agents: agents remembered; beyond it the agent silent longest is forgotten.
        history_bytes: bytes remembered over all agents; beyond it the oldest events go first.
        max_clients: clients in the pool; beyond it `add_client` raises `PoolFull`.
        heartbeat_jitter: each heartbeat comes up to this much late, at random.
        pong_timeout: a client that answers no application ping in this time is evicted.
        ack_interval: a client on a direct connection is asked for an acknowledgement at most so
            often, and only while data is outstanding.
        ack_timeout: one that acknowledges nothing in this time, and whose buffers have not drained
            by a byte, is evicted, long before megabytes pile up. Not promised: that a client stays
            which is further behind than this and reads no faster than events come.

    None means: no limit.

    Raises:
        ValueError: a number that means nothing (negative, NaN, infinite, zero where nothing could
            ever be kept); the message names the field.
    """

    send_timeout: float = 0.5
    max_lag_bytes: int = 4 * 1024 * 1024
    max_lag_messages: int = 65_536
    close_timeout: float = 1.0
    history_limit: int = 128_344
    history_agents: int | None = None
    history_bytes: int | None = None
    max_clients: int | None = None
    heartbeat_jitter: float = 0.0
    pong_timeout: float | None = None
    ack_interval: float = 1.0
    ack_timeout: float | None = 10.0

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name in _OPTIONAL:
                continue
            if field.name in _SECONDS:
                check_seconds(field.name, value, zero=field.name in _MAY_BE_ZERO)
            else:
                _check_count(field.name, value, zero=field.name in _MAY_BE_ZERO)


class LimitOptions(TypedDict, total=False):
    """The fields of `Limits` as keywords of the manager's constructor."""

    send_timeout: float
    max_lag_bytes: int
    max_lag_messages: int
    close_timeout: float
    history_limit: int
    history_agents: int | None
    history_bytes: int | None
    max_clients: int | None
    heartbeat_jitter: float
    pong_timeout: float | None
    ack_interval: float
    ack_timeout: float | None


_SECONDS = frozenset(
    {
        "send_timeout",
        "close_timeout",
        "heartbeat_jitter",
        "pong_timeout",
        "ack_interval",
        "ack_timeout",
    }
)
_OPTIONAL = frozenset(
    {"history_agents", "history_bytes", "max_clients", "pong_timeout", "ack_timeout"}
)
_MAY_BE_ZERO = frozenset({"heartbeat_jitter", "history_limit"})


def check_seconds(name: str, value: object, *, zero: bool = False) -> None:
    """Refuse what is no duration in seconds.

    Args:
        name: the field, for the message.
        value: what was given.
        zero: whether 0 means something.

    Raises:
        ValueError: not a finite number, negative, or 0 where that means nothing.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (value == 0 and not zero):  # type: ignore[arg-type, operator]  # `number` narrows it
        bound = "at least 0" if zero else "above 0"
        raise ValueError(f"{name} must be a finite number of seconds {bound}, not {value!r}")


def _check_count(name: str, value: object, *, zero: bool) -> None:
    least = 0 if zero else 1
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
