"""What the page shows while nobody is connected, and what it tells to do about it."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.sockets, pytest.mark.browser]

EDGES = """
Array.from(document.querySelectorAll(".side"), (side) => side.lastElementChild)
  .map((card) => Math.round(card.getBoundingClientRect().bottom))
"""

# The plots take their new width a moment after the page has.
FITS = """
innerWidth === 400 && document.documentElement.scrollWidth <= 400
  && [...document.querySelectorAll(".ways dd, .ways code")]
    .every((one) => one.scrollWidth <= one.clientWidth)
"""


@pytest.fixture(scope="module")
def quiet() -> Iterator[str]:
    """The address of a server to which nobody comes by himself."""
    command = [sys.executable, "-m", "flock_ws", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}/"
        finally:
            server.terminate()


@contextlib.contextmanager
def looking(browser: Any, url: str) -> Iterator[Any]:
    with browser.page() as page:
        page.resize(1280, 900)
        page.go(url)
        page.until(lambda: page.text("#figure-clients") == "0", "the page does not ask")
        yield page
        assert page.complaints == []


def test_both_columns_of_an_empty_page_end_at_the_same_height(browser: Any, quiet: str) -> None:
    with looking(browser, quiet) as page:
        left, right = page.run(EDGES)
        assert left == right


def test_a_page_that_has_seen_one_moment_does_not_say_that_nothing_is_counted(
    browser: Any, quiet: str
) -> None:
    with looking(browser, quiet) as page:
        told = page.text("#caption-delivered")
        assert re.match(r"Counting from now on\.|No event was delivered", told)


def test_what_it_tells_to_do_fits_on_a_telephone(browser: Any, quiet: str) -> None:
    with looking(browser, quiet) as page:
        page.resize(400, 800)
        page.until(lambda: page.run(FITS), "it scrolls sideways, or some of it is cut off")


def test_each_way_that_it_tells_brings_a_first_client(browser: Any, quiet: str) -> None:
    with looking(browser, quiet) as page:
        itself, terminal, console, load = page.run(
            "Array.from(document.querySelectorAll('.ways dd'), (one) => one.innerText)"
        )
        page.run(f"globalThis.first = (() => {{ {console}; }})()")
        page.until(lambda: page.text("#figure-clients") == "1", "the console brings nobody")
        program, *arguments = shlex.split(terminal)
        assert program == "python"
        with subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE) as client:  # noqa: S603 - as the page tells
            page.until(lambda: page.text("#figure-clients") == "2", "the terminal brings nobody")
            client.terminate()
        assert re.fullmatch(r"Press (\w+) under (\w+)\.", itself)
        page.click("#follow")
        page.until(lambda: "In the pool" in page.text("#follow-told"), "Follow brings nobody")
        assert load == f"flock-ws load {quiet.replace('http', 'ws')}ws"
