import argparse
from collections.abc import Callable

import pytest

from flock_ws import arguments as words


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (words.port, "0", 0),
        (words.port, "65535", 65_535),
        (words.count, "1", 1),
        (words.seconds, "0.5", 0.5),
        (words.rate, "0", 0.0),
        (words.rate, "1e3", 1_000.0),
    ],
)
def test_a_word_becomes_its_number(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (words.port, "65536", "a port from 0 to 65535"),
        (words.port, "-1", "a port from 0 to 65535"),
        (words.port, "²", "a port from 0 to 65535"),
        (words.count, "0", "a whole number of at least 1"),
        (words.count, "1.5", "a whole number of at least 1"),
        (words.seconds, "0", "a number of seconds above 0"),
        (words.seconds, "inf", "a number of seconds above 0"),
        (words.rate, "-1", "a number a second of at least 0"),
        (words.rate, "fast", "a number a second of at least 0"),
    ],
)
def test_any_other_word_is_refused_with_what_was_expected(
    read: Callable[[str], float], text: str, expected: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected {expected}, not {text!r}"):
        read(text)
