import argparse
import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

import flock_ws
from flock_ws import WebSocketManager
from flock_ws.app import create_app
from flock_ws.demo import Demo
from flock_ws.events import StreamingOutputEvent
from flock_ws.page import CONTENT_SECURITY_POLICY
from flock_ws.server import _events as events_of
from flock_ws.server import add_arguments
from simulators import HealthyClient, StalledClient

STATIC = Path(flock_ws.__file__).parent / "static"
OURS = [path for path in sorted(STATIC.iterdir()) if path.is_file()]
INDEX = (STATIC / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in OURS if path.suffix == ".js"}
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


async def get(path: str, manager: Any = None, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(manager))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers=headers)


class Elements(HTMLParser):
    """Every start tag of the page, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str]:
        return [str(given[name]) for _tag, given in self.found if name in given]


# What is served


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/page.css"])
async def test_nothing_but_files_of_this_server_may_run_or_be_asked_for(path: str) -> None:
    answer = await get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_each_file_has_its_kind(name: str, kind: str) -> None:
    assert (await get(f"/page/{name}")).headers["Content-Type"] == kind


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", ["index.html", "none.js", "../page.py", "..%2fpage.py", "%2fetc%2fpasswd", ""]
)
async def test_what_is_no_file_of_the_page_is_not_found(name: str) -> None:
    assert (await get(f"/page/{name}")).status_code == 404


@pytest.mark.asyncio
async def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    tag = (await get("/page/main.js")).headers["ETag"]
    again = await get("/page/main.js", **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.asyncio
async def test_numbers_are_never_taken_from_a_cache() -> None:
    for path in ("/", "/api/overview"):
        assert (await get(path)).headers["Cache-Control"] == "no-store"


@pytest.mark.asyncio
async def test_without_the_flag_nobody_can_add_simulated_clients() -> None:
    assert (await get("/api/demo/clients")).status_code == 404
    assert (await get("/api/overview")).json()["demo"] is None


@pytest.mark.asyncio
async def test_who_reads_without_javascript_gets_the_numbers() -> None:
    manager = WebSocketManager(send_timeout=0.01)
    await manager.add_client(HealthyClient(), name="reads")
    await manager.add_client(StalledClient(), name="sleeps")
    await manager.broadcast(an_event())
    text = (await get("/", manager)).text
    await manager.shutdown()
    assert "<tr><th scope=row>clients in the pool</th><td>1</td></tr>" in text
    assert "<th scope=row>reads</th><td>healthy</td>" in text
    assert "<th scope=row>sleeps</th><td>send_timeout</td><td>1 messages" in text


@pytest.mark.asyncio
async def test_the_name_of_a_client_cannot_become_markup() -> None:
    manager = WebSocketManager()
    await manager.add_client(HealthyClient(), name="</noscript><script>alert(1)</script>")
    text = (await get("/", manager)).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def an_event() -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c", agent_name="a", run_id="r", output_type="log", content="x", sequence=0
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [{}, {"kind": "slow", "count": 0}, {"kind": "slow", "more": 1}])
async def test_a_demand_for_clients_that_means_nothing_is_refused(body: dict[str, Any]) -> None:
    transport = httpx.ASGITransport(create_app(demo=Demo()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/api/demo/clients", json=body)).status_code == 422


@pytest.mark.asyncio
async def test_a_page_of_another_site_cannot_add_clients() -> None:
    transport = httpx.ASGITransport(create_app(demo=Demo()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(
            "/api/demo/clients", json={"kind": "slow"}, headers={"Origin": "http://evil.example"}
        )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("words", "rate"),
    [([], 0), (["--demo"], 50), (["--demo", "--events", "0"], 0), (["--events", "7"], 7)],
)
def test_a_demonstration_has_events_to_look_at(words: list[str], rate: float) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert events_of(parser.parse_args(words)) == rate


# What the files say


def test_the_page_asks_for_files_that_are_there() -> None:
    elements = Elements(INDEX)
    asked = [name for name in elements.values("href") + elements.values("src") if "page/" in name]
    assert len(asked) == 6
    assert not [name for name in asked if not (STATIC / name.removeprefix("page/")).is_file()]


def test_scripts_import_files_that_are_there() -> None:
    names = re.findall(r'from "\./([\w.]+)"', "".join(SCRIPTS.values()))
    assert names
    assert set(names) <= set(SCRIPTS)


def test_every_id_is_there_once_and_every_label_has_its_target() -> None:
    elements = Elements(INDEX)
    ids = Counter(elements.values("id"))
    assert max(ids.values()) == 1
    assert set(elements.values("aria-labelledby")) <= set(ids)


def test_scripts_look_for_elements_that_are_there() -> None:
    sought = re.findall(r'(?:getElementById|write)\("([\w-]+)"', "".join(SCRIPTS.values()))
    assert len(sought) > 20
    assert set(sought) <= set(Elements(INDEX).values("id"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_becomes_markup(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write\(", SCRIPTS[name])


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(", text)


def test_the_library_for_plots_comes_with_its_licence() -> None:
    assert "Leon Sorokin" in (STATIC / "vendor" / "uPlot.LICENSE").read_text()


# In a browser


class Serving:
    """A server in a process of its own, which can be started again at the same port."""

    def __init__(self, *options: str, cwd: Path | None = None) -> None:
        self._options = options
        self._cwd = cwd
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "flock_ws", "serve", *self._options, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._cwd,
        )
        watchdog = threading.Timer(START_LIMIT, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, self.process.communicate()[1]
        self.port = json.loads(line)["port"]
        self.url = f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=START_LIMIT)


@contextlib.contextmanager
def serving(*options: str, cwd: Path | None = None) -> Iterator[Serving]:
    server = Serving(*options, cwd=cwd)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving("--demo", "--events", "100") as server:
        yield server


@pytest.fixture
def page(browser: Any, server: Serving) -> Iterator[Any]:
    with browser.page() as page:
        page.resize(1280, 900)
        page.go(server.url)
        page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")
        yield page
        assert page.complaints == []


def lanes(page: Any) -> str:
    return " ".join(page.text("#rows").split())


@pytest.mark.browser
@pytest.mark.sockets
def test_it_opens_without_a_complaint_and_asks_nobody_else(page: Any, server: Serving) -> None:
    page.until(lambda: "Process" in page.text("#process"), "no numbers")
    assert page.requests
    assert not [url for url in page.requests if not url.startswith(server.url)]


@pytest.mark.browser
@pytest.mark.sockets
def test_it_shows_a_stalled_client_being_evicted(page: Any) -> None:
    page.run("document.getElementById('demo-count').value = '1'")
    # The second is pressed before the first is answered, and counts.
    page.click("#demo-kinds button:nth-child(1)")
    page.click("#demo-kinds button:nth-child(3)")
    page.until(lambda: "healthy-1 ● healthy" in lanes(page), "no healthy client")
    page.until(lambda: "stalled-1 ■ stalled" in lanes(page), "it is not seen to stall")
    page.until(lambda: "stalled-1 ✕ evicted send timeout" in lanes(page), "it is not evicted")
    page.until(lambda: "gone in" in lanes(page), "its socket is not seen to be gone")
    page.until(lambda: "stalled-1" in page.text("#announced"), "the eviction is not announced")
    assert "stalled-1 evicted: send timeout" in page.text("#feed")
    assert "healthy-1 ● healthy" in lanes(page)


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


@pytest.mark.browser
@pytest.mark.sockets
def test_whom_a_sample_does_not_tell_about_is_gone_only_if_it_tells_about_all(page: Any) -> None:
    remembered = page.run(REMEMBERED)
    assert remembered["crowd"] == ["a healthy", "c healthy"]
    assert remembered["after"] == ["b evicted", "a left"]


@pytest.mark.browser
@pytest.mark.sockets
def test_evictions_that_came_too_fast_to_be_told_are_counted(page: Any) -> None:
    told = page.run(REMEMBERED)["told"]
    assert "evicted: 39 more clients evicted" in told
    assert "evicted: evicted: send timeout, 1 event (1 B) behind" in told


@pytest.mark.browser
@pytest.mark.sockets
def test_a_telephone_shows_it_without_scrolling_sideways(page: Any) -> None:
    page.resize(400, 800)
    page.click("#demo-kinds button:nth-child(2)")
    page.until(lambda: "slow-1" in lanes(page), "no lane")
    wide = "[document.documentElement.scrollWidth, innerWidth]"
    width, window = page.run(wide)
    assert window == 400
    assert width <= window


@pytest.mark.browser
@pytest.mark.sockets
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


@pytest.mark.browser
@pytest.mark.sockets
def test_the_colours_are_those_of_the_system_or_as_chosen(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    light = page.run(ground)
    page.tell("Emulation.setEmulatedMedia", features=[dark])
    page.until(lambda: page.run(ground) != light, "the dark of the system is not followed")
    page.click("#theme")
    page.until(lambda: page.run(ground) == light, "the choice does not count")
    page.run("localStorage.clear()")


@pytest.mark.browser
@pytest.mark.sockets
def test_it_survives_a_restart_of_the_server(browser: Any) -> None:
    with serving("--events", "50") as server, browser.page() as page:
        page.go(server.url)
        page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")
        server.stop()
        page.until(lambda: "Lost" in page.text("#link-text"), "it does not notice the end")
        server.start()
        page.click("#ask-now")
        page.until(lambda: page.text("#link-text") == "Live", "it does not come back")
        page.until(lambda: "started again" in page.text("#feed"), "it does not tell")


@pytest.mark.browser
@pytest.mark.sockets
def test_a_page_that_follows_comes_back_after_its_eviction(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(EVICTS_ONCE)
    options = ("--manager", "theirs:EvictsOnce", "--events", "50")
    with serving(*options, cwd=tmp_path) as server, browser.page() as page:
        page.go(server.url)
        page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")
        page.click("#follow")
        told = "#follow-told"
        page.until(lambda: "closed with 1013 (send timeout)" in page.text(told), "not evicted")
        page.until(lambda: "events/s" in page.text("#follow-rate"), "it does not join again")
        assert "synthetic" in page.text("#events")


@pytest.mark.browser
@pytest.mark.sockets
def test_behind_a_token_the_page_and_the_clients_it_adds_come_in_with_it(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    options = ("--demo", "--read-token-file", str(tmp_path / "token"))
    with serving(*options) as server, browser.page() as page:
        # Asked for once, as the browser's own dialogue would, the password is sent ever after.
        page.go(f"http://anybody:{TOKEN}@127.0.0.1:{server.port}/api/stats")
        page.until(lambda: "published" in page.text("body"), "the token does not open")
        page.go(server.url)
        page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")
        page.click("#demo-kinds button:nth-child(1)")
        page.until(lambda: "Added 5 healthy clients" in page.text("#demo-answer"), "not let in")
        page.click("#follow")
        page.until(lambda: "events/s" in page.text("#follow-rate"), "the page is not let in")
