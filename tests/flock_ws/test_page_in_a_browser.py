import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nursery import Nursery

pytestmark = [pytest.mark.sockets, pytest.mark.browser]

START_LIMIT = 30.0
TOKEN = "opens-this-test-alone"  # noqa: S105 - no secret

# Closes the first connection of a page as a server does that evicts it.
EVICTS_ONCE = """
import asyncio

class EvictsOnce:
    def __init__(self):
        self.clients, self.closed = [], None
    async def add_client(self, websocket):
        self.clients.append(websocket)
        if self.closed is None:
            self.closed = asyncio.ensure_future(websocket.close(1013, "send_timeout"))
    async def remove_client(self, websocket):
        self.clients.remove(websocket)
    async def broadcast(self, event):
        for websocket in list(self.clients):
            try:
                await websocket.send_text(event.model_dump_json())
            except Exception:
                pass
"""


class Serving:
    """A server in a process of its own, which can be started again at the same port."""

    def __init__(self, nursery: Nursery, *options: str, cwd: Path) -> None:
        self._nursery = nursery
        self._options = options
        self._cwd = cwd
        self.port = 0
        self.start()

    def start(self) -> None:
        words = ("serve", *self._options, "--port", str(self.port))
        self.process = self._nursery.start("flock_ws", *words, cwd=self._cwd)
        line = self.process.line(timeout=START_LIMIT)
        assert line, self.process.complaints
        self.port = json.loads(line)["port"]
        self.url = f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=START_LIMIT)
        self.process.kill()


@contextlib.contextmanager
def serving(nursery: Nursery, *options: str, cwd: Path) -> Iterator[Serving]:
    server = Serving(nursery, *options, cwd=cwd)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text(TOKEN)
    # So few that what a stalled client does not read is held by buffers until the page has seen it.
    options = ("--demo", "--events", "30", "--read-token-file", "token")
    with serving(nursery, *options, cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def evicting(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("evicting")
    (folder / "theirs.py").write_text(EVICTS_ONCE)
    options = ("--manager", "theirs:EvictsOnce", "--events", "50")
    with serving(nursery, *options, cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def tab(browser: Any, server: Serving) -> Iterator[Any]:
    """One page for all tests that only look, behind a token."""
    with browser.page() as asked:
        # Asked for once, as the browser's own dialogue would, the password is sent ever after.
        asked.go(f"http://anybody:{TOKEN}@127.0.0.1:{server.port}/api/stats")
        asked.until(lambda: "published" in asked.text("body"), "the token does not open")
    with browser.page() as tab:
        visit(tab, server)
        yield tab


@pytest.fixture
def page(tab: Any) -> Iterator[Any]:
    tab.resize(1280, 900)
    yield tab
    assert tab.complaints == []


def visit(page: Any, server: Serving) -> None:
    page.go(server.url)
    page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")


def lanes(page: Any) -> str:
    return " ".join(page.text("#rows").split())


def test_it_opens_without_a_complaint_and_asks_nobody_else(page: Any, server: Serving) -> None:
    page.until(lambda: "Process" in page.text("#process"), "no numbers")
    assert page.requests
    assert not [url for url in page.requests if not url.startswith(server.url)]


# More than all buffers hold between the server and who does not read.
PUBLISH = """
fetch("/api/events", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(Array.from({ length: 40 }, (_, sequence) => ({
    kind: "StreamingOutputEvent",
    event: {
      correlation_id: "c", agent_name: "test", run_id: "r", output_type: "log",
      content: ".".repeat(10_000), sequence,
    },
  }))),
}).then((answer) => answer.ok)
"""


def test_it_shows_a_stalled_client_being_evicted(page: Any) -> None:
    page.run("document.getElementById('demo-count').value = '1'")
    # The second is pressed before the first is answered, and counts.
    page.click("#demo-kinds button:nth-child(1)")
    page.click("#demo-kinds button:nth-child(3)")
    page.until(lambda: "healthy-1 ● healthy" in lanes(page), "no healthy client")
    page.until(lambda: "stalled-1 ■ stalled" in lanes(page), "it is not seen to stall")
    assert page.run(PUBLISH)
    page.until(lambda: "stalled-1 ✕ evicted send timeout" in lanes(page), "it is not evicted")
    page.until(lambda: "gone in" in lanes(page), "its socket is not seen to be gone")
    page.until(lambda: "stalled-1" in page.text("#announced"), "the eviction is not announced")
    assert "stalled-1 evicted: send timeout" in page.text("#feed")
    assert "healthy-1 ● healthy" in lanes(page)


def test_behind_a_token_the_clients_it_adds_and_it_itself_come_in_with_it(page: Any) -> None:
    page.run("document.getElementById('demo-count').value = '5'")
    page.click("#demo-kinds button:nth-child(1)")
    page.until(lambda: "Added 5 healthy clients" in page.text("#demo-answer"), "not let in")
    page.click("#follow")
    page.until(lambda: "events/s" in page.text("#follow-rate"), "the page is not let in")
    assert "llm_token #" in page.text("#events")
    page.click("#follow")
    page.until(lambda: "has left the pool" in page.text("#follow-told"), "it does not leave")


REMEMBERED = """
import('/page/memory.js').then(({ Memory }) => {
  const told = [];
  const memory = new Memory((kind, _sample, text) => told.push(`${kind}: ${text}`));
  const lane = (name) => ({ key: name, name, state: "healthy", round_trip: null });
  const server = { started: 1, pid: 1, clock: 0, time: 0, cpu_seconds: 0 };
  const take = (time, lanes, more) => memory.take({
    time, lanes: lanes.map(lane), server, joined: 9, left: 0, clients: 9, evicted: {}, ...more });
  const eviction = (number) => ({
    number, client: "b", reason: "send_timeout", at: 3, gone_at: null,
    lag: { messages: 1, bytes: 1 } });
  take(1, ["a", "b"]);
  take(2, ["a", "c"]);
  const crowd = memory.rows().map((row) => `${row.name} ${row.state}`);
  take(3, ["a"], { evicted: { send_timeout: 40 }, evictions: [eviction(39)] });
  take(4, [], { clients: 0, left: 1, evicted: { send_timeout: 40 } });
  const after = memory.rows().map((row) => `${row.name} ${row.state}`);
  return { crowd, after, told };
})
"""


def test_whom_a_sample_does_not_tell_about_is_gone_only_if_it_tells_about_all(page: Any) -> None:
    remembered = page.run(REMEMBERED)
    assert remembered["crowd"] == ["a healthy", "c healthy"]
    assert remembered["after"] == ["b evicted", "a left"]


def test_evictions_that_came_too_fast_to_be_told_are_counted(page: Any) -> None:
    told = page.run(REMEMBERED)["told"]
    assert "evicted: 39 more clients evicted" in told
    assert "evicted: evicted: send timeout, 1 event (1 B) behind" in told


def test_a_telephone_shows_it_without_scrolling_sideways(page: Any) -> None:
    page.resize(400, 800)
    page.click("#demo-kinds button:nth-child(2)")
    page.until(lambda: "slow-1" in lanes(page), "no lane")
    wide = "[document.documentElement.scrollWidth, innerWidth]"
    width, window = page.run(wide)
    assert window == 400
    assert width <= window


def test_everything_that_can_be_pressed_has_a_name(page: Any) -> None:
    page.until(lambda: "Stalled" in page.text("#demo-kinds"), "no buttons")
    page.tell("Accessibility.enable")
    nodes = page.tell("Accessibility.getFullAXTree")["nodes"]
    pressable = [
        node["name"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in ("button", "combobox", "link")
        and not node.get("ignored")
    ]
    assert {"Slow", "Follow", "Colours: as the system", "How many"} <= set(pressable)
    assert all(pressable)


FOCUSED = """
(() => {
  const one = document.activeElement;
  return one.id || one.getAttribute("aria-label") || one.innerText;
})()
"""


def test_the_tab_key_leads_to_everything_in_reading_order(page: Any) -> None:
    page.until(lambda: "Stalled" in page.text("#demo-kinds"), "no buttons")
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    page.run("getSelection().collapse(document.body, 0)")
    visited = []
    for _ in range(20):
        page.press("Tab")
        visited.append(page.run(FOCUSED).strip())
        if visited[-1] == "every client as JSON":
            break
    kinds = ["Healthy", "Slow", "Stalled", "Dead"]
    assert [name.split("\n")[-1] for name in visited] == [
        *("Skip to the clients", "theme", "demo-count"),
        *(name for name in visited if name[1:] in kinds),
        *("demo-storm", "demo-clear", "scroll", "feed", "follow"),
        *("HTTP interface", "these numbers as JSON", "every client as JSON"),
    ]


def test_a_key_adds_a_client_and_another_goes_to_the_lanes(page: Any) -> None:
    page.until(lambda: "Dead" in page.text("#demo-kinds"), "no buttons")
    page.run("document.getElementById('demo-count').value = '1'")
    page.run("document.querySelector('#demo-kinds button:nth-child(4)').focus()")
    page.press("Enter")
    page.until(lambda: "Added 1 dead client" in page.text("#demo-answer"), "Enter does nothing")
    page.run("document.querySelector('.skip').focus()")
    page.press("Enter")
    page.until(lambda: page.run(FOCUSED) == "lanes", "the focus does not follow")


def test_the_colours_are_those_of_the_system_or_as_chosen(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.tell("Emulation.setEmulatedMedia", features=[colours("dark")])
    page.until(lambda: page.run(ground) != light, "the dark of the system is not followed")
    page.click("#theme")
    page.until(lambda: page.run(ground) == light, "the choice does not count")
    page.click("#theme")
    page.click("#theme")
    page.tell("Emulation.setEmulatedMedia", features=[colours("light")])
    page.until(lambda: page.run(ground) == light, "the light of the system is not followed")


def colours(scheme: str) -> dict[str, str]:
    return {"name": "prefers-color-scheme", "value": scheme}


def test_a_page_that_follows_comes_back_after_its_eviction(browser: Any, evicting: Serving) -> None:
    with browser.page() as page:
        visit(page, evicting)
        page.click("#follow")
        told = "#follow-told"
        page.until(lambda: "closed with 1013 (send timeout)" in page.text(told), "not evicted")
        page.until(lambda: "events/s" in page.text("#follow-rate"), "it does not join again")
        assert "by synthetic" in page.text("#events")
        assert page.complaints == []


def test_it_comes_back_by_itself_after_a_restart_of_the_server(
    browser: Any, evicting: Serving
) -> None:
    with browser.page() as page:
        visit(page, evicting)
        page.click("#follow")
        page.until(lambda: "events/s" in page.text("#follow-rate"), "it does not join")
        evicting.stop()
        page.until(lambda: "Lost" in page.text("#link-text"), "it does not notice the end")
        evicting.start()
        page.until(lambda: page.text("#link-text") == "Live", "it does not come back")
        page.until(lambda: "started again" in page.text("#feed"), "it does not tell")
        page.until(lambda: "events/s" in page.text("#follow-rate"), "it does not join again")
