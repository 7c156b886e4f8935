"""The catalogue of faults: complete, validated, and the same after a trip through JSON."""

import dataclasses
import functools
import json
import math
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.errors import SimulatorError
from simulators.faults import (
    FAULTS,
    VIOLATIONS,
    WIRES,
    BehaviourError,
    ClientFault,
    Denied,
    DoubleDisconnect,
    Fault,
    Flood,
    HalfOpen,
    Latency,
    LoopBlock,
    MassDrop,
    ProtocolViolation,
    PulsingReader,
    Reset,
    SendRaises,
    TinyWindow,
)
from simulators.faults.catalogue import page, signature
from simulators.faults.fault import Bound

CATALOGUE = [
    *("slow_reader", "stalled_reader", "pulsing_reader", "tiny_window", "paused_process"),
    *("send_delay", "send_raises", "send_hangs", "send_swallows_cancel", "send_cancelled"),
    *("fin_without_close", "reset", "close_with_unread", "half_close", "half_open"),
    *("dies_during_broadcast", "double_disconnect", "black_hole"),
    *("connect_silent", "slowloris", "bad_upgrade", "reset_before_accept", "backlog_full"),
    *("slow_accept", "denied"),
    *("never_pongs", "late_pong", "wrong_pong", "unsolicited_pongs", "ping_flood"),
    *("silent_application",),
    *("flood", "oversize", "endless_fragments", "deflate_bomb", "dribble", "wrong_type"),
    *("bad_json", "deep_json", "protocol_violation"),
    *("ignores_close", "sends_after_close", "simultaneous_close", "closes_mid_broadcast"),
    *("closes_while_blocked",),
    *("reconnect_storm", "flapper", "duplicate_identity", "joins_during_broadcast"),
    *("leaves_during_broadcast", "mass_drop", "swizzle_stall", "fd_exhaustion"),
    *("distinct_addresses",),
    *("latency", "bandwidth", "slicer", "limit_data", "timeout", "reset_peer", "slow_close"),
    *("drop_frame", "duplicate_frame", "hold_frame"),
    *("loop_block", "cancel_broadcast", "hook_raises", "unserializable_event"),
    *("shutdown_with_stalled", "history_overflow", "join_during_stream"),
]

DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for what a field takes."""
    if get_origin(hint) in {Union, types.UnionType}:
        return st.one_of(st.none(), *(values(p) for p in get_args(hint) if p is not type(None)))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is Annotated:
        kind, bound = get_args(hint)[:2]
        most = min(bound.maximum, 1e9)
        if kind is int:
            return st.integers(int(bound.minimum), int(most))
        return st.floats(bound.minimum, most, exclude_min=bound.above)
    return st.booleans() if hint is bool else st.text()


@functools.cache
def fields_of(kind: str) -> dict[str, st.SearchStrategy[Any]]:
    """Return a strategy for each field of a fault."""
    fault = FAULTS[kind]
    hints = get_type_hints(fault, include_extras=True)
    return {field.name: values(hints[field.name]) for field in dataclasses.fields(fault)}


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Draw a fault of any kind."""
    fault = FAULTS[draw(st.sampled_from(sorted(FAULTS)))]
    fields = {name: draw(field) for name, field in fields_of(fault.kind).items()}
    if fault is Reset and fields["when"] == "before_accept":
        fields.update(after_messages=None, after_seconds=None)
    return fault(**fields)


def test_every_name_of_the_catalogue_exists_and_no_other() -> None:
    assert sorted(FAULTS) == sorted(CATALOGUE)


def test_there_are_twenty_one_protocol_violations() -> None:
    assert len(VIOLATIONS) == 21
    assert [ProtocolViolation(violation=name).violation for name in VIOLATIONS] == [*VIOLATIONS]


@settings(max_examples=400)
@given(faults())
def test_a_fault_comes_back_from_its_json_form(fault: Fault) -> None:
    assert Fault.from_json(json.loads(json.dumps(fault.to_json()))) == fault


@settings(max_examples=400)
@given(faults())
def test_a_fault_describes_itself_in_one_line(fault: Fault) -> None:
    line = fault.describe()
    assert line
    # Only a name that somebody gave may hold more than a line.
    assert "\n" not in line or "\n" in str(dataclasses.astuple(fault)).replace("\\n", "\n")


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_fault_is_frozen_has_slots_and_says_what_is_expected(kind: str) -> None:
    fault = FAULTS[kind]
    assert fault.kind == kind
    assert fault.__name__ == kind.title().replace("_", "")
    assert fault.expected
    assert "__slots__" in vars(fault)
    assert vars(fault)["__dataclass_params__"].frozen
    assert all(field.kw_only for field in dataclasses.fields(fault))


@pytest.mark.parametrize("kind", CATALOGUE)
def test_a_fault_says_for_each_wire_that_it_exists_or_why_it_cannot(kind: str) -> None:
    where = FAULTS[kind].wires
    assert tuple(where) == WIRES
    assert all(there is True or len(there) > 20 for there in where.values())
    assert True in where.values(), f"{kind} exists nowhere"


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_number_refuses_what_is_out_of_its_bound_by_name(kind: str) -> None:
    fault = FAULTS[kind]
    hints = get_type_hints(fault, include_extras=True)
    example = {f.name: _example(hints[f.name]) for f in dataclasses.fields(fault)}
    for name, hint in hints.items():
        bound = _bound(hint)
        if bound is None or name not in example:
            continue
        for wrong in (bound.minimum - 1, math.nan, math.inf, "1", True):
            with pytest.raises(BehaviourError, match=f"^{kind}: {name} must be a (whole )?number"):
                fault(**{**example, name: wrong})


def _bound(hint: Any) -> Bound | None:
    parts = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)
    for part in parts:
        if get_origin(part) is Annotated:
            bound = get_args(part)[1]
            assert isinstance(bound, Bound)
            return bound
    return None


def _example(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        return None
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    bound = _bound(hint)
    if bound is not None:
        return int(bound.minimum) + 1 if bound.minimum + 1 <= bound.maximum else bound.maximum
    return False if hint is bool else "text"


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"kind": "reset", "when": "tomorrow"}, "reset: when must be one of 'idle', 'mid_frame'"),
        (
            {"kind": "reset", "when": "before_accept", "after_seconds": 1},
            "reset: after_messages and after_seconds count from the connection",
        ),
        ({"kind": "denied", "code": 200}, "denied: code must be a whole number at least 400"),
        ({"kind": "mass_drop", "fraction": 1.1}, "fraction must be a number above 0 and at most 1"),
        ({"kind": "flood", "rate": 1, "toxicity": 0}, "toxicity must be a number above 0"),
        ({"kind": "flood", "rate": 1, "message_bytes": 1.5}, "message_bytes must be a whole numb"),
        ({"kind": "flood"}, "flood: rate is missing"),
        ({"kind": "send_raises", "exception": "SystemExit"}, "exception must be one of 'WebSock"),
        ({"kind": "send_raises", "message": 3}, "send_raises: message must be a str, not 3"),
        ({"kind": "reconnect_storm", "clients": 3, "same_identity": 1}, "must be a bool, not 1"),
        ({"kind": "late_pong", "delay": None}, "late_pong: delay must be a number at least 0"),
        ({"kind": "swizzle_stall", "clients": 0, "stagger": 1}, "clients must be a whole number"),
        (
            {"kind": "protocol_violation", "violation": "rude"},
            "must be one of 'unmasked'",
        ),
        ({"kind": "rude"}, "unknown kind of fault 'rude': one of .*slow_reader"),
        ({}, "unknown kind of fault None"),
        ({"kind": "denied", "status": 1}, "denied: unknown field status; it takes code, toxicity"),
    ],
)
def test_an_impossible_form_is_refused_with_what_it_takes(
    form: dict[str, Any], message: str
) -> None:
    with pytest.raises(BehaviourError, match=message) as caught:
        Fault.from_json(form)
    assert isinstance(caught.value, SimulatorError | ValueError)


def test_the_json_form_leaves_out_defaults() -> None:
    assert Latency(seconds=1, toxicity=0.5).to_json() == {
        "kind": "latency",
        "seconds": 1,
        "toxicity": 0.5,
    }


def test_what_hits_connections_has_a_toxicity_and_nothing_else_has() -> None:
    assert Flood(rate=1).toxicity == 1.0
    assert not isinstance(MassDrop(fraction=0.5), ClientFault)
    assert not isinstance(LoopBlock(seconds=1), ClientFault)
    with pytest.raises(BehaviourError, match="unknown field toxicity"):
        Fault.from_json({"kind": "loop_block", "seconds": 1, "toxicity": 0.5})


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        (Reset(), True),
        (Reset(when="before_accept"), True),
        (Reset(when="mid_frame"), False),
        (Reset(after_messages=1), False),
        (Denied(), True),
        (DoubleDisconnect(after_seconds=0), True),
        (HalfOpen(), False),
        (PulsingReader(on=1, off=1), False),
    ],
    ids=repr,
)
def test_a_fault_knows_whether_it_ends_the_connection_at_once(
    fault: ClientFault,
    ends: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    assert fault.last_word is ends


def test_a_tiny_window_holds_what_was_measured() -> None:
    assert TinyWindow(receive_buffer_bytes=4_096).kernel_bytes == 10_000


@pytest.mark.parametrize("name", ["WebSocketDisconnect", "RuntimeError", "OSError", "ValueError"])
def test_send_raises_makes_the_exception_it_names(name: Any) -> None:
    error = SendRaises(exception=name, message="why").error()
    assert type(error).__name__ == name
    assert "why" in str(error)


def test_an_exception_without_a_message_has_an_empty_text() -> None:
    assert str(SendRaises(exception="AssertionError").error()) == ""


def test_the_page_of_the_docs_is_current() -> None:
    assert DOCS.read_text() == page(), "run: python -m simulators.faults > docs/faults.md"


def test_the_page_has_a_row_for_every_fault_and_violation() -> None:
    text = page()
    assert [kind for kind in CATALOGUE if f"| `{signature(FAULTS[kind])}` |" not in text] == []
    assert [name for name in VIOLATIONS if f"| `{name}` |" not in text] == []


def test_the_page_is_what_the_module_prints() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "simulators.faults"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == page()
