"""What is said to get into a server, and what of it is never shown."""

import re

import pytest

from loadtests.access import Access, headers_of, without_secrets
from loadtests.errors import LoadTestError
from loadtests.plan import Plan


def test_headers_are_read_from_lines() -> None:
    assert headers_of(["x-api-key: a:b ", "Origin:https://h"]) == {
        "X-Api-Key": "a:b",
        "Origin": "https://h",
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["no colon"], "expected 'Name: value'"),
        ([": value"], "expected 'Name: value'"),
        (["A b: value"], "expected 'Name: value'"),
        (["A: b\r\nC: d"], "other than printable ASCII"),
        (["Upgrade: h2c"], "the handshake sets itself"),
        (["Sec-WebSocket-Protocol: chat"], "use --subprotocol"),
        (["A: 1", "a: 2"], "comes twice"),
    ],
)
def test_what_is_no_header_of_ones_own_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(LoadTestError, match=re.escape(message)):
        headers_of(lines)


def test_an_error_about_a_header_does_not_repeat_its_value() -> None:
    with pytest.raises(LoadTestError) as caught:
        headers_of(["Authorization: gehéim"])
    assert "gehéim" not in str(caught.value)


@pytest.mark.parametrize("path", ["", ".seq", "data.", "a..b"])
def test_a_path_into_json_has_no_empty_step(path: str) -> None:
    with pytest.raises(LoadTestError, match=r"--sequence-path .* is no path into JSON"):
        Access(sequence_path=path)


@pytest.mark.parametrize("names", [("a b",), ("",), ("chat", "chat")])
def test_what_is_no_list_of_subprotocols_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(LoadTestError, match="--subprotocol"):
        Access(subprotocols=names)


def test_every_field_is_one_of_a_plan() -> None:
    assert Access().to_plan().keys() <= Plan.__dataclass_fields__.keys()


def test_secrets_are_left_out_of_a_command_line() -> None:
    words = ["load", "--header", "Authorization: Bearer x", "--header=Cookie: y", "--rate", "5"]
    assert without_secrets(words) == [
        *("load", "--header", "Authorization: ***", "--header=Cookie: ***", "--rate", "5")
    ]
    assert without_secrets(["--header", "Origin: https://h"]) == ["--header", "Origin: https://h"]
