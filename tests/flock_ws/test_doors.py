from pathlib import Path
from typing import Any

import pytest

from flock_ws.doors import LEAST_TOKEN, DoorError, Doors, read_token_file

TOKEN = "the-token-of-this-test"  # noqa: S105 - of no server
OTHER = "another-token-of-this-test"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allowed_origins": "https://a.example"}, "are tuples"),
        ({"allowed_origins": ("https://a.example/",)}, "without a path"),
        ({"allowed_origins": ("a.example",)}, "without a path"),
        ({"allowed_origins": (7,)}, "without a path"),
        ({"allowed_hosts": ("a.example:80",)}, "names without a port"),
        ({"allowed_hosts": ("",)}, "names without a port"),
        ({"publish_token": "short"}, "publish_token has 5 characters, at least 16"),
        ({"read_token": "with a space in its middle"}, "read_token must consist of"),
        ({"read_token": "märchenhaft-lang-und-gut"}, "read_token must consist of"),
        ({"max_clients": 0}, "max_clients must be"),
        ({"max_inbound_bytes": True}, "max_inbound_bytes must be"),
        ({"max_body_bytes": 1.5}, "max_body_bytes must be"),
        ({"max_inbound_rate": 0.0}, "max_inbound_rate must be"),
        ({"max_inbound_rate": float("nan")}, "max_inbound_rate must be"),
        ({"handshake_timeout": 0}, "handshake_timeout must be"),
    ],
)
def test_what_means_nothing_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Doors(**options)


def test_a_refused_token_is_not_told() -> None:
    with pytest.raises(ValueError, match="publish_token") as refused:
        Doors(publish_token="hunter2")  # noqa: S106 - it is refused
    assert "hunter2" not in str(refused.value)


def test_a_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(Doors(publish_token=TOKEN, read_token=TOKEN))


# Tokens


@pytest.mark.parametrize(
    ("doors", "publishing", "keys"),
    [
        (Doors(), True, ()),
        (Doors(), False, ()),
        (Doors(publish_token=TOKEN), True, (TOKEN,)),
        (Doors(publish_token=TOKEN), False, ()),
        (Doors(read_token=TOKEN), True, (TOKEN,)),
        (Doors(read_token=TOKEN), False, (TOKEN,)),
        (Doors(read_token=TOKEN, publish_token=OTHER), True, (OTHER,)),
        (Doors(read_token=TOKEN, publish_token=OTHER), False, (TOKEN, OTHER)),
    ],
)
def test_a_door_has_these_keys(doors: Doors, keys: tuple[str, ...], *, publishing: bool) -> None:
    assert doors.keys(publishing=publishing) == keys


# Hosts


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST:8000", True),
        ("app.localhost", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("192.0.2.7", True),
        ("named.example:443", True),
        ("page.example:8000", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("named.example@page.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_names_are_admitted_only_if_nobody_else_can_own_them(host: str, *, admitted: bool) -> None:
    assert Doors(allowed_hosts=("Named.example",)).admits_host(host) is admitted


def test_any_name_is_admitted_where_none_are_listed() -> None:
    assert Doors().admits_host("page.example")


# Origins


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("http://127.0.0.1:8000", True),
        ("https://127.0.0.1:8000", True),
        ("HTTP://127.0.0.1:8000", True),
        ("http://127.0.0.1:8001", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:8000.page.example", False),
        ("https://dash.example", True),
        ("http://dash.example", False),
        ("https://sub.dash.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_pages_are_admitted_from_our_own_origin_and_those_listed(
    origin: str, *, admitted: bool
) -> None:
    doors = Doors(allowed_origins=("https://dash.example",))
    assert doors.admits_origin(origin, host="127.0.0.1:8000") is admitted


def test_no_page_is_our_own_where_no_host_was_asked_for() -> None:
    assert not Doors().admits_origin("http://", host="")


def test_a_star_admits_every_origin() -> None:
    assert Doors(allowed_origins=("*",)).admits_origin("null", host="")


# Files


def test_a_token_is_read_without_the_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}\n")
    assert read_token_file(file) == TOKEN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 characters"),
        (b"x" * (LEAST_TOKEN - 1), "has 15 characters"),
        (b"two lines of\ntoken, it seems", "visible ASCII characters"),
        (b"\xff" * LEAST_TOKEN, "visible ASCII characters"),
    ],
)
def test_a_file_that_holds_no_token_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(DoorError, match=message):
        read_token_file(file)


def test_a_missing_file_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(DoorError, match=r"nowhere: No such file"):
        read_token_file(tmp_path / "nowhere")
