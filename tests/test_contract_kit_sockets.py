"""The kit proves itself on real sockets: it kills faults there, and lets correct managers live."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import check_manager, socket_bench

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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will never happen: a fault lasts however long one looks."""
    monkeypatch.setattr(socket_bench, "_GRACE", 0.4)


@pytest.mark.sockets
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", FAULTY, ids=catalogue.ids(FAULTY))
def test_every_check_that_is_meant_for_it_kills_the_fault(kind: Any) -> None:
    chosen = catalogue.meant_for(kind, "sockets")
    report = check_manager(
        kind,
        profile=catalogue.profile_of(kind),
        select=chosen,
        protocol=catalogue.protocol_of(kind),
    )
    found = catalogue.verdicts(report, "fail")
    assert sorted(found) == sorted(chosen), [result.message for result in report.results]


@pytest.mark.sockets
@pytest.mark.parametrize("kind", CORRECT, ids=catalogue.ids(CORRECT))
def test_a_correct_manager_keeps_what_it_offers(kind: Any) -> None:
    report = check_manager(kind, profile=catalogue.profile_of(kind), select="sockets")
    assert catalogue.verdicts(report, "fail") == {}
    assert catalogue.verdicts(report, "unknown") == {}


def test_every_class_that_takes_a_socket_has_a_faulty_manager() -> None:
    shown = {number for kind in FAULTY for number in kind.DEFECTS}
    assert not SHOWN_ON_SOCKETS - shown
