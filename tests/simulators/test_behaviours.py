"""Behaviours are data: validated, described, and the same after a trip through JSON."""

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest

from simulators.behaviours import Behaviour, require
from simulators.errors import SimulatorError
from simulators.faults import (
    BehaviourError,
    BlackHole,
    ConnectSilent,
    Fault,
    FinWithoutClose,
    Flood,
    HalfOpen,
    IgnoresClose,
    Latency,
    LatePong,
    MassDrop,
    NeverPongs,
    PulsingReader,
    Reset,
    ResetBeforeAccept,
    SendDelay,
    SendHangs,
    SendRaises,
    SendsAfterClose,
    SimultaneousClose,
    SlowAccept,
    SlowReader,
    StalledReader,
    TinyWindow,
    WrongPong,
)

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
        (lambda: StalledReader(after_messages=-1), "after_messages must be a whole number at le"),
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


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (
            (HalfOpen(), Reset(after_seconds=5)),
            "half_open and reset: a vanished client can",
        ),
        ((BlackHole(), SlowReader(bytes_per_second=1)), "sends into a black hole never wait"),
        ((NeverPongs(), LatePong(delay=1)), "never_pongs and late_pong: it cannot both answer"),
        ((PulsingReader(on=1, off=1), StalledReader()), "read again and stay stalled"),
        ((IgnoresClose(), SimultaneousClose()), "it cannot both close and not close"),
        ((Reset(), StalledReader()), "reset ends the connection at once, stalled_reader could nev"),
        ((ConnectSilent(), Flood(rate=1)), "connect_silent ends the connection at once, flood"),
        ((Reset(), FinWithoutClose()), "ends the connection at once"),
        ((SendHangs(at=2), SendRaises(at=3)), "send 3 cannot do both"),
        ((MassDrop(fraction=0.5),), "mass_drop is no fault of one client: it belongs to a popul"),
        (("reset",), "'reset' is no fault"),
    ],
)
def test_faults_that_one_client_cannot_have_together_are_refused_with_the_reason(
    faults: tuple[Fault, ...], message: str
) -> None:
    with pytest.raises(BehaviourError, match=message):
        Behaviour(name="impossible", faults=faults)


@pytest.mark.parametrize(
    "faults",
    [
        (SlowReader(bytes_per_second=9), StalledReader(after_seconds=3), Reset(after_seconds=9)),
        (SlowAccept(delay=1), Reset()),
        (SlowAccept(delay=1), ResetBeforeAccept()),
        (Latency(seconds=1), TinyWindow(), Reset()),
        (SendDelay(seconds=1), Reset()),
        (SendHangs(at=2, times=1), SendRaises(at=3)),
        (LatePong(delay=1), WrongPong()),
        (IgnoresClose(), SendsAfterClose()),
    ],
    ids=repr,
)
def test_faults_that_go_together_are_let_through(faults: tuple[Fault, ...]) -> None:
    assert Behaviour(name="possible", faults=faults).faults == faults


def test_toxicity_is_drawn_for_each_fault_that_has_one() -> None:
    behaviour = Behaviour(
        name="sometimes",
        faults=(Latency(seconds=1, toxicity=0.5), Flood(rate=1), StalledReader(toxicity=0.5)),
    )
    numbers = iter([0.4, 0.6])
    drawn = behaviour.drawn(lambda: next(numbers))
    assert drawn == Behaviour(name="sometimes", faults=(Latency(seconds=1), Flood(rate=1)))
    assert drawn.drawn(lambda: next(numbers)) is drawn


@pytest.mark.parametrize("wire", ["tcp", "load test"])
def test_a_fault_that_a_wire_cannot_have_is_refused_with_the_reason(
    wire: Literal["tcp", "load test"],
) -> None:
    behaviour = Behaviour(name="odd", faults=(SendDelay(seconds=1),))
    require(behaviour, wire="in process")
    with pytest.raises(BehaviourError, match=r"'odd': send_delay cannot be produced .*own socket"):
        require(behaviour, wire=wire)


def test_a_behaviour_needs_a_name() -> None:
    with pytest.raises(BehaviourError, match="name must be some text, not ''"):
        Behaviour(name="")


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


def test_a_behaviour_of_faults_has_the_name_of_the_first() -> None:
    slow, silent = SlowReader(bytes_per_second=1), NeverPongs()
    assert Behaviour.of(slow, silent) == Behaviour(name="slow_reader", faults=(slow, silent))
    assert Behaviour.of() == Behaviour.healthy()


@pytest.mark.parametrize(
    "faults", [[SlowReader(bytes_per_second=1)], SlowReader(bytes_per_second=1)]
)
def test_faults_that_are_no_tuple_are_refused(faults: Any) -> None:
    with pytest.raises(BehaviourError, match=r"must be a tuple, as \(SlowReader"):
        Behaviour(name="x", faults=faults)
