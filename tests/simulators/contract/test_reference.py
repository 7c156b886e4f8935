"""The reference keeps every promise, by each of the doors."""

import functools
from typing import Any

import pytest

from flock_ws import WebSocketManager
from simulators.contract import CHECKS, ContractTests, Profile, check_manager


class TestReference(ContractTests):
    factory = WebSocketManager


@pytest.mark.parametrize(
    ("select", "profile", "options"),
    [
        ("heartbeat", Profile(pong_timeout=4.0), {"pong_timeout": 4.0}),
        ("heartbeat", Profile(heartbeat_jitter=2.0), {"heartbeat_jitter": 2.0}),
        ("history.agents_are_bounded", Profile(history_agents=5), {"history_agents": 5}),
        ("history.bytes_are_bounded", Profile(history_bytes=100_000), {"history_bytes": 100_000}),
        ("history", Profile(history_limit=100), {"history_limit": 100}),
        ("delivery,evict", Profile(send_timeout=0.25), {"send_timeout": 0.25}),
    ],
    ids=["pongs", "jitter", "agents", "bytes", "limit", "timeout"],
)
def test_it_keeps_what_it_promises_when_asked_for_more(
    select: str, profile: Profile, options: dict[str, Any]
) -> None:
    report = check_manager(
        functools.partial(WebSocketManager, **options), select=select, profile=profile
    )
    assert [result for result in report.results if result.verdict == "fail"] == []
    assert report.verdict == "pass"
    name = next(iter(options))
    offered = {result.check_id for result in report.results if result.verdict == "pass"}
    assert any(name == CHECKS[check_id].promise for check_id in offered)
