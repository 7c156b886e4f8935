"""The kit proves itself on the managers in ``contract_corpus``.

`benchmarks/kill_matrix.py` runs every check on every manager and writes ``docs/kill-matrix.md``;
here each faulty manager meets the checks that are meant for it.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import CHECKS, AdapterError, Names, Profile, Report, adapt, check_manager

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "kill-matrix.md"

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

FAULTY = catalogue.faulty_managers()
CORRECT = catalogue.correct_managers()
DESIGNS = catalogue.designs()

# All classes of docs/defects.md that fakes in virtual time can show.
SHOWN_BY_FAKES = {
    *(*range(1, 10), 11, 12, 13, 14, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29),
    *(32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53),
    *(54, 55, 58, 62),
}


SHOWN_ON_SOCKETS = {10, 15, 21, 26, 30, 31, 40, 56, 57}


def ids(kinds: list[type]) -> list[str]:
    return [f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}" for kind in kinds]


def fails(report: Report) -> dict[str, str]:
    return {
        result.check_id: result.message for result in report.results if result.verdict == "fail"
    }


# The faulty


def meant_for(kind: Any, tier: str) -> list[str]:
    return [check for check in kind.KILLED_BY if CHECKS[check].tier == tier]


VIRTUAL = [kind for kind in FAULTY if meant_for(kind, "virtual")]
ON_SOCKETS = [kind for kind in FAULTY if meant_for(kind, "sockets")]


@pytest.mark.parametrize("kind", VIRTUAL, ids=ids(VIRTUAL))
def test_a_check_that_is_meant_for_it_kills_the_fault(kind: Any) -> None:
    chosen = meant_for(kind, "virtual")
    report = check_manager(kind, profile=catalogue.profile_of(kind), select=chosen)
    assert fails(report), [f"{result.check_id}: {result.message}" for result in report.results]


@pytest.mark.sockets
@pytest.mark.parametrize("kind", ON_SOCKETS, ids=ids(ON_SOCKETS))
def test_every_check_on_sockets_that_is_meant_for_it_kills_the_fault(kind: Any) -> None:
    chosen = meant_for(kind, "sockets")
    report = check_manager(
        kind,
        profile=catalogue.profile_of(kind),
        select=chosen,
        protocol=catalogue.protocol_of(kind),
    )
    assert sorted(fails(report)) == sorted(chosen), [result.message for result in report.results]


def test_there_are_enough_of_them_each_with_a_story_of_its_own() -> None:
    stories = {kind.__doc__ for kind in FAULTY}
    assert len(stories) == len(FAULTY) >= 40


def test_every_class_that_takes_a_socket_has_a_faulty_manager_there() -> None:
    shown = {number for kind in ON_SOCKETS for number in kind.DEFECTS}
    assert not SHOWN_ON_SOCKETS - shown


def test_every_class_that_fakes_can_show_has_a_faulty_manager() -> None:
    shown = {number for kind in FAULTY for number in kind.DEFECTS}
    assert not SHOWN_BY_FAKES - shown


def test_every_check_is_meant_for_some_fault() -> None:
    meant = {check for kind in FAULTY for check in kind.KILLED_BY}
    assert sorted(set(CHECKS) - meant) == []


def test_the_committed_page_names_every_fault_and_no_survivor() -> None:
    page = PAGE.read_text()
    assert not [name for name in ids(FAULTY) if f"`{name}`" not in page]
    assert "Every fault is killed by a check that is meant for it." in page


def test_the_committed_page_shows_no_correct_manager_that_fails() -> None:
    rows = PAGE.read_text().partition("## Correct managers")[2].splitlines()
    shown = [row.split("|")[1:4] for row in rows if row.startswith("| `")]
    assert len(shown) == len(CORRECT) + 1
    assert {(verdict.strip(), fails.strip()) for _, verdict, fails in shown} == {("kept", "none")}


# The correct


@pytest.mark.parametrize("kind", CORRECT, ids=ids(CORRECT))
def test_a_correct_manager_keeps_everything_that_it_offers(kind: Any) -> None:
    report = check_manager(kind, profile=catalogue.profile_of(kind))
    assert fails(report) == {}
    assert not [result for result in report.results if result.verdict == "unknown"]
    assert report.verdict == "pass"


# The others meet these checks in the kill matrix: they take real time.
DIFFERENT = [
    kind for kind in CORRECT if kind.__name__ in {"LogManager", "GatheringManager", "QueueManager"}
]


@pytest.mark.sockets
@pytest.mark.parametrize("kind", DIFFERENT, ids=ids(DIFFERENT))
def test_a_correct_manager_keeps_what_it_offers_on_sockets_too(kind: Any) -> None:
    report = check_manager(kind, profile=catalogue.profile_of(kind), select="sockets")
    assert fails(report) == {}
    assert not [result for result in report.results if result.verdict == "unknown"]


# The five designs of the field, and the original


@pytest.mark.parametrize("design", DESIGNS, ids=ids(DESIGNS))
def test_the_flaws_that_a_design_is_known_for_are_found(design: Any) -> None:
    report = check_manager(design, select=design.FLAWS)
    assert fails(report).keys() == set(design.FLAWS)


# What docs/compat.md says that the original breaks, by the check that shows it.
ORIGINAL_BREAKS = {
    "evict.socket_is_closed": "an evicted socket is never closed (zombie)",
    "heartbeat.stalled_client_does_not_stop_it": "_ping_client has no deadline",
    "heartbeat.survives_the_last_client": "the heartbeat task cancels and awaits itself",
    "heartbeat.restarts_after_empty": "no heartbeat ever again (D36)",
    "shutdown.is_bounded": "shutdown() awaits unbounded closes",
    "evict.cancelled_send_is_a_failure": "a send that ends in CancelledError counts as success",
    "delivery.next_event_does_not_wait": "one slow client delays the next event of a publisher",
    "heartbeat.waits_its_turn": "heartbeat and data sends overlap on one connection",
    "delivery.one_send_in_flight": "two sends in flight on one connection (D9)",
    "delivery.caller_cancellation_harms_nobody": "a cancelled send taken for unsent (D10)",
    "evict.close_code": "no close code",
    "evict.close_reason": "no close code",
    "shutdown.close_code": "no close code",
    "diagnosis.one_line_an_eviction": "undiagnosable (D62)",
    "shutdown.terminal": "shutdown is not terminal (D55)",
    # The only one that is neither in its list nor starred, a SHOULD. The description promises the
    # opposite of the check: whoever encodes before he remembers does not keep it.
    "history.only_what_can_be_sent": "a StreamingOutputEvent is remembered first, always",
}
# The same faults, as they show on real sockets.
ORIGINAL_BREAKS_ON_SOCKETS = {
    "sockets.evicted_client_is_told": "an evicted socket is never closed (zombie)",
    "sockets.cancelled_send_leaves_no_hole": "a cancelled send taken for unsent (D10)",
    "sockets.ping_behind_a_full_buffer": "_ping_client has no deadline (D40)",
    "sockets.shutdown_code": "no close code",
}
# Those need a profile that promises what the original does not.
ORIGINAL_LACKS = {
    "history.agents_are_bounded": "agent names grow without bound",
    "recovery.sequence": "no sequence, no replay",
}


def test_the_original_shows_exactly_the_faults_that_its_description_lists() -> None:
    # Its history has the real size, which takes seconds to fill: the reference's tests do that.
    chosen = {name for name, check in CHECKS.items() if check.tier == "virtual"}
    report = check_manager(catalogue.original(), select=chosen - {"history.cap_is_exact"})
    assert fails(report).keys() == ORIGINAL_BREAKS.keys()


@pytest.mark.sockets
def test_the_original_shows_its_faults_on_real_sockets() -> None:
    report = check_manager(catalogue.original(), select="sockets")
    assert fails(report).keys() == ORIGINAL_BREAKS_ON_SOCKETS.keys()


def test_what_the_original_does_not_promise_can_be_asked_of_it() -> None:
    profile = Profile(history_agents=100, sequence="seq")
    report = check_manager(catalogue.original(), profile=profile, select=ORIGINAL_LACKS)
    assert fails(report).keys() == ORIGINAL_LACKS.keys()


# The wild

TAKEN_FOR = {
    "fastapi_tutorial:ConnectionManager": (
        "connect(socket)",
        "disconnect(socket)",
        "broadcast(text)",
        True,
    ),
    "by_id:ConnectionManager": ("connect(socket, id)", "disconnect(id)", "broadcast(json)", True),
    "chat_rooms:RoomManager": (
        "connect(socket, room)",
        "disconnect(socket, room)",
        "broadcast(text, room)",
        True,
    ),
    "typed:WebSocketManager": (
        "connect(socket)",
        "disconnect(socket)",
        "broadcast(kind, json)",
        True,
    ),
    "notify:Notifier": ("register(socket)", "unregister(socket)", "notify_all(json)", False),
    "notify:notifier": ("register(socket)", "unregister(socket)", "notify_all(json)", False),
    "sessions:SessionManager": (
        "register(id, socket)",
        "unregister(id)",
        "send_all(text)",
        False,
    ),
    "state:StateManager": (
        "add_connection(socket)",
        "remove_connection(socket)",
        "broadcast_json(json)",
        True,
    ),
    "binary:BinaryManager": ("connect(socket)", "disconnect(socket)", "broadcast(bytes)", True),
    "chat:ChatManager": (
        "connect(socket, id)",
        "disconnect(socket, id)",
        "broadcast(nobody, text)",
        True,
    ),
    "topics:Hub": (
        "connect(socket, room, id)",
        "disconnect(room, id)",
        "publish(room, json)",
        True,
    ),
}


@pytest.mark.parametrize(("where", "expected"), TAKEN_FOR.items(), ids=TAKEN_FOR)
def test_a_wild_manager_is_understood_without_configuration(
    where: str, expected: tuple[str, str, str, bool]
) -> None:
    adapter = adapt(f"contract_corpus.wild.{where}")
    found = (str(adapter.join), str(adapter.leave), str(adapter.broadcast), adapter.accepts)
    assert found == expected


@pytest.mark.parametrize("where", TAKEN_FOR, ids=TAKEN_FOR)
def test_a_healthy_client_of_a_wild_manager_is_reached(where: str) -> None:
    report = check_manager(f"contract_corpus.wild.{where}", select="pool.join_twice_delivers_once")
    (result,) = report.results
    assert result.verdict != "unknown", result.message


def test_what_has_names_of_its_own_is_asked_for_exactly_what_is_missing() -> None:
    with pytest.raises(AdapterError) as refusal:
        adapt("contract_corpus.wild.handmade:Lobby")
    message = str(refusal.value)
    assert "--join" in message
    assert "--broadcast" in message
    assert "farewell, shout, welcome" in message


def test_the_answer_is_all_that_it_takes() -> None:
    names = Names(join="welcome", leave="farewell", broadcast="shout")
    adapter = adapt("contract_corpus.wild.handmade:Lobby", names=names)
    assert (str(adapter.join), str(adapter.leave)) == ("welcome(socket)", "farewell(socket)")
    assert adapter.accepts


def test_every_wild_module_is_tried() -> None:
    tried = {where.partition(":")[0] for where in TAKEN_FOR} | {"handmade"}
    assert sorted(tried) == catalogue.wild_modules()
