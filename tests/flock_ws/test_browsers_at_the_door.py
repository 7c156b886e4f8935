"""What a real browser makes of a locked door, and what a foreign page can do with an open one."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flock_ws.door_options import READ_TOKEN
from tests.nursery import Nursery

pytestmark = [pytest.mark.sockets, pytest.mark.browser]

TOKEN = "the-token-of-this-test"  # noqa: S105 - of no other server
CONNECT = """
new Promise((done) => {
  const socket = new WebSocket("ws://127.0.0.1:PORT/ws");
  socket.onopen = () => { socket.close(); done("opened"); };
  socket.onerror = () => done("refused");
})
"""
PUBLISH = """
fetch("http://127.0.0.1:PORT/api/events",
      { method: "POST", mode: "no-cors", body: new Blob(["[]"]) }).then(() => "sent")
"""


@contextlib.contextmanager
def serving(nursery: Nursery, **environment: str) -> Iterator[int]:
    words = ("serve", "--port", "0")
    with nursery.start("flock_ws", *words, environment=environment) as process:
        yield json.loads(process.line())["port"]


@pytest.fixture(scope="module")
def locked(nursery: Nursery) -> Iterator[int]:
    with serving(nursery, **{READ_TOKEN: TOKEN}) as port:
        yield port


@pytest.fixture(scope="module")
def unlocked(nursery: Nursery) -> Iterator[int]:
    with serving(nursery) as port:
        yield port


def test_a_browser_that_was_told_the_token_once_uses_it_for_the_whole_page(
    browser: Any, locked: int
) -> None:
    with browser.page() as page:
        page.go(f"http://anybody:{TOKEN}@127.0.0.1:{locked}/metrics")  # as if typed when asked
        page.until(lambda: "flock_ws_clients" in page.text("body"), "the door did not open")
        page.go(f"http://127.0.0.1:{locked}/")
        page.until(lambda: "flock-ws" in page.run("document.title"), "the page did not open")
        assert page.run("fetch('/api/overview').then((answer) => answer.status)") == 200
        assert page.run(CONNECT.replace("PORT", str(locked))) == "opened"
        assert TOKEN not in page.run("document.documentElement.outerHTML")


def test_a_browser_without_the_token_sees_nothing(browser: Any, locked: int) -> None:
    with browser.page() as page:
        page.go(f"http://127.0.0.1:{locked}/healthz")
        page.until(lambda: "ok" in page.text("body"), "the server did not answer")
        # Left out, so that the browser does not use what another page was told.
        asked = "fetch('/', { credentials: 'omit' }).then((answer) => answer.status)"
        assert page.run(asked) == 401


def test_a_foreign_page_can_neither_connect_nor_publish(
    browser: Any, locked: int, unlocked: int
) -> None:
    with browser.page() as page:
        page.go(f"http://127.0.0.1:{locked}/healthz")
        page.until(lambda: "ok" in page.text("body"), "the server did not answer")
        assert page.run(CONNECT.replace("PORT", str(unlocked))) == "refused"
        assert page.run(PUBLISH.replace("PORT", str(unlocked))) == "sent"
    told = httpx.get(f"http://127.0.0.1:{unlocked}/metrics", timeout=10).text
    assert 'flock_ws_refusals_total{reason="origin"} 2.0' in told
    assert "flock_ws_published_total 0.0" in told
