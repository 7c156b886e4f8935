"""The kit proves itself on real sockets: it kills faults there, and lets correct managers live."""

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import Result, adapt, select_checks, socket_bench
from simulators.contract.sites import ManagerSite
from simulators.contract.tcp_runner import Job, run_jobs_on_sockets

HERE = Path(__file__).parent

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

# Every class of docs/contract.md that takes a socket and loopback can show.
SHOWN_ON_SOCKETS = {10, 15, 21, 26, 30, 31, 40, 56, 57}

FAULTY = [kind for kind in catalogue.faulty_managers() if catalogue.meant_for(kind, "sockets")]
# The other correct ones meet these checks in the kill matrix: they take real time.
CORRECT = [
    kind
    for kind in catalogue.correct_managers()
    if kind.__name__ in {"LogManager", "GatheringManager", "QueueManager"}
]


# How many checks run beside each other: they wait for most of their time.
TOGETHER = 6

Results = dict[type, list[Result]]


def judge(chosen: dict[type, Any]) -> Results:
    """Run checks on several managers, all beside each other."""
    jobs = [
        Job(
            select_checks(checks),
            functools.partial(ManagerSite, adapt(kind), protocol=catalogue.protocol_of(kind)),
            catalogue.profile_of(kind),
        )
        for kind, checks in chosen.items()
    ]
    return dict(zip(chosen, run_jobs_on_sockets(jobs, together=TOGETHER), strict=True))


@pytest.fixture(scope="module")
def faulty() -> Results:
    """Wait less for what will never happen: a fault lasts however long one looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket_bench, "_GRACE", 0.4)
        return judge({kind: catalogue.meant_for(kind, "sockets") for kind in FAULTY})


@pytest.fixture(scope="module")
def correct() -> Results:
    """Judge those that keep everything, with the patience that everybody has."""
    return judge(dict.fromkeys(CORRECT, "sockets"))


@pytest.mark.sockets
@pytest.mark.parametrize("kind", FAULTY, ids=catalogue.ids(FAULTY))
def test_every_check_that_is_meant_for_it_kills_the_fault(kind: Any, faulty: Results) -> None:
    found = {result.check_id: result.verdict for result in faulty[kind]}
    meant = dict.fromkeys(catalogue.meant_for(kind, "sockets"), "fail")
    assert found == meant, [result.message for result in faulty[kind]]


@pytest.mark.sockets
@pytest.mark.parametrize("kind", CORRECT, ids=catalogue.ids(CORRECT))
def test_a_correct_manager_keeps_what_it_offers(kind: Any, correct: Results) -> None:
    found = {
        result.check_id: result.message
        for result in correct[kind]
        if result.verdict not in {"pass", "not_offered"}
    }
    assert found == {}
    assert any(result.verdict == "pass" for result in correct[kind])


def test_every_class_that_takes_a_socket_has_a_faulty_manager() -> None:
    shown = {number for kind in FAULTY for number in kind.DEFECTS}
    assert not SHOWN_ON_SOCKETS - shown
