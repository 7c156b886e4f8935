import math

import pytest

from loadtests.report.markup import number, text
from loadtests.report.series import Unit


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (None, "count", "–"),  # noqa: RUF001 - as the page shows it
        (0.000_45, "seconds", "450 µs"),
        (0.0031, "seconds", "3.1 ms"),
        (12.3, "seconds", "12 s"),
        (math.inf, "seconds", "never"),
        (58_000_000, "bytes", "58.0 MB"),
        (1_234.0, "bytes", "1.2 kB"),
        (0.13, "share", "13 %"),
        (12_345, "per second", "12 345"),
    ],
)
def test_numbers_are_told_as_a_person_reads_them(
    value: float | None, unit: Unit, told: str
) -> None:
    assert number(value, unit) == told


def test_a_number_does_not_part_from_its_unit_nor_from_its_thousands() -> None:
    assert text("106 496 bytes in 3.5 s, 5 of 5") == "106\u00a0496\u00a0bytes in 3.5\u00a0s, 5 of 5"


def test_what_a_terminal_or_a_page_would_obey_is_spelled_out() -> None:
    assert text("<b>\x1b[31m\u202e") == "&lt;b&gt;\\x1b[31m\\u202e"
