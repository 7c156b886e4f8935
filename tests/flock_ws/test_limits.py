import dataclasses
import math
import typing

import pytest

from flock_ws import Limits, WebSocketManager
from flock_ws.limits import LimitOptions

SECONDS = [
    "send_timeout",
    "close_timeout",
    "heartbeat_jitter",
    "pong_timeout",
    "ack_interval",
    "ack_timeout",
]
COUNTS = [
    "max_lag_bytes",
    "max_lag_messages",
    "history_limit",
    "history_agents",
    "history_bytes",
    "max_clients",
]
MAY_BE_ZERO = ["heartbeat_jitter", "history_limit"]


def test_the_defaults_are_the_documented_ones() -> None:
    assert dataclasses.asdict(Limits()) == {
        "send_timeout": 0.5,
        "max_lag_bytes": 4_194_304,
        "max_lag_messages": 65_536,
        "close_timeout": 1.0,
        "history_limit": 128_344,
        "history_agents": None,
        "history_bytes": None,
        "max_clients": None,
        "heartbeat_jitter": 0.0,
        "pong_timeout": None,
        "ack_interval": 1.0,
        "ack_timeout": 10.0,
    }


@pytest.mark.parametrize("field", SECONDS + COUNTS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", True])
def test_a_number_that_means_nothing_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: value})  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("field", [name for name in SECONDS + COUNTS if name not in MAY_BE_ZERO])
def test_zero_is_refused_where_it_means_nothing(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


@pytest.mark.parametrize("field", MAY_BE_ZERO)
def test_zero_is_taken_where_it_means_something(field: str) -> None:
    assert getattr(Limits(**{field: 0}), field) == 0


def test_limits_cannot_be_changed() -> None:
    limits = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.send_timeout = 1.0  # type: ignore[misc]  # the mistake under test


def test_the_manager_takes_every_limit_as_a_keyword() -> None:
    assert typing.get_type_hints(LimitOptions) == typing.get_type_hints(Limits)


def test_a_keyword_overrides_the_same_field_of_limits() -> None:
    manager = WebSocketManager(limits=Limits(send_timeout=2.0, max_clients=3), send_timeout=1.0)
    assert (manager.limits.send_timeout, manager.limits.max_clients) == (1.0, 3)


@pytest.mark.parametrize("interval", [0, -1, math.nan, math.inf])
def test_an_impossible_heartbeat_interval_is_refused_by_name(interval: float) -> None:
    with pytest.raises(ValueError, match="heartbeat_interval"):
        WebSocketManager(heartbeat_interval=interval)
