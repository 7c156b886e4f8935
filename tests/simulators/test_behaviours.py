"""Behaviours are data: validated, described, and the same after a trip through JSON."""

import json
from collections.abc import Callable

import pytest

from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.faults import BehaviourError, Fault, Reset, SendDelay, SlowReader, StalledReader

FAULTS = [
    SlowReader(bytes_per_second=1_000),
    SlowReader(bytes_per_second=0.5, chunk_bytes=64, after_seconds=3),
    StalledReader(),
    StalledReader(after_messages=2, after_bytes=10, after_seconds=1.5, resume_after=4),
    Reset(),
    Reset(after_messages=1, after_seconds=2),
    SendDelay(seconds=2),
    SendDelay(seconds=2, jitter=0.5),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_comes_back_from_its_json_form(fault: Fault) -> None:
    assert Fault.from_json(json.loads(json.dumps(fault.to_json()))) == fault


def test_a_behaviour_comes_back_from_its_json_form() -> None:
    behaviour = Behaviour(name="hard", faults=(FAULTS[1], FAULTS[3], FAULTS[5], FAULTS[7]))
    assert Behaviour.from_json(json.loads(json.dumps(behaviour.to_json()))) == behaviour


def test_defaults_are_left_out_of_the_json_form() -> None:
    assert StalledReader(after_messages=3).to_json() == {
        "kind": "stalled_reader",
        "after_messages": 3,
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SlowReader(bytes_per_second=0), "bytes_per_second must be a number above 0"),
        (lambda: SlowReader(bytes_per_second=-1), "bytes_per_second must be a number above 0"),
        (lambda: SlowReader(bytes_per_second=float("nan")), "bytes_per_second"),
        (lambda: SlowReader(bytes_per_second=True), "bytes_per_second"),
        (lambda: SlowReader(bytes_per_second=1, chunk_bytes=0), "chunk_bytes must be"),
        (lambda: SlowReader(bytes_per_second=1, after_seconds=-1), "after_seconds must be"),
        (lambda: StalledReader(after_messages=-1), "after_messages must be a whole number at least 0"),
        (lambda: StalledReader(resume_after=0), "resume_after must be a number above 0"),
        (lambda: Reset(after_seconds=-0.1), "after_seconds must be"),
        (lambda: SendDelay(seconds=-1), "seconds must be"),
        (lambda: SendDelay(seconds=1, jitter=-1), "jitter must be"),
    ],
)
def test_impossible_numbers_are_refused_by_name(make: Callable[[], Fault], message: str) -> None:
    with pytest.raises(BehaviourError, match=message):
        make()


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BehaviourError, match=r"unknown kind of fault 'rude': one of .*slow_reader"):
        Fault.from_json({"kind": "rude"})


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BehaviourError, match="reset: unknown field where; it takes after_messages"):
        Fault.from_json({"kind": "reset", "where": 1})


def test_two_faults_of_one_kind_are_refused() -> None:
    with pytest.raises(BehaviourError, match="has reset more than once"):
        Behaviour(name="twice", faults=(Reset(), Reset(after_seconds=1)))


def test_errors_belong_to_the_package_and_are_value_errors() -> None:
    assert issubclass(BehaviourError, SimulatorError)
    assert issubclass(BehaviourError, ValueError)


def test_a_behaviour_finds_its_fault_by_kind() -> None:
    behaviour = Behaviour.slow(bytes_per_second=5)
    assert behaviour.fault(SlowReader) == SlowReader(bytes_per_second=5)
    assert behaviour.fault(Reset) is None


@pytest.mark.parametrize(
    ("fault", "at_once"),
    [
        (StalledReader(), True),
        (StalledReader(resume_after=3), True),
        (StalledReader(after_messages=0), True),
        (StalledReader(after_seconds=0.0, after_messages=5), True),
        (StalledReader(after_messages=1), False),
        (StalledReader(after_bytes=1), False),
        (Reset(), True),
        (Reset(after_seconds=0), True),
        (Reset(after_messages=2), False),
    ],
    ids=repr,
)
def test_a_fault_without_a_limit_or_with_one_of_zero_happens_at_once(
    fault: StalledReader | Reset,
    at_once: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    assert fault.at_once is at_once


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (Behaviour.healthy(), "reads everything as it comes"),
        (Behaviour.slow(), "reads 1000 bytes/s"),
        (Behaviour.slow(after_seconds=2), "reads 1000 bytes/s from 2 s on"),
        (Behaviour.stalled(), "stops reading at once"),
        (
            Behaviour.stalled(after_messages=3, after_seconds=1, resume_after=9),
            "stops reading after 3 messages or 1 s, for 9 s",
        ),
        (Behaviour.dead(after_messages=2), "resets after 2 messages"),
        (
            Behaviour(name="odd", faults=(SendDelay(seconds=1, jitter=2), Reset())),
            "takes 1 s and up to 2 s more for each send; resets at once",
        ),
    ],
)
def test_a_behaviour_describes_itself_in_one_line(behaviour: Behaviour, text: str) -> None:
    assert behaviour.describe() == text
