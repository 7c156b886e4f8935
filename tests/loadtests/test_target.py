"""Servers that are started, and what stands in the way of those that are there already."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.access import Access
from loadtests.errors import LoadTestError, TargetError
from loadtests.target import Server, listens, probe, publishes, tells

pytestmark = pytest.mark.sockets

CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"
FEED = Path(__file__).with_name("servers") / "feed.py"
ENTRY = Access(headers={"X-Api-Key": "open-sesame"}, subprotocols=("feed.v1", "feed.v2"))


@contextlib.contextmanager
def feed(*words: str) -> Iterator[str]:
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(FEED), *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    with feed() as url:
        yield url


@pytest.fixture(scope="module")
def secure() -> Iterator[str]:
    with feed(str(CERTIFICATE)) as url:
        yield url


@pytest.fixture(scope="module")
def reference() -> Iterator[Server]:
    server = Server.start(options={"send_timeout": 0.75})
    yield server
    server.stop()
    assert server.death() is not None


def refusal(url: str, access: Access | None = None) -> str:
    with pytest.raises(LoadTestError) as caught:
        probe(url, access=access)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_reference_comes_up_tells_of_itself_and_takes_events(reference: Server) -> None:
    probe(reference.url)
    assert {"server", "manager", "connections"} <= tells(reference.url).keys()
    assert publishes(reference.url)
    assert reference.death() is None


def test_a_foreign_server_lets_in_who_has_the_key_and_a_subprotocol(foreign: str) -> None:
    probe(foreign, access=ENTRY)
    assert tells(foreign, access=ENTRY) == {}
    assert not publishes(foreign, access=ENTRY)


def test_only_a_refused_connection_means_that_nothing_listens(foreign: str) -> None:
    assert listens(foreign)
    assert not listens("ws://127.0.0.1:9/ws")
    assert listens("ws://no-such-host.invalid/ws")


def test_a_certificate_is_trusted_from_a_file_or_not_looked_at(secure: str) -> None:
    entry = ENTRY.to_plan()
    probe(secure, access=Access(**entry | {"ca": str(CERTIFICATE)}))
    probe(secure, access=Access(**entry | {"insecure": True}))


def test_a_certificate_that_is_not_trusted_is_said_with_the_way_out(secure: str) -> None:
    message = refusal(secure, ENTRY)
    assert "certificate is not trusted" in message
    assert message.endswith("give --ca FILE with its issuer's certificate, or --insecure")


def test_a_plain_server_under_wss_is_a_tls_failure(foreign: str) -> None:
    assert "TLS failed" in refusal(foreign.replace("ws:", "wss:"))


def test_a_missing_key_is_said_with_the_way_out(foreign: str) -> None:
    assert refusal(foreign).endswith("give --header 'Authorization: …'")


def test_a_wrong_path_is_said_with_what_the_server_answered(
    foreign: str, reference: Server
) -> None:
    assert "HTTP 404 Not Found: is the path right" in refusal(f"{foreign}s", ENTRY)
    assert "HTTP 403 Forbidden" in refusal(f"{reference.url}s")


def test_a_server_of_tls_under_ws_is_told_in_a_line(secure: str) -> None:
    assert "cannot connect" in refusal(secure.replace("wss:", "ws:"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ws://127.0.0.1:9/ws", "nothing listens at 127.0.0.1:9"),
        ("ws://no-such-host.invalid/ws", "unknown host 'no-such-host.invalid'"),
        ("http://127.0.0.1/ws", "expected ws://host[:port]/path"),
    ],
)
def test_an_address_where_nothing_can_be_is_one_line(url: str, message: str) -> None:
    assert message in refusal(url)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"manager": "nowhere:Manager"}, "did not start: there is no module 'nowhere'"),
        ({"app": "nowhere:app"}, "No module named 'nowhere'"),
        ({"options": {"send_timeout": -1}}, "argument --send-timeout"),
    ],
)
def test_a_server_that_does_not_come_up_says_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        Server.start(**options)  # type: ignore[arg-type]  # of several kinds
