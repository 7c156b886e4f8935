import math

import pytest

from loadtests.catalogue import built_in
from loadtests.cohorts import Cohort
from loadtests.pipe import Pipe

STORM = built_in("storm")
SILENT = STORM.changed(server={})


def cohort(user: str) -> Cohort:
    return STORM.cohort(user)


def test_the_storm_evicts_within_six_seconds_of_the_stall() -> None:
    pipe = Pipe(SILENT)
    assert pipe.size_bytes == 106_496
    assert pipe.fill_time(cohort("stalled")) == pytest.approx(3.5, abs=0.01)
    assert pipe.eviction_limit(cohort("stalled")) == pytest.approx(6.0, abs=0.01)


def test_a_slow_reader_takes_its_share_out_of_the_pipe_meanwhile() -> None:
    pipe = Pipe(STORM)
    assert pipe.fill_time(cohort("slow")) > pipe.fill_time(cohort("stalled"))


def test_a_reset_needs_no_pipe_to_fill() -> None:
    assert Pipe(STORM).eviction_limit(cohort("dead")) == STORM.limits.eviction_margin


def test_a_server_of_which_nothing_is_known_may_hide_megabytes() -> None:
    assert Pipe(STORM, tuned=False).fill_time(cohort("stalled")) > 120


def test_who_is_sent_less_than_it_reads_never_fills_its_pipe() -> None:
    assert Pipe(STORM, bytes_per_second=900.0).fill_time(cohort("slow")) == math.inf


def test_who_answers_no_ping_is_found_after_an_interval_and_a_pong_timeout() -> None:
    server = {"heartbeat_interval": 1.0, "pong_timeout": 2.0}
    assert Pipe(STORM.changed(server=server)).eviction_limit(cohort("never_pongs")) == 5.0


def test_without_a_heartbeat_nobody_can_tell_who_answers_no_ping() -> None:
    assert Pipe(SILENT).eviction_limit(cohort("never_pongs")) == math.inf
    assert Pipe(STORM, heartbeat=False).eviction_limit(cohort("never_pongs")) == math.inf


def test_a_heartbeat_finds_who_takes_nothing_before_a_wide_pipe_is_full() -> None:
    server = {"heartbeat_interval": 1.0, "pong_timeout": 2.0}
    pipe = Pipe(STORM.changed(server=server, rate=10.0))
    assert pipe.fill_time(cohort("half_open")) > 30
    assert pipe.eviction_limit(cohort("half_open")) == 5.0
    assert pipe.eviction_limit(cohort("slow")) > 30
