"""What a generator is told, on its way to another process and another machine."""

import dataclasses
import json

import pytest

from loadtests.catalogue import built_in
from loadtests.plan import VARIABLE, Plan

PLAN = Plan(
    scenario=built_in("storm"),
    url="wss://h/ws",
    run_id="run",
    headers={"X-Key": "k"},
    subprotocols=("a", "b"),
    messages=("hello",),
    sequence_path="data.seq",
    ca="ca.pem",
    share=(1, 3),
    begun_at=5.0,
)


def test_every_field_comes_through_json() -> None:
    assert Plan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN
    assert PLAN.to_json().keys() == {field.name for field in dataclasses.fields(Plan)}


def test_it_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Plan.find() is None
    monkeypatch.setenv(VARIABLE, json.dumps(PLAN.to_json()))
    assert Plan.find() == PLAN


def test_on_its_own_machine_nothing_changes() -> None:
    assert PLAN.here() is PLAN


def test_on_another_machine_its_moments_are_the_same_times_of_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtests.plan._wall_offset", lambda: PLAN.wall_offset)
    # A machine that was started 1 000 s later: its monotonic clock shows 1 000 s less.
    there = dataclasses.replace(
        PLAN, machine="another", wall_offset=PLAN.wall_offset - 1_000, origin=2_000, begun_at=2_005
    )
    here = there.here()
    assert here.machine == PLAN.machine
    assert here.origin == pytest.approx(1_000)
    assert here.begun_at == pytest.approx(1_005)
    assert here.origin + here.wall_offset == pytest.approx(there.origin + there.wall_offset)
