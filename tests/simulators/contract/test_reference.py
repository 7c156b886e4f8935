"""The reference keeps every check, MUST and SHOULD, on all tiers, by one door or another."""

import functools
from typing import Any

import pytest

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from flock_ws.doors import Doors
from simulators.contract import (
    CHECKS,
    ContractTests,
    Names,
    Profile,
    Report,
    Result,
    check_application,
    check_manager,
    select_checks,
)

pytestmark = pytest.mark.usefixtures("spared")

# What it offers only when it is asked to, by its options or by its application.
ASKED_FOR = {
    "heartbeat.half_open_is_noticed": "pong_timeout",
    "heartbeat.jitter": "heartbeat_jitter",
    "history.agents_are_bounded": "history_agents",
    "history.bytes_are_bounded": "history_bytes",
    "history.only_what_can_be_sent": "it keeps more than the original promises",
    "pool.nobody_before_accept": "it takes sockets that are accepted: its caller accepts",
    "recovery.sequence": "the number is the event's own",
}
# A caller gets all that is remembered in one list, as from the original. The application serves it
# in pages: tests/flock_ws/test_app.py has the tests.
NEVER = {"history.read_in_pages"}

ASKED: dict[str, Any] = {
    "pong_timeout": 4.0,
    "heartbeat_jitter": 2.0,
    "history_agents": 5,
    "history_limit": 1_000,
}
EVERYTHING = Profile(**ASKED, sequence="sequence", history_sendable_only=True)


OFFERED = [check.id for check in select_checks(None) if check.id not in {*ASKED_FOR, *NEVER}]


class AsAnEndpointUsesIt(WebSocketManager):
    """Accepts whom it adds, as an endpoint does before it."""

    async def connect(self, websocket: Any) -> None:
        await websocket.accept()
        await self.add_client(websocket)


def verdicts(report: Report, verdict: str) -> set[str]:
    return {result.check_id for result in report.results if result.verdict == verdict}


class TestReference(ContractTests):
    """As it comes, with a history of its real size: each check passes, and none is skipped."""

    factory = WebSocketManager
    select = OFFERED

    def judge(self, result: Result) -> None:
        assert result.verdict == "pass", result.message


@pytest.fixture(scope="module")
def asked() -> Report:
    """Judge it on all that it offers at once."""
    factory = functools.partial(AsAnEndpointUsesIt, **ASKED)
    return check_manager(factory, profile=EVERYTHING, names=Names(join="connect"))


def test_asked_for_everything_it_keeps_everything(asked: Report) -> None:
    assert verdicts(asked, "fail") == set()
    assert verdicts(asked, "unknown") == set()
    # A bound in bytes would contradict one in events: it has a test of its own.
    assert verdicts(asked, "not_offered") == {*NEVER, "history.bytes_are_bounded"}


@pytest.mark.parametrize(
    ("select", "options"),
    [
        ("history.bytes_are_bounded", {"history_bytes": 100_000}),
        ("history", {"history_limit": 100}),
        ("delivery,evict", {"send_timeout": 0.25}),
    ],
    ids=["bytes", "limit", "timeout"],
)
def test_it_keeps_what_it_promises_with_other_numbers(select: str, options: dict[str, Any]) -> None:
    factory = functools.partial(WebSocketManager, **options)
    report = check_manager(factory, select=select, profile=Profile(**options))
    assert verdicts(report, "fail") == set()
    (name,) = options
    assert any(name == CHECKS[check_id].promise for check_id in verdicts(report, "pass"))


def test_every_check_in_virtual_time_is_passed_by_one_door_or_another(asked: Report) -> None:
    passed = {*OFFERED, *verdicts(asked, "pass"), "history.bytes_are_bounded"}
    assert {check.id for check in select_checks(None)} - passed == NEVER


# On sockets the manager has its tests in test_tcp_runner.py; the size of an event is for the
# application to refuse.
@pytest.mark.sockets
def test_the_application_sends_nobody_an_event_that_is_too_large() -> None:
    most = 65_536
    report = check_application(
        lambda: create_app(doors=Doors(max_body_bytes=most)),
        select="sockets.oversized_event_closes_nobody",
        profile=Profile(event_bytes=most),
    )
    assert verdicts(report, "pass") == {"sockets.oversized_event_closes_nobody"}
