"""An application's ping, told from what only looks like one, and the answer to it."""

import pytest

from simulators.pings import is_ping, pong


@pytest.mark.parametrize(
    "message",
    ['{"type": "ping"}', b'{"type":"ping","timestamp":3}', '{"timestamp": 3, "type": "ping"}'],
)
def test_a_ping_is_one_by_its_type_wherever_that_stands(message: str | bytes) -> None:
    assert is_ping(message)


@pytest.mark.parametrize(
    "message",
    [
        '{"type": "pong"}',
        '{"what": "ping"}',
        '["ping"]',
        '"ping"',
        '{"type": "ping"',
        b"\xff\xfe",
        "",
    ],
)
def test_what_only_looks_like_a_ping_is_none(message: str | bytes) -> None:
    assert not is_ping(message)


def test_json_too_deep_to_be_read_is_no_ping() -> None:
    assert not is_ping("[" * 100_000)


def test_a_pong_tells_the_time_in_whole_milliseconds_or_what_it_is_told() -> None:
    assert pong(1.2399) == {"type": "pong", "timestamp": 1239}
    assert pong(1.2399, timestamp=-1) == {"type": "pong", "timestamp": -1}
