"""The description of a wire: validated, described, and the same after a trip through JSON."""

import json
from typing import Any

import pytest

from simulators.errors import OptionError
from simulators.wire import Wire, close_travels, frame_bytes


@pytest.mark.parametrize(
    "wire",
    [
        Wire(),
        Wire.uvicorn(filled=True),
        Wire.uvicorn_legacy(),
        Wire.small(),
        Wire.loopback(),
        Wire(bytes_per_second=10.5, latency=0.1, jitter=0.2, low_water_bytes=0),
    ],
)
def test_a_wire_comes_back_from_its_json_form(wire: Wire) -> None:
    assert Wire.from_json(json.loads(json.dumps(wire.to_json()))) == wire


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_bytes": -1}, "kernel_bytes must be a number from 0, not -1"),
        ({"latency": float("nan")}, "latency must be"),
        ({"jitter": float("inf")}, "jitter must be"),
        ({"latency": True}, "latency must be"),
        ({"bytes_per_second": 0}, "bytes_per_second must be above 0"),
        ({"low_water_bytes": 70_000}, r"low_water_bytes \(70000\) must not be above"),
        ({"order": "never"}, "order must be"),
    ],
)
def test_impossible_wires_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Wire(**options)


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match="unknown field colour; it takes bytes_per_second"):
        Wire.from_json({"colour": "red"})


def test_the_legacy_preset_writes_before_it_waits() -> None:
    assert Wire.uvicorn().order == "wait_then_write"
    assert Wire.uvicorn_legacy().order == "write_then_wait"


def test_a_wire_describes_itself_in_one_line() -> None:
    wire = Wire(bytes_per_second=100, latency=0.5, jitter=0.1, filled=True)
    assert wire.describe() == (
        "65536 bytes of buffer, 100 bytes/s, 0.5 s away and up to 0.1 s more, wait then write, "
        "full when the peer does not keep up"
    )


@pytest.mark.parametrize(
    ("payload", "frame"), [(0, 2), (125, 127), (126, 130), (65_535, 65_539), (65_536, 65_546)]
)
def test_frames_have_the_headers_of_rfc_6455(payload: int, frame: int) -> None:
    assert frame_bytes(payload) == frame


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_close_codes_of_the_protocol_and_of_applications_travel(code: int) -> None:
    assert close_travels(code) is None


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70_000, True, "1000"])
def test_other_close_codes_do_not_travel(code: Any) -> None:
    assert f"close code {code!r} may not travel" in str(close_travels(code))


def test_a_close_reason_travels_up_to_123_bytes_of_utf_8() -> None:
    assert close_travels(1000, "x" * 123) is None
    assert close_travels(1000, "é" * 61) is None
    assert "reason of 124 bytes is too long" in str(close_travels(1000, "é" * 62))
