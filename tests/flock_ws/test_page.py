import argparse
import re
from collections import Counter
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
from simulators import HealthyClient, StalledClient, simulate

STATIC = Path(flock_ws.__file__).parent / "static"
OURS = [path for path in sorted(STATIC.iterdir()) if path.is_file()]
INDEX = (STATIC / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in OURS if path.suffix == ".js"}


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


def test_who_reads_without_javascript_gets_the_numbers() -> None:
    async def main() -> str:
        manager = WebSocketManager(send_timeout=0.01)
        await manager.add_client(HealthyClient(), name="reads")
        await manager.add_client(StalledClient(), name="sleeps")
        await manager.broadcast(an_event())
        text = (await get("/", manager)).text
        await manager.shutdown()
        return text

    text = simulate(main)
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


# Colours


def palettes() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the colours of the light page, the dark one of the system, and the dark one chosen."""
    blocks = re.findall(r":root[^{}]*\{([^{}]*)\}", (STATIC / "page.css").read_text())
    light, system, chosen = (dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks)
    return light, system, chosen


def brightness(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_dark_of_the_system_is_the_dark_that_can_be_chosen() -> None:
    light, system, chosen = palettes()
    assert light.keys() == system.keys()
    assert system == chosen


def test_every_colour_is_used() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", (STATIC / "page.css").read_text()))
    named = set(re.findall(r'"([a-z-]+)"', SCRIPTS["lanes.js"] + SCRIPTS["plots.js"]))
    assert set(palettes()[0]) <= used | named


@pytest.mark.parametrize("palette", palettes()[:2], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground_as_wcag_asks(palette: dict[str, str]) -> None:
    words = ("ink", "soft", "link", "healthy", "lagging", "stalled", "evicted", "left", "zombie")
    for name in words:
        for ground in ("card", "ground"):
            dark, bright = sorted((brightness(palette[name]), brightness(palette[ground])))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, f"{name} on {ground}"
