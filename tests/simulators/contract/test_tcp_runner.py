"""The checks on real sockets, and managers that would take them down."""

import asyncio
import functools
import importlib.util
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest

from flock_ws import WebSocketManager
from simulators.contract import (
    CHECKS,
    ContractTests,
    Profile,
    Report,
    Result,
    adapt,
    check_manager,
    examination,
    select_checks,
    serving,
    socket_bench,
    tcp_runner,
)
from simulators.contract.sites import ManagerSite
from simulators.errors import OptionError

pytestmark = pytest.mark.sockets

FLOCK = "flock_ws.uvicorn_protocol:FlockWebSocketProtocol"
ALL = {check.id for check in CHECKS.values() if check.tier == "sockets"}
# What the reference promises only when it is asked to, and what takes a server that can abort.
ASKED_FOR = {"sockets.oversized_event_closes_nobody", "sockets.quiet_half_open_peer_is_out"}
ABORTING = {"sockets.connection_is_freed"}


def verdicts(report: Report, verdict: str) -> dict[str, str]:
    return {
        result.check_id: result.message for result in report.results if result.verdict == verdict
    }


@pytest.fixture(scope="module")
def reference() -> dict[str, list[Result]]:
    """Run all checks on the reference, by the protocols of uvicorn and of ours beside each other.

    They are told of as well, as soon as they are certain.
    """
    adapter = adapt(WebSocketManager)
    jobs = [
        tcp_runner.Job(
            select_checks("sockets"),
            functools.partial(ManagerSite, adapter, protocol=protocol),
            Profile(),
        )
        for protocol in ("auto", FLOCK)
    ]
    told: list[Result] = []
    auto, flock = tcp_runner.run_jobs_on_sockets(jobs, together=8, progress=told.append)
    return {"uvicorn": auto, "flock": flock, "told": told}


@pytest.mark.parametrize(
    ("protocol", "without"), [("uvicorn", ASKED_FOR | ABORTING), ("flock", ASKED_FOR)]
)
def test_the_reference_keeps_every_check(
    protocol: str, without: set[str], reference: dict[str, list[Result]]
) -> None:
    found = {result.check_id: result.verdict for result in reference[protocol]}
    assert found == {
        **dict.fromkeys(ALL - without, "pass"),
        **dict.fromkeys(without, "not_offered"),
    }, [result.message for result in reference[protocol]]


def test_every_result_is_told_of_once(reference: dict[str, list[Result]]) -> None:
    results = [*reference["uvicorn"], *reference["flock"]]
    assert Counter(map(id, reference["told"])) == Counter(map(id, results))


def test_the_reference_notices_a_quiet_dead_peer_when_it_is_asked_to() -> None:
    report = check_manager(
        lambda **options: WebSocketManager(pong_timeout=0.5, **options),
        select="sockets.quiet_half_open_peer_is_out",
        profile=Profile(pong_timeout=0.5),
    )
    assert verdicts(report, "pass").keys() == {"sockets.quiet_half_open_peer_is_out"}


class Naive:
    """Sends in turn, without a deadline."""

    def __init__(self) -> None:
        self.clients: list[Any] = []

    async def add_client(self, websocket: Any) -> None:
        self.clients.append(websocket)

    async def remove_client(self, websocket: Any) -> None:
        self.clients.remove(websocket)

    async def broadcast(self, message: str) -> None:
        for client in self.clients:
            await client.send_text(message)


def run(kind: type, check_id: str = "sockets.everyone_gets_everything") -> Result:
    """Run one check on a manager, whose broadcasts may overtake each other: these do."""
    told: list[Result] = []
    profile = Profile(order="none")
    (result,) = check_manager(kind, select=check_id, profile=profile, progress=told.append).results
    assert told == [result]
    return result


@pytest.mark.usefixtures("impatient")
def test_a_failure_comes_with_the_lanes_of_its_clients() -> None:
    result = run(Naive, "sockets.stalled_reader_is_out")
    assert (result.verdict, result.tier) == ("fail", "sockets")
    assert result.evidence is not None
    lanes = {lane.client: lane for lane in result.evidence.lanes}
    assert lanes["stalled-1"].spans[-1][2] == "stalled"
    assert lanes["healthy-1"].marks[0][1] == "joined"
    assert result.evidence.ticks
    assert all(0 <= tick <= result.evidence.ends_at for tick in result.evidence.ticks)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will never happen."""
    monkeypatch.setattr(socket_bench, "_GRACE", 0.4)
    # What fails for a machine that is late by half a second is tried again.
    monkeypatch.setattr(socket_bench, "_PATIENCE", 1.0)
    monkeypatch.setattr(serving, "_STOP", 0.2)
    monkeypatch.setattr(examination, "_DETECTION", 0.3)


class Starved(tcp_runner.Hunger):
    """As on a machine whose cores others have."""

    def note(self, *, late: float, used: float) -> None:
        super().note(late=late + used + 1.0, used=used)


def test_only_what_others_took_is_hunger() -> None:
    hunger = tcp_runner.Hunger()
    hunger.note(late=0.3, used=0.5)
    assert hunger.seconds == 0.0
    hunger.note(late=0.3, used=0.1)
    assert hunger.seconds == pytest.approx(0.2)


@pytest.mark.usefixtures("impatient")
def test_what_fails_while_others_have_the_cores_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[socket_bench.SocketBench] = []

    class Try(socket_bench.SocketBench):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            tries.append(self)

    class SilentAtFirst(Naive):
        async def broadcast(self, message: str) -> None:
            if len(tries) != 1:
                await super().broadcast(message)

    monkeypatch.setattr(tcp_runner, "SocketBench", Try)
    monkeypatch.setattr(tcp_runner, "Hunger", Starved)
    result = run(SilentAtFirst)
    assert (result.verdict, len(tries)) == ("pass", 2), result.message


@pytest.mark.usefixtures("impatient")
def test_what_fails_again_while_others_have_the_cores_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(Naive):
        async def broadcast(self, message: str) -> None: ...

    # Nobody says anything, however long one listens.
    monkeypatch.setattr(socket_bench, "_GRACE", 0.1)
    monkeypatch.setattr(tcp_runner, "Hunger", Starved)
    result = run(Silent)
    assert result.verdict == "unknown"
    assert result.message.startswith("this machine is too busy to tell: nothing ran for ")


def test_who_ends_the_process_fails_and_the_process_goes_on() -> None:
    class Exits(Naive):
        async def broadcast(self, message: str) -> None:  # noqa: ARG002  # the manager's
            sys.exit("no broadcast today")

    result = run(Exits)
    assert result.verdict == "fail"
    assert "SystemExit(no broadcast today), which would end the server" in result.message


@pytest.mark.usefixtures("impatient")
def test_who_blocks_the_loop_fails_and_is_stopped() -> None:
    class Blocks(Naive):
        async def broadcast(self, message: str) -> None:  # noqa: ARG002  # the manager's
            while True:
                time.sleep(0.01)  # noqa: ASYNC251  # the mistake

    before = threading.active_count()
    result = run(Blocks)
    assert result.verdict == "fail"
    assert "had not returned" in result.message
    assert threading.active_count() <= before


@pytest.mark.usefixtures("impatient")
def test_who_hangs_in_a_join_fails() -> None:
    class Hangs(Naive):
        async def add_client(self, websocket: Any) -> None:  # noqa: ARG002  # the manager's
            await asyncio.Event().wait()

    result = run(Hangs)
    assert result.verdict == "fail"
    assert "joining of healthy-1 had not returned" in result.message


def test_who_raises_in_a_join_fails_with_what_it_raised() -> None:
    class Raises(Naive):
        async def add_client(self, websocket: Any) -> None:  # noqa: ARG002  # the manager's
            raise LookupError("no room")

    assert "LookupError: no room" in run(Raises).message


def test_without_a_server_they_are_not_offered_and_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = run(Naive)
    assert result.verdict == "not_offered"
    assert "pip install 'flock-ws[server]'" in result.message


def test_a_protocol_that_does_not_exist_is_an_error_of_usage() -> None:
    with pytest.raises(OptionError, match="--protocol nothing:Here"):
        check_manager(Naive, select="sockets.shutdown_code,D1,sockets", protocol="nothing:Here")


class TestByItself(ContractTests):
    factory = WebSocketManager
    select = "sockets.shutdown_code"
