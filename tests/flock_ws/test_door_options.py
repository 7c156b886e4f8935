import argparse
from pathlib import Path

import pytest

from flock_ws.cli import main
from flock_ws.door_options import PUBLISH_TOKEN, READ_TOKEN, add_door_arguments, doors_from
from flock_ws.doors import Doors

TOKEN = "the-token-of-this-test"  # noqa: S105 - of no server
OTHER = "another-token-of-this-test"


def described(*options: str, **environment: str) -> Doors:
    parser = argparse.ArgumentParser()
    add_door_arguments(parser)
    return doors_from(parser.parse_args(options), environment=environment)


def test_without_options_the_doors_are_the_default_ones() -> None:
    assert described() == Doors()


def test_every_option_reaches_its_field() -> None:
    options = (
        "--max-clients 5 --allow-origin https://a.example --allow-origin https://b.example "
        "--allow-host c.example --max-inbound-bytes 6 --max-inbound-rate 7 --max-body-bytes 8 "
        "--handshake-timeout 9"
    )
    assert described(*options.split()) == Doors(
        max_clients=5,
        allowed_origins=("https://a.example", "https://b.example"),
        allowed_hosts=("c.example",),
        max_inbound_bytes=6,
        max_inbound_rate=7.0,
        max_body_bytes=8,
        handshake_timeout=9.0,
    )


def test_a_rate_of_zero_is_no_limit() -> None:
    assert described("--max-inbound-rate", "0").max_inbound_rate is None


def test_tokens_come_from_the_environment() -> None:
    doors = described(**{PUBLISH_TOKEN: TOKEN, READ_TOKEN: OTHER})
    assert (doors.publish_token, doors.read_token) == (TOKEN, OTHER)


def test_an_empty_variable_is_no_token() -> None:
    assert described(**{PUBLISH_TOKEN: ""}).publish_token is None


def test_a_file_goes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    doors = described("--read-token-file", str(file), **{READ_TOKEN: OTHER})
    assert doors.read_token == TOKEN


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--publish-token-file", "/nowhere"), "no token can be read from /nowhere"),
        (("--allow-origin", "a.example"), "allowed_origins holds origins like"),
        (("--allow-host", "a.example:80"), "allowed_hosts holds names without a port"),
    ],
)
def test_doors_that_cannot_be_are_one_clear_line(
    options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "0", *options]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1


def test_a_short_token_in_the_environment_is_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(READ_TOKEN, "hunter2")
    assert main(["serve", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "read_token has 7 characters" in told
    assert "hunter2" not in told
