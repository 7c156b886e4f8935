import json
from datetime import UTC, datetime

import pytest

from loadtests.payloads import PayloadReader, moment_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


def payload(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_an_event_of_ours_tells_run_number_and_time() -> None:
    reader = PayloadReader(wall_offset=NOON - 100, origin=90)
    event = reader.read(payload(run_id="r", sequence=7, timestamp="2026-05-01T12:00:01.500Z"))
    assert (event.run, event.sequence, event.due, event.second) == ("r", 7, 101.5, 11)


def test_the_same_bytes_are_parsed_once() -> None:
    reader = PayloadReader()
    first = reader.read(payload(sequence=1))
    assert reader.read(payload(sequence=1)) is first
    assert reader.parsed == 1


def test_a_payload_that_is_asked_for_again_and_again_is_never_forgotten() -> None:
    reader = PayloadReader()
    asked = payload(sequence=0)
    for number in range(1, 5_000):
        reader.read(payload(sequence=number))
        reader.read(asked)
    assert reader.parsed == 5_000


def test_what_was_not_asked_for_lately_is_forgotten() -> None:
    reader = PayloadReader()
    for number in (*range(5_000), 0):
        reader.read(payload(sequence=number))
    assert reader.parsed == 5_001


def test_few_large_payloads_are_forgotten_as_many_small_ones_are() -> None:
    reader = PayloadReader()
    for number in (*range(12), 0):
        reader.read(payload(sequence=number, content="x" * 1_000_000))
    assert reader.parsed == 13


@pytest.mark.parametrize(
    ("path", "message", "number"),
    [
        ("data.seq", {"data": {"seq": 3}}, 3),
        ("items.1.n", {"items": [{"n": 1}, {"n": 2}]}, 2),
        ("seq", {"seq": "12"}, 12),
        ("data.seq", {"data": 3}, None),
        ("items.7.n", {"items": []}, None),
        ("seq", {"seq": True}, None),
        ("seq", {"seq": 1.5}, None),
        ("seq", {"sequence": 1}, None),
    ],
)
def test_a_sequence_is_found_at_its_path(path: str, message: object, number: int | None) -> None:
    reader = PayloadReader(sequence_path=path)
    assert reader.read(json.dumps(message).encode()).sequence == number


def test_the_time_is_found_at_its_path() -> None:
    reader = PayloadReader(time_path="meta.at")
    event = reader.read(payload(sequence=0, timestamp=1, meta={"at": NOON}))
    assert event.due == NOON


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-01T12:00:00Z",
        "2026-05-01T14:00:00+02:00",
        "2026-05-01T12:00:00",
        NOON,
        int(NOON),
        NOON * 1_000,
        str(NOON),
        str(int(NOON * 1_000)),
    ],
)
def test_a_time_of_day_is_read_in_each_of_its_forms(value: object) -> None:
    assert moment_of(value) == NOON


@pytest.mark.parametrize("value", [None, True, 12.5, 0, -1, "soon", "", [], 1e30, float("nan")])
def test_what_is_no_time_of_day_is_none(value: object) -> None:
    assert moment_of(value) is None


@pytest.mark.parametrize("text", [b"no json", b"[1]", b"7", b"\xff", b'{"a": 1}', b"[" * 100_000])
def test_what_is_no_event_has_no_sequence(text: bytes) -> None:
    event = PayloadReader().read(text)
    assert event.sequence is None
    assert not event.ping


def test_an_application_ping_is_known() -> None:
    assert PayloadReader().read(b'{"type": "ping", "timestamp": 5}').ping
