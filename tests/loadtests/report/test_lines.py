import re
from typing import get_args

import pytest

from loadtests.report.lines import drawn
from loadtests.report.series import Chart, Line, Unit


def chart(*values: float | None, unit: Unit = "count", logarithmic: bool = False) -> Chart:
    return Chart(
        name="x",
        title="X",
        note="",
        unit=unit,
        times=tuple(map(float, range(len(values)))),
        lines=(Line(name="a", values=values),),
        logarithmic=logarithmic,
    )


def path(text: str) -> str:
    found = re.search(r' d="(M[^"]+)"', text)
    assert found is not None
    return found[1]


def test_a_gap_interrupts_the_line() -> None:
    assert path(drawn(chart(1, 2, None, 4), span=(0.0, 10.0))).count("M") == 2


def test_times_are_places_between_the_ends_of_the_run() -> None:
    assert re.findall(r"[ML]([\d.]+) ", path(drawn(chart(1, 2, 3), span=(0.0, 2.0)))) == [
        "0.00",
        "50.00",
        "100.00",
    ]


def test_decades_are_equally_far_apart_where_it_is_logarithmic() -> None:
    text = drawn(chart(0.001, 0.01, 0.1, unit="seconds", logarithmic=True), span=(0.0, 2.0))
    first, second, third = (float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path(text)))
    assert first - second == second - third > 0
    assert "1.0 ms" in text
    assert "100 ms" in text


def test_a_line_of_zeros_can_be_drawn() -> None:
    assert path(drawn(chart(0, 0), span=(0.0, 1.0)))


@pytest.mark.parametrize("unit", get_args(Unit))
@pytest.mark.parametrize("highest", [0.0, 1e-7, 0.004, 0.3, 1.0, 2.0, 3.0, 7.0, 60.0, 1_234.0])
def test_no_two_lines_of_the_grid_have_the_same_label(unit: Unit, highest: float) -> None:
    text = drawn(chart(0.0, highest, unit=unit), span=(0.0, 1.0))
    labels = re.findall(r'x="100%" dx="-2"[^>]*>([^<]+)</text>', text)
    assert labels
    assert len(labels) == len(set(labels)), labels
