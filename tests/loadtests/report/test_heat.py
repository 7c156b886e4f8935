import re

import pytest

from loadtests.report.documents import Run
from loadtests.report.heat import drawn
from loadtests.report.series import charts


def heat(run: Run) -> str:
    deliveries = {chart.name: chart for chart in charts(run.record)}["deliveries"]
    return drawn(run.record, deliveries)


def cells(text: str) -> list[tuple[float, float]]:
    """Return the places of the cells: from the left in per cent, from the top in pixels."""
    paths = re.findall(r'<path class="heat"[^>]* d="([^"]+)"', text)
    found = re.findall(r"M([\d.]+) ([\d.]+)H", " ".join(paths))
    return sorted((float(x), float(y)) for x, y in found)


def test_each_second_in_which_something_was_due_has_a_cell(kept: Run) -> None:
    places = {x for x, _ in cells(heat(kept))}
    assert len(places) == 10
    assert min(places) == round(100 * 2 / 13, 2)


def test_what_came_later_is_drawn_higher(kept: Run) -> None:
    kept.record.results.series["healthy"][11].record(2.0)
    highest = min(cells(heat(kept)), key=lambda cell: cell[1])
    assert highest[0] == pytest.approx(100 * 11 / 13, abs=0.02)
    assert "1.0 s" in heat(kept)


def test_the_seconds_whose_events_never_came_are_marked(broken: Run) -> None:
    broken.record.server.died_at = None
    never = re.search(r'class="never" d="([^"]+)"', heat(broken))
    assert never is not None
    assert never[1].count("M") == 5


def test_where_nothing_was_lost_an_unfinished_second_is_not_taken_for_loss(kept: Run) -> None:
    kept.record.results.series["healthy"].pop(11)
    assert "never came" not in heat(kept)


def test_where_nothing_was_timed_there_is_nothing_to_draw(kept: Run) -> None:
    kept.record.results.series = {}
    assert heat(kept) == ""
