"""The original, written after its description: it shows the faults listed there, and no other."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import CHECKS, Profile, check_manager, select_checks, socket_bench

HERE = Path(__file__).parent

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

pytestmark = pytest.mark.usefixtures("spared")

original: Any = importlib.import_module("contract_corpus.original")

# Each sentence at the end of the description, "where the original breaks its own promises", with
# all checks that show it.
LISTED = {
    "an evicted socket is never closed (zombie)": {
        "evict.socket_is_closed",
        "sockets.evicted_client_is_told",
    },
    "_ping_client has no deadline, so one stalled client stops the heartbeat for all": {
        "heartbeat.stalled_client_does_not_stop_it",
        "sockets.ping_behind_a_full_buffer",
    },
    "when the last client fails its ping, the heartbeat task cancels and awaits itself "
    "(RecursionError, two stuck tasks, no heartbeat ever again)": {
        "heartbeat.survives_the_last_client",
        "heartbeat.restarts_after_empty",
    },
    "shutdown() awaits unbounded closes": {"shutdown.is_bounded"},
    "a send that ends in CancelledError counts as success": {
        "evict.cancelled_send_is_a_failure",
        # Who cancels a publisher cancels its sends, and their clients stay, with a hole.
        "delivery.caller_cancellation_harms_nobody",
        "sockets.cancelled_send_leaves_no_hole",
    },
    "one slow client delays the next event of a publisher that awaits": {
        "delivery.next_event_does_not_wait",
    },
    "heartbeat and data sends overlap on one connection": {
        "heartbeat.waits_its_turn",
        "delivery.one_send_in_flight",
    },
    "agent names grow without bound": {"history.agents_are_bounded"},
    "no close code, no sequence, no replay": {
        "evict.close_code",
        "evict.close_reason",
        "shutdown.close_code",
        "sockets.shutdown_code",
        "recovery.sequence",
    },
}
# Not sentences there, but classes that are starred as the original's; see docs/contract.md.
STARRED = {
    55: {"shutdown.terminal"},
    62: {"diagnosis.one_line_an_eviction"},
}
FINDINGS = set().union(*LISTED.values(), *STARRED.values())
# The original promises neither a number of names nor one in its messages: they must be asked for.
ASKED = Profile(history_limit=1_000, history_agents=100, sequence="seq")
MUST_BE_ASKED = {"history.agents_are_bounded", "recovery.sequence"}


@pytest.fixture
def briefer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it remember 1 000 events: to fill its real history takes seconds, and shows the same."""
    monkeypatch.setattr(original, "_HISTORY", 1_000)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will never happen; what comes late is tried again, with patience."""
    monkeypatch.setattr(socket_bench, "_GRACE", 0.4)


def of(tier: str) -> set[str]:
    return {check_id for check_id in FINDINGS if CHECKS[check_id].tier == tier}


@pytest.mark.usefixtures("briefer")
def test_the_original_shows_exactly_the_faults_that_its_description_lists() -> None:
    report = check_manager(catalogue.original(), profile=ASKED)
    assert len(report.results) == len(select_checks(None))
    assert catalogue.verdicts(report, "fail").keys() == of("virtual")


@pytest.mark.usefixtures("briefer")
def test_by_its_own_promises_it_shows_all_but_what_it_never_promised() -> None:
    chosen = FINDINGS - of("sockets") | {"history.only_what_can_be_sent"}
    report = check_manager(catalogue.original(), select=chosen)
    assert catalogue.verdicts(report, "fail").keys() == of("virtual") - MUST_BE_ASKED
    never = {*MUST_BE_ASKED, "history.only_what_can_be_sent"}
    assert catalogue.verdicts(report, "not_offered").keys() == never


@pytest.mark.sockets
@pytest.mark.usefixtures("impatient")
def test_the_original_shows_exactly_those_faults_on_sockets() -> None:
    report = check_manager(catalogue.original(), select="sockets")
    found = catalogue.verdicts(report, "fail")
    # Broadcasts at the same time overtake each other, where a reader is late for want of a core.
    late = found.pop("sockets.everyone_gets_everything", "in another order")
    assert "in another order" in late
    assert found.keys() == of("sockets"), found


def test_each_finding_on_the_original_concerns_a_class_that_it_is_said_to_have() -> None:
    # The classes that are starred.
    starred = {6, 9, 10, 19, 20, 21, 25, 31, 34, 36, 38, 39, 40, 47, 48, 49, 51, 52, 53, 54, 55}
    starred |= {57, 62}
    assert not [name for name in FINDINGS if not starred & set(CHECKS[name].defects)]
    for number, shown in STARRED.items():
        assert all(number in CHECKS[name].defects for name in shown)
