import io
from typing import Any

import pytest
from rich.console import Console

from loadtests.catalogue import built_in
from loadtests.live import History, Progress
from loadtests.record import ServerSample
from loadtests.screen import Screen, frame, sparkline

STORM = built_in("storm")


def progress(time: float, **changes: Any) -> Progress:
    fields: dict[str, Any] = {
        "time": time,
        "clients": 40,
        "asked": 70,
        "published": round(100 * time),
        "received": round(4_000 * time),
        "evicted": 3,
        "p99": 0.0031,
        "blocked": 0.0,
        "begins": 2.0,
        "told": {
            "p50": 0.002,
            "p95": 0.0025,
            "p99": 0.0031,
            "max": 0.2,
            "lag_p99": 0.004,
            "cpu": 0.13,
            "cohorts": {"stalled": {"connected": 2, "turned": 5}, "healthy": {"connected": 40}},
        },
        "sample": ServerSample(at=time, loop_lag=0.002, memory_bytes=58_000_000, connections=42),
    }
    return Progress(**(fields | changes))


def shown(*steps: Progress, width: int = 100) -> str:
    history = History()
    for step in steps:
        history.add(step)
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(frame(history, STORM))
    return stream.getvalue()


def test_a_frame_shows_clients_by_state_in_the_order_of_the_scenario() -> None:
    rows = [line.split() for line in shown(progress(12.0)).splitlines()]
    assert ["clients", "connected", "turned"] in rows
    assert rows.index(["healthy", "40", "0"]) < rows.index(["stalled", "2", "5"])


def test_a_frame_shows_rates_latency_server_and_generator() -> None:
    text = shown(*(progress(n / 2) for n in range(20, 30)))
    assert "published 100/s  received 4 000/s  dropped 3" in text
    assert "p50 2.0 ms  p95 2.5 ms  p99 3.1 ms  max 200 ms" in text
    assert "loop lag 2.0 ms  memory 58.0 MB" in text
    assert "loop lag p99 4.0 ms  processor 13 %" in text


@pytest.mark.parametrize(
    ("time", "begins", "where"),
    [
        (1.0, None, "connecting"),
        (1.0, 2.0, "connecting"),
        (12.0, 2.0, f"10 of {STORM.duration:g} s"),
        (43.0, 2.0, "collecting"),
    ],
)
def test_the_head_says_where_the_run_stands(time: float, begins: float | None, where: str) -> None:
    assert where in shown(progress(time, begins=begins)).splitlines()[0]


def test_a_blocked_publisher_is_not_overlooked() -> None:
    assert "publisher blocked for 7 s" in shown(progress(12.0, blocked=7.25))


def test_the_last_notes_stay_in_sight() -> None:
    text = shown(*(progress(float(n), note=f"note {n}") for n in range(6)))
    assert "note 5" in text
    assert "note 1" not in text


def test_a_server_that_tells_nothing_leaves_its_line_out() -> None:
    assert "memory" not in shown(progress(12.0, sample=None, evicted=None))


def test_a_narrow_terminal_gets_no_line_that_is_too_long() -> None:
    assert max(map(len, shown(progress(12.0), width=60).splitlines())) <= 60


def test_a_sparkline_goes_by_decades_and_keeps_gaps() -> None:
    assert sparkline([0.001, None, 0.01, 0.1, 1.0]) == "▁ ▃▆█"
    assert sparkline([None, None]) == ""


def test_a_sparkline_of_what_hardly_changes_is_calm() -> None:
    assert sparkline([0.010, 0.011, 0.010]) == "▁▁▁"


def test_the_view_gives_the_cursor_back_and_leaves_its_last_frame() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=40)

    def interrupted() -> None:
        with Screen(console, STORM) as screen:
            screen.progress(progress(3.0))
            screen.progress(progress(12.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    text = stream.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex(f"10 of {STORM.duration:g} s") > text.rindex("\x1b[1A")


def test_a_view_that_never_drew_writes_nothing() -> None:
    stream = io.StringIO()
    with Screen(Console(file=stream, force_terminal=True), STORM):
        pass
    assert stream.getvalue() == ""
