"""The kit proves itself on the faulty managers in ``contract_corpus``, in virtual time.

`benchmarks/kill_matrix.py` runs every check on every manager and writes ``docs/kill-matrix.md``;
here each faulty manager meets the checks that are meant for it.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import CHECKS, check_manager

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "kill-matrix.md"

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

pytestmark = pytest.mark.usefixtures("spared")

FAULTY = catalogue.faulty_managers()
IN_VIRTUAL_TIME = [kind for kind in FAULTY if catalogue.meant_for(kind, "virtual")]
DESIGNS = catalogue.designs()

# All classes of docs/contract.md that fakes in virtual time can show.
SHOWN_BY_FAKES = {
    *(*range(1, 10), 11, 12, 13, 14, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29),
    *(32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53),
    *(54, 55, 58, 62),
}


@pytest.mark.parametrize("kind", IN_VIRTUAL_TIME, ids=catalogue.ids(IN_VIRTUAL_TIME))
def test_a_check_that_is_meant_for_it_kills_the_fault(kind: Any) -> None:
    chosen = catalogue.meant_for(kind, "virtual")
    report = check_manager(kind, profile=catalogue.profile_of(kind), select=chosen)
    found = [f"{result.check_id}: {result.message}" for result in report.results]
    assert catalogue.verdicts(report, "fail"), found


@pytest.mark.parametrize("design", DESIGNS, ids=catalogue.ids(DESIGNS))
def test_the_flaws_that_a_design_of_the_field_is_known_for_are_found(design: Any) -> None:
    report = check_manager(design, select=design.FLAWS)
    assert catalogue.verdicts(report, "fail").keys() == set(design.FLAWS)


def test_there_are_enough_of_them_each_with_a_story_of_its_own() -> None:
    stories = {kind.__doc__ for kind in FAULTY}
    assert len(stories) == len(FAULTY) >= 40


def test_every_class_that_fakes_can_show_has_a_faulty_manager() -> None:
    shown = {number for kind in FAULTY for number in kind.DEFECTS}
    assert not SHOWN_BY_FAKES - shown


def test_every_check_is_meant_for_some_fault() -> None:
    meant = {check for kind in FAULTY for check in kind.KILLED_BY}
    assert sorted(set(CHECKS) - meant) == []


def test_the_committed_page_names_every_fault_and_no_survivor() -> None:
    page = PAGE.read_text()
    assert not [name for name in catalogue.ids(FAULTY) if f"`{name}`" not in page]
    assert "Every fault is killed by a check that is meant for it." in page


def test_the_committed_page_shows_no_correct_manager_that_fails() -> None:
    rows = PAGE.read_text().partition("## Correct managers")[2].splitlines()
    shown = [row.split("|")[1:4] for row in rows if row.startswith("| `")]
    assert len(shown) == len(catalogue.correct_managers()) + 1
    assert {(verdict.strip(), fails.strip()) for _, verdict, fails in shown} == {("kept", "none")}
