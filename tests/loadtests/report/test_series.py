import json

import pytest

from loadtests.histogram import Histogram
from loadtests.report.documents import Run
from loadtests.report.series import DUE, Chart, charts, cohort_names, span, windows


def chart(run: Run, name: str) -> Chart:
    return {one.name: one for one in charts(run.record)}[name]


def line(one: Chart, name: str) -> tuple[float | None, ...]:
    return {line.name: line.values for line in one.lines}[name]


def test_the_latency_of_each_second_is_that_of_the_events_due_in_it(kept: Run) -> None:
    latency = chart(kept, "latency")
    assert latency.times == tuple(map(float, range(2, 12)))
    assert all(value == pytest.approx(0.0059, abs=1e-4) for value in line(latency, "max"))
    assert line(latency, "p50") < line(latency, "max")


def test_a_second_in_which_nothing_came_is_a_gap_and_no_zero(broken: Run) -> None:
    del broken.record.results.series["healthy"][4]
    before, gap, after = line(chart(broken, "latency"), "p50")[1:4]
    assert gap is None
    assert before == after == pytest.approx(0.4, abs=0.01)


def test_what_was_due_stands_beside_what_came(broken: Run) -> None:
    deliveries = chart(broken, "deliveries")
    assert line(deliveries, "healthy")[4:7] == (30.0, 0.0, 0.0)
    assert line(deliveries, DUE)[4:7] == (30.0, 30.0, 30.0)


def test_who_joins_later_is_due_nothing_before(kept: Run) -> None:
    for client in kept.record.results.clients[:2]:
        client.connected_at = 6.5
    due = line(chart(kept, "deliveries"), DUE)
    assert due[3:6] == (10.0, 20.0, 30.0)


def test_windows_are_drawn_in_run_time_and_end_with_the_publishing(kept: Run) -> None:
    assert windows(kept.record)["late"] == (10.0, 12.0)
    kept.record.publishing = (2.0, 11.0)
    shades = {shade.name: (shade.start, shade.end) for shade in chart(kept, "latency").shades}
    assert shades == {"late": (10.0, 11.0), "faults": (5.0, 11.0)}


def test_the_moment_at_which_the_server_died_is_marked(broken: Run) -> None:
    assert chart(broken, "latency").marks == ((11.0, "the server was gone"),)


def test_the_share_of_a_core_is_what_was_used_between_two_answers(kept: Run) -> None:
    assert line(chart(kept, "cpu"), "used")[2:5] == tuple(pytest.approx(0.2) for _ in range(3))


def test_a_server_that_tells_nothing_has_no_charts(kept: Run) -> None:
    kept.record.server.samples = []
    assert [one.name for one in charts(kept.record)] == ["latency", "deliveries"]


def test_a_long_run_is_drawn_with_fewer_points_and_loses_no_extreme(kept: Run) -> None:
    slow = Histogram()
    slow.record(9.0)
    kept.record.ended_at = 12_000.0
    kept.record.publishing = (2.0, 11_990.0)
    healthy = kept.record.results.series["healthy"]
    healthy |= dict.fromkeys(range(12, 11_990), healthy[2]) | {7_777: slow}
    latency = chart(kept, "latency")
    assert len(latency.times) < 700
    assert max(value for value in line(latency, "max") if value is not None) == 9.0


def test_a_long_wait_for_the_start_is_not_drawn(kept: Run) -> None:
    assert span(kept.record) == (0.0, 13.0)
    kept.record.publishing = (102.0, 112.0)
    for client in kept.record.results.clients:
        client.connected_at = 100.5
    assert span(kept.record)[0] == 99


def test_cohorts_come_in_the_order_of_the_scenario(kept: Run) -> None:
    assert cohort_names(kept.record) == ["healthy", "stalled", "dead"]


def test_the_json_of_a_chart_holds_short_numbers_and_no_nan(kept: Run) -> None:
    text = json.dumps([one.to_json() for one in charts(kept.record)], allow_nan=False)
    assert "0.0030000" not in text


def test_where_nobody_misbehaves_no_window_of_faults_is_shaded(kept: Run) -> None:
    kept.record.scenario["cohorts"] = kept.record.scenario["cohorts"][:1]
    assert [shade.name for shade in chart(kept, "latency").shades] == ["late"]
