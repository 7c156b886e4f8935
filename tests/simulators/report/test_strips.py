from simulators.contract.results import Evidence, Lane
from simulators.report.strips import strips


def test_each_client_is_a_line_of_what_it_went_through(stall: Evidence) -> None:
    lines = strips(stall, width=74, tracks=5)
    assert lines == [
        "alice and 1 alike  reads everything as it…   -----------------------------",
        "bob                stops reading after 2 m…  ----############ZZZZZZZZZZZZZ",
        "dave               resets the connection a…  -------~~~~~~~~~~~~~~++++++++",
        "erin               stops reading at once     --############xxxxxxxxxxxxxxx",
        "6 broadcasts                                   | |  | |  |           |",
        "                                             0 s         0.5 s       1.2 s",
        "- healthy  ~ lagging  # stalled  + dead  x evicted  Z zombie",
    ]


def test_a_stretch_drawn_shorter_is_marked_at_the_axis(heartbeat: Evidence) -> None:
    axis = strips(heartbeat, width=90, tracks=5)[-2]
    assert axis.split() == ["0", "s", "//", "120", "s", "120.5", "s", "360.5", "s"]


def test_no_line_is_wider_than_asked(stall: Evidence, crowd: Evidence) -> None:
    for evidence in (stall, crowd):
        assert max(map(len, strips(evidence, width=66, tracks=9))) <= 66


def test_a_moment_without_length_still_has_a_sign() -> None:
    lane = Lane("bob", "", ((0.0, 0.5, "healthy"), (0.5, 0.5, "stalled"), (0.5, 1.0, "healthy")))
    assert "#" in strips(Evidence(lanes=(lane,), ends_at=1.0), width=60, tracks=1)[0]


def test_an_unheard_of_state_is_shown_as_such() -> None:
    lane = Lane("bob", "", ((0.0, 1.0, "confused"),))
    assert strips(Evidence(lanes=(lane,), ends_at=1.0), width=60, tracks=1)[-1] == "! confused"


def test_without_clients_there_is_nothing_to_draw() -> None:
    assert strips(Evidence(ticks=(1.0,), ends_at=2.0), width=60, tracks=3) == []
