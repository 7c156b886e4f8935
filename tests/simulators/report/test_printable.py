from hypothesis import given
from hypothesis import strategies as st

from simulators.report.printable import printable, shortened


def test_what_moves_a_cursor_or_breaks_a_parser_is_spelled_out() -> None:
    assert printable("a\x1b[2J\x00\r\ud800\u202e") == r"a\x1b[2J\x00\r\ud800\u202e"


def test_line_breaks_tabs_and_every_language_stay() -> None:
    text = "one\n\ttwo — 三 🐑 é"
    assert printable(text) == text


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_can_be_written_to_a_file(text: str) -> None:
    printable(text).encode("utf-8")


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_fits_on_one_line(text: str, width: int) -> None:
    short = shortened(text, width=width)
    assert len(short) <= width
    assert len(short.splitlines()) <= 1


def test_a_text_that_fits_is_not_shortened() -> None:
    assert shortened("to the\nletter", width=13) == "to the letter"
