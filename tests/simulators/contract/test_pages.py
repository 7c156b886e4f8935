from pathlib import Path

from simulators.contract import CHECKS, UNCOVERED, covering
from simulators.contract.defects import DEFECTS
from simulators.contract.pages import page

PAGE = Path(__file__).parents[3] / "docs" / "contract.md"


def test_the_committed_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python -m simulators.contract.pages > docs/contract.md"
    )


def test_every_check_has_an_entry() -> None:
    text = page()
    assert [name for name in CHECKS if f"### {name}\n" not in text] == []


def test_the_classes_of_mistakes_are_numbered_without_a_gap() -> None:
    assert list(DEFECTS) == list(range(1, 65))


def test_every_class_is_found_by_a_check_or_says_why_not() -> None:
    assert [number for number in DEFECTS if not covering(number) and number not in UNCOVERED] == []


def test_no_check_looks_for_a_class_that_is_not_there() -> None:
    assert {number for check in CHECKS.values() for number in check.defects} <= set(DEFECTS)
