"""The framing, against bytes made by hand and cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.tcp.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    close_payload,
    encode_frame,
    parse_close,
)


def frame(head: int, payload: bytes = b"") -> bytes:
    """Encode a frame as a server does, unmasked, whatever its first byte is."""
    size = len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 65536:
        return bytes((head, 126)) + size.to_bytes(2, "big") + payload
    return bytes((head, 127)) + size.to_bytes(8, "big") + payload


def read(data: bytes, **options: int) -> list[tuple[int, bytes]]:
    reader = FrameReader(**options)
    reader.feed(data)
    return list(reader.messages())


SIZES = [0, 1, 125, 126, 127, 300, 65535, 65536, 70000]


@pytest.mark.parametrize("size", SIZES)
def test_every_form_of_length_is_read(size: int) -> None:
    payload = b"x" * size

    assert read(frame(0x82, payload)) == [(BINARY, payload)]


@pytest.mark.parametrize("size", SIZES)
def test_what_a_client_sends_is_masked_and_is_what_was_said(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    encoded = encode_frame(TEXT, payload, mask=b"\x01\x02\x03\x04")
    body = len(encoded) - size
    unmasked = bytes(byte ^ (index % 4 + 1) for index, byte in enumerate(encoded[body:]))

    assert encoded[0] == 0x81
    assert encoded[1] & 0x80
    assert encoded[body - 4 : body] == b"\x01\x02\x03\x04"
    assert unmasked == payload


PIECES = st.lists(st.binary(max_size=40), min_size=1, max_size=4)
MESSAGES = st.tuples(st.sampled_from([TEXT, BINARY]), PIECES, st.booleans(), st.binary(max_size=9))


@given(
    messages=st.lists(MESSAGES, max_size=6),
    big=st.sampled_from([0, 126, 500, 66_000]),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=30),
    capacity=st.integers(16, 600),
)
def test_messages_come_whole_wherever_the_stream_is_cut(
    messages: list[tuple[int, list[bytes], bool, bytes]],
    big: int,
    cuts: list[int],
    capacity: int,
) -> None:
    stream, expected = b"", []
    for opcode, pieces, interrupted, ping in messages:
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            stream += frame((0x80 if last else 0) | (0 if index else opcode), piece)
            if interrupted and not last:
                stream += frame(0x80 | PING, ping)
                expected.append((PING, ping))
        expected.append((opcode, b"".join(pieces)))
    stream += frame(0x82, b"b" * big)
    expected.append((BINARY, b"b" * big))

    reader, offset = FrameReader(capacity_bytes=capacity), 0
    seen: list[tuple[int, bytes]] = []
    while offset < len(stream):
        room = reader.room(cuts[len(seen) % len(cuts)] if offset % 3 else None)
        part = stream[offset : offset + len(room)]
        room[: len(part)] = part
        reader.filled(len(part))
        offset += len(part)
        seen.extend(reader.messages())

    assert seen == expected
    assert reader.buffered_bytes == 0


def test_who_stops_asking_finds_the_rest_later() -> None:
    reader = FrameReader()
    reader.feed(frame(0x81, b"one") + frame(0x81, b"two") + frame(0x81, b"three"))

    first = next(iter(reader.messages()))
    left = reader.buffered_bytes
    rest = list(reader.messages())

    assert first == (TEXT, b"one")
    assert left == 5 + 7
    assert rest == [(TEXT, b"two"), (TEXT, b"three")]


def test_the_view_to_read_into_is_never_larger_than_asked_for() -> None:
    reader = FrameReader()

    assert len(reader.room(7)) == 7


def test_a_buffer_that_grew_for_a_large_frame_shrinks_again() -> None:
    reader = FrameReader(capacity_bytes=64)
    reader.feed(frame(0x82, b"x" * 5000))
    list(reader.messages())

    assert len(reader.room()) == 64


def test_memory_follows_what_arrived_not_what_was_announced() -> None:
    reader = FrameReader(capacity_bytes=64, max_message_bytes=1 << 62)
    reader.feed(b"\x82\x7f" + (1 << 40).to_bytes(8, "big") + b"x" * 100)

    assert list(reader.messages()) == []
    assert len(reader.room()) < 1000


def test_the_handshake_is_taken_and_the_frames_behind_it_stay() -> None:
    reader = FrameReader()
    reader.feed(b"HTTP/1.1 101\r\n")
    early = reader.take_through(b"\r\n\r\n")
    reader.feed(b"\r\n" + frame(0x81, b"hi"))

    assert early is None
    assert reader.take_through(b"\r\n\r\n") == b"HTTP/1.1 101\r\n\r\n"
    assert list(reader.messages()) == [(TEXT, b"hi")]


def test_what_lacks_of_a_delimiter_is_known_to_the_byte() -> None:
    reader = FrameReader()
    lacking = [reader.lacking(b"\r\n\r\n")]
    for part in (b"HTTP", b"\r", b"\n", b"x\r\n", b"\r", b"\r", b"\n\r", b"\n"):
        reader.feed(part)
        lacking.append(reader.lacking(b"\r\n\r\n"))

    assert lacking == [4, 4, 3, 2, 2, 1, 3, 1, 0]


VIOLATIONS = {
    "masked frame": b"\x81\x85abcdhello",
    "masked frame, long": b"\x81\xfe\x01\x00" + b"x" * 300,
    "reserved bit": frame(0xC1, b"hello"),
    "reserved bit, nothing of it arrived": b"\xc1\x7e",
    "reserved opcode": frame(0x83, b"hello"),
    "fragmented ping": frame(0x09, b"hello"),
    "long ping": frame(0x89, b"x" * 126),
    "continuation of nothing": frame(0x80, b"hello"),
    "message in a fragmented one": frame(0x01, b"a") + frame(0x81, b"b"),
    "16 bits for a short length": b"\x81\x7e\x00\x05hello",
    "64 bits for a short length": b"\x81\x7f" + (5).to_bytes(8, "big") + b"hello",
    "64th bit set": b"\x81\x7f" + b"\x80" + bytes(7),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_is_an_error_with_code_1002(violation: str) -> None:
    with pytest.raises(FrameError) as caught:
        read(VIOLATIONS[violation])

    assert caught.value.code == 1002


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x7e\x10\x00",
        frame(0x02, b"x" * 600) + frame(0x80, b"x" * 600),
        b"\x82\x7f" + (1 << 40).to_bytes(8, "big"),
    ],
)
def test_a_message_above_the_limit_is_refused_with_1009(data: bytes) -> None:
    with pytest.raises(FrameError, match=r"at most 1000 are taken") as caught:
        read(data, max_message_bytes=1000)

    assert caught.value.code == 1009


def test_messages_before_a_violation_are_given_out_first() -> None:
    reader = FrameReader()
    reader.feed(frame(0x81, b"good") + frame(0xC1, b"bad"))
    messages = reader.messages()

    assert next(messages) == (TEXT, b"good")
    with pytest.raises(FrameError):
        next(messages)


@pytest.mark.parametrize(
    ("payload", "parsed"),
    [
        (b"", (1005, "")),
        ((1013).to_bytes(2, "big") + "später".encode(), (1013, "später")),
        ((4999).to_bytes(2, "big"), (4999, "")),
    ],
)
def test_a_close_frame_gives_its_code_and_reason(payload: bytes, parsed: tuple[int, str]) -> None:
    assert parse_close(payload) == parsed


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        ((1005).to_bytes(2, "big"), 1002),
        ((1015).to_bytes(2, "big"), 1002),
        ((999).to_bytes(2, "big"), 1002),
        ((5000).to_bytes(2, "big"), 1002),
        ((1000).to_bytes(2, "big") + b"\xff", 1007),
    ],
)
def test_a_bad_close_frame_is_an_error(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse_close(payload)

    assert caught.value.code == code


def test_a_long_close_reason_is_cut_at_a_whole_character() -> None:
    payload = close_payload(1000, "ü" * 100)

    assert len(payload) <= 125
    assert parse_close(payload) == (1000, "ü" * 61)


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_are_yielded_as_they_come(opcode: int) -> None:
    assert read(frame(0x80 | opcode, b"ab")) == [(opcode, b"ab")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 9_000])
def test_a_text_that_is_all_there_is_can_be_taken_by_itself(size: int) -> None:
    reader = FrameReader()
    reader.feed(frame(0x81, b"x" * size))
    taken = reader.only()
    # A frame below four bytes is not worth the question: `messages` finds it.
    assert (taken if size > 1 else dict(reader.messages())[TEXT]) == b"x" * size
    assert (reader.only(), reader.buffered_bytes) == (None, 0)


@pytest.mark.parametrize(
    "data",
    [
        frame(0x81, b"one") + frame(0x81, b"two"),
        frame(0x81, b"half")[:-1],
        frame(0x82, b"binary"),
        frame(0x89, b"ping"),
        frame(0x01, b"begun"),
        frame(0xC1, b"deflated"),
        b"\x81\x7e\x00\x05short",
        b"\x81\x85\0\0\0\0mask.",
        frame(0x81, b"x" * 2_000),
    ],
)
def test_anything_else_is_left_for_the_messages_to_tell(data: bytes) -> None:
    reader = FrameReader(max_message_bytes=1_000)
    reader.feed(data)
    assert reader.only() is None
    assert reader.buffered_bytes == len(data)


def test_a_text_within_a_fragmented_message_is_not_taken_by_itself() -> None:
    reader = FrameReader()
    reader.feed(frame(0x01, b"begun"))
    assert not list(reader.messages())
    reader.feed(frame(0x81, b"intruder"))
    assert reader.only() is None
    with pytest.raises(FrameError, match="new message inside"):
        list(reader.messages())
