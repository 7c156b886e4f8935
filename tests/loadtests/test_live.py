import json
from typing import Any

import pytest

from loadtests.live import History, Progress, received
from loadtests.record import ServerSample


def progress(time: float, **changes: Any) -> Progress:
    fields: dict[str, Any] = {
        "time": time,
        "clients": 40,
        "asked": 55,
        "published": round(100 * time),
        "received": round(4_000 * time),
        "evicted": 0,
        "p99": 0.0031,
        "blocked": 0.0,
        "told": {"p50": 0.002, "p99": 0.0031, "cohorts": {"healthy": {"connected": 40}}},
        "sample": ServerSample(at=time, cpu_seconds=0.25 * time, memory_bytes=50_000_000),
    }
    return Progress(**(fields | changes))


def filled(*steps: Progress) -> History:
    history = History()
    for step in steps:
        history.add(step)
    return history


@pytest.mark.parametrize(
    ("told", "listening", "shown"),
    [
        ({"received": 7, "messages": 9}, True, 7),
        ({"received": 0, "messages": 9}, True, 9),
        ({"received": 0, "messages": 9}, False, 0),
        ({}, True, 0),
    ],
)
def test_of_a_server_that_numbers_nothing_every_message_is_shown_as_received(
    told: dict[str, int], *, listening: bool, shown: int
) -> None:
    assert received(told, listening=listening) == shown


def test_rates_are_those_of_the_last_seconds() -> None:
    history = filled(*(progress(n / 2) for n in range(20)), progress(10.0, received=36_000))
    assert history.rates.published == pytest.approx(100)
    assert history.rates.received == pytest.approx(2_000)
    assert history.rates.server_cpu == pytest.approx(0.25)


def test_what_is_not_known_has_no_rate() -> None:
    steps = [progress(float(n), published=None, sample=None) for n in range(5)]
    rates = filled(*steps).rates
    assert (rates.published, rates.server_cpu) == (None, None)


def test_a_long_run_is_kept_whole_at_a_coarser_grain() -> None:
    history = filled(*(progress(n / 2) for n in range(20_000)))
    chart = history.charts()[0]
    assert 250 <= len(chart.times) <= 600
    assert chart.times[0] == 0.0
    assert chart.times[-1] == pytest.approx(10_000, abs=50)


def test_what_happened_is_kept_even_where_its_point_is_thinned_out() -> None:
    steps = (progress(n / 2, note="turn" if n == 9_001 else "") for n in range(10_000))
    assert filled(*steps).notes == [(4_500.5, "turn")]


def test_a_chart_without_any_value_is_left_out() -> None:
    names = {chart.name for chart in filled(progress(1.0, sample=None)).charts()}
    assert "memory" not in names
    assert "latency" in names


def test_every_state_is_there_for_every_cohort() -> None:
    states = progress(1.0).cohorts["healthy"]
    assert states == {"connected": 40, "turned": 0, "ended": 0, "left": 0, "failed": 0}


def test_the_json_is_what_the_page_draws() -> None:
    form = json.loads(json.dumps(filled(progress(1.0), progress(2.0, note="hi")).to_json()))
    assert form["notes"] == ["2 s: hi"]
    assert all(chart["live"] for chart in form["charts"])
    assert form["end"] == 2.0


def test_who_does_not_read_is_counted_as_the_server_says() -> None:
    cohorts = {"stalled": {"connected": 5, "turned": 5}, "dead": {"turned": 3, "left": 3}}
    seen = progress(1.0, told={"cohorts": cohorts}, dropped={"stalled": 4, "dead": 3}).cohorts
    assert (seen["stalled"]["connected"], seen["stalled"]["ended"]) == (1, 4)
    assert (seen["dead"]["left"], seen["dead"]["ended"]) == (3, 0)


def test_who_has_seen_its_end_is_not_counted_twice() -> None:
    cohorts = {"slow": {"connected": 3, "ended": 2}}
    seen = progress(1.0, told={"cohorts": cohorts}, dropped={"slow": 2}).cohorts
    assert (seen["slow"]["connected"], seen["slow"]["ended"]) == (3, 2)
