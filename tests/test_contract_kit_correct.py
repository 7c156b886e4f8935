"""Correct managers of different design fail nothing, in virtual time."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.contract import check_manager

HERE = Path(__file__).parent

if str(HERE) not in sys.path:
    sys.path.append(str(HERE))
catalogue: Any = importlib.import_module("contract_corpus.catalogue")

pytestmark = pytest.mark.usefixtures("spared")

CORRECT = catalogue.correct_managers()


@pytest.mark.parametrize("kind", CORRECT, ids=catalogue.ids(CORRECT))
def test_a_correct_manager_keeps_everything_that_it_offers(kind: Any) -> None:
    report = check_manager(kind, profile=catalogue.profile_of(kind))
    assert catalogue.verdicts(report, "fail") == {}
    assert catalogue.verdicts(report, "unknown") == {}
    assert report.verdict == "pass"


def test_there_are_enough_of_them() -> None:
    assert len(CORRECT) >= 6
