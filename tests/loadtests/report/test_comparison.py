import json
import math

import pytest

from loadtests.report import markdown, page
from loadtests.report.comparison import Compared, compare, differences, notable
from loadtests.report.documents import Run


def compared(before: float | None, after: float | None, *, less: bool | None = True) -> Compared:
    return Compared(name="x", unit="s", before=before, after=after, less_is_better=less)


@pytest.mark.parametrize(
    ("row", "ratio", "better"),
    [
        (compared(0.1, 0.2), "x2.00", False),
        (compared(0.2, 0.1), "x0.50", True),
        (compared(0.1, 0.11), "x1.10", None),
        (compared(0.0, 3.0), "", False),
        (compared(1.0, math.inf), "", False),
        (compared(math.inf, math.inf), "=", None),
        (compared(None, 1.0), "", None),
        (compared(100.0, 200.0, less=False), "x2.00", True),
        (compared(100.0, 200.0, less=None), "x2.00", None),
    ],
)
def test_a_ratio_says_which_way_is_better_beyond_the_noise(
    row: Compared, ratio: str, better: object
) -> None:
    assert (row.ratio_told, row.better) == (ratio, better)


def test_every_metric_that_one_of_the_two_tells_is_there(kept: Run, broken: Run) -> None:
    rows = {row.name: row for row in compare(kept.record, broken.record)}
    assert rows["healthy.received"].before == 300
    assert rows["healthy.received"].after == 150
    assert rows["healthy.received"].better is False
    assert rows["healthy.latency.p50[baseline]"].ratio == pytest.approx(98, rel=0.2)
    assert rows["evicted.stalled.max"].after == math.inf


def test_what_did_not_change_is_not_notable(kept: Run) -> None:
    assert {row.name for row in notable(compare(kept.record, kept.record))} <= {
        "healthy.latency.p50",
        "healthy.latency.p99",
        "healthy.received",
        "healthy.lost",
        "publisher.block_max",
    }


def test_the_json_has_no_infinity(kept: Run, broken: Run) -> None:
    rows = [row.to_json() for row in compare(kept.record, broken.record)]
    json.dumps(rows, allow_nan=False)


def test_runs_of_different_loads_are_said_to_be(kept: Run, broken: Run) -> None:
    assert differences(kept.record, broken.record) == []
    broken.record.scenario["rate"] = 50.0
    broken.record.scenario["cohorts"][1]["count"] = 7
    assert differences(kept.record, broken.record) == [
        "rate: 10.0 and 50.0",
        "stalled: 2 and 7 clients",
    ]
    assert "Not the same load" in markdown.render([kept, broken])
    assert "Not the same load" in page.render([kept, broken])
