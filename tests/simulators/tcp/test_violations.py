"""The 21 ways to break RFC 6455, and the page that says what uvicorn answers."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from simulators.faults import VIOLATIONS
from simulators.tcp.frames import FrameError, FrameReader
from simulators.tcp.line import Answer
from simulators.tcp.violations import RULES, main, markdown, violate, violate_all

Make = Callable[..., AbstractAsyncContextManager[Any]]

PAGE = Path(__file__).parents[3] / "docs" / "violations.md"


@pytest.fixture(scope="module")
def plain_url(
    server_process: Callable[..., AbstractContextManager[tuple[int, str]]],
) -> Iterator[str]:
    """Serve the reference with uvicorn's own protocol, in a process of its own."""
    with server_process("--protocol", "plain") as (_, url):
        yield url


def committed() -> dict[str, str]:
    """Return the answers on the page by violation."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    return dict(rows)


def test_there_is_a_rule_for_each_violation_of_the_catalogue() -> None:
    assert list(RULES) == list(VIOLATIONS)


def test_frames_are_masked_unless_that_is_what_is_wrong() -> None:
    unmasked = [name for name, rule in RULES.items() if not rule.data[1] & 0x80]

    assert unmasked == ["unmasked", "http_after_upgrade"]


def test_what_is_sent_for_a_reserved_bit_is_refused_by_our_own_reader() -> None:
    reader = FrameReader()
    data = bytearray(RULES["reserved_bits"].data)
    data[1] &= 0x7F
    reader.feed(bytes(data))
    with pytest.raises(FrameError, match="reserved bit"):
        list(reader.messages())


@pytest.mark.parametrize(
    "answer", [Answer("closed", 1002), Answer("ended"), Answer("reset")], ids=str
)
def test_a_rule_is_kept_by_its_code_or_by_dropping_the_connection(answer: Answer) -> None:
    assert RULES["long_ping"].kept(answer)


@pytest.mark.parametrize(
    "answer", [Answer("closed", 1000), Answer("accepted"), Answer("silent")], ids=str
)
def test_a_rule_is_not_kept_by_another_code_or_by_going_on(answer: Answer) -> None:
    assert not RULES["long_ping"].kept(answer)


@pytest.mark.sockets
def test_the_committed_page_is_what_uvicorn_answers(plain_url: str) -> None:
    answers = asyncio.run(violate_all(plain_url))

    assert {name: str(answer) for name, answer in answers.items()} == committed()


@pytest.mark.sockets
def test_a_server_that_does_not_mind_is_found_out(peer: Make, wait: Any) -> None:
    async def run() -> Answer:
        async with peer() as (server, url):
            answered = asyncio.ensure_future(violate(url, "invalid_utf8"))
            for n in (2, 1):
                await wait(lambda n=n: b"%d" % n in server.said(0x89))
                server.send(0x8A, b"%d" % n)
            return await answered

    assert str(asyncio.run(run())) == "accepted"


@pytest.mark.sockets
def test_a_server_that_hangs_is_silent(peer: Make) -> None:
    async def run() -> Answer:
        async with peer() as (_, url):
            return await violate(url, "declared_oversize", limit=0.05)

    assert str(asyncio.run(run())) == "silent"


@pytest.mark.sockets
def test_the_command_prints_the_table(plain_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([plain_url]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(VIOLATIONS)
    assert lines[2].startswith("| `unmasked` | a frame without a mask | 5.1 |")


def test_the_command_says_when_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ws://127.0.0.1:1/"]) == 2
    assert "nothing listens" in capsys.readouterr().err


def test_the_table_has_no_times_so_that_it_is_the_same_each_run() -> None:
    once = markdown({"unmasked": Answer("closed", 1002, time=0.1)})
    again = markdown({"unmasked": Answer("closed", 1002, time=0.2)})

    assert once == again
