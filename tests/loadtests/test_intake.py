import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from loadtests.catalogue import built_in
from loadtests.intake import Intake
from loadtests.members import Member
from loadtests.plan import Plan

RUN = "the-run"
PING = b'{"type": "ping", "timestamp": 1}'


class Taking:
    """An intake, and one member after another that takes payloads."""

    def __init__(self, *, run_id: str | None = RUN, scenario: str = "storm") -> None:
        plan = Plan(scenario=built_in(scenario), url="ws://nowhere", run_id=run_id)
        self.intake = Intake(plan)

    def member(self, kind: str = "viewer", **options: Any) -> Any:
        member = Member(f"{kind}-1", kind, kind=kind, **options)
        take = self.intake.taker(member)
        return member, lambda payload: take(None, payload)  # type: ignore[arg-type]  # not looked at


def event(sequence: int | None, *, run_id: str = RUN, timed: bool = True) -> bytes:
    form: dict[str, Any] = {"run_id": run_id}
    if sequence is not None:
        form["sequence"] = sequence
    if timed:
        form["timestamp"] = datetime.now(UTC).isoformat()
    return json.dumps(form).encode()


def test_pushes_of_all_members_of_a_cohort_are_counted_together() -> None:
    taking = Taking()
    first, second = taking.member(), taking.member()
    payload = event(0)
    first[1](payload)
    second[1](payload)
    assert taking.intake.take_pushes()["viewer"].count == 2
    assert taking.intake.reader.parsed == 1


def test_series_are_whole_however_often_pushes_were_taken() -> None:
    taking = Taking()
    _, take = taking.member()
    for number in range(3):
        take(event(number))
        taking.intake.take_pushes()
    assert sum(histogram.count for histogram in taking.intake.series["viewer"].values()) == 3


def test_the_spread_is_that_among_viewers() -> None:
    taking = Taking()
    for kind, numbers in (("viewer", (0, 1)), ("viewer", (0,)), ("flooder", (0, 2))):
        _, take = taking.member(kind)
        for number in numbers:
            take(event(number))
    spread = taking.intake.spread()
    assert spread.count == 2
    assert spread.maximum > spread.minimum == 0


def test_an_event_without_a_time_counts_and_has_no_latency() -> None:
    taking = Taking()
    member, take = taking.member()
    take(event(0, timed=False))
    assert (member.received, member.untimed) == (1, 1)
    assert taking.intake.take_pushes()["viewer"].count == 0


def test_who_only_listens_times_an_event_without_a_number_all_the_same() -> None:
    taking = Taking(run_id=None)
    member, take = taking.member()
    take(event(None))
    assert (member.received, member.others) == (0, 1)
    assert taking.intake.take_pushes()["viewer"].count == 1


def test_an_event_of_another_run_is_not_timed() -> None:
    taking = Taking()
    member, take = taking.member()
    take(event(0, run_id="another"))
    assert (member.received, member.others) == (0, 1)
    assert taking.intake.take_pushes()["viewer"].count == 0


def test_what_comes_after_the_close_frame_is_counted_apart() -> None:
    taking = Taking()
    member, take = taking.member()
    take(event(0))
    member.closing = True
    take(event(1))
    take(PING)
    assert (member.received, member.after_close, member.pings) == (1, 2, 0)


def test_the_time_between_two_pings_is_kept_and_held_against_the_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heartbeat = built_in("heartbeat").server["heartbeat_interval"]
    pings = iter((0.0, 0.9 * heartbeat, 1.95 * heartbeat))
    monkeypatch.setattr("loadtests.intake.time", SimpleNamespace(monotonic=pings.__next__))
    taking = Taking(scenario="heartbeat")
    member, take = taking.member()
    for _ in range(3):
        take(PING)
    intervals, jitter = taking.intake.ping_intervals, taking.intake.ping_jitter
    assert (member.pings, intervals.count, jitter.count) == (3, 2, 2)
    kept = (intervals.minimum, intervals.maximum, jitter.minimum, jitter.maximum)
    asked = [share * heartbeat for share in (0.9, 1.05, 0.05, 0.1)]
    assert kept == pytest.approx(asked, rel=0.02)


def test_pings_to_who_reads_badly_say_nothing_about_the_heartbeat() -> None:
    taking = Taking()
    member, take = taking.member("pulsing")
    take(PING)
    take(PING)
    assert (member.pings, taking.intake.ping_intervals.count) == (2, 0)
