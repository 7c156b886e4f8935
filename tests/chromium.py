"""Chromium, driven over its DevTools protocol: for tests of pages, and for pictures of them."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-port=0"
)

_KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}


class Page:
    """One tab: what it is told, and what it complained about."""

    def __init__(self, connection: ClientConnection, *, patience: float) -> None:
        self._socket = connection
        self._patience = patience
        self._number = 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the protocol, and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(command))
        while True:
            told = json.loads(self._socket.recv(timeout=self._patience))
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                result: dict[str, Any] = told["result"]
                return result
            self._note(told.get("method", ""), told.get("params", {}))

    def _note(self, event: str, what: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(what["exceptionDetails"]))
        elif event == "Log.entryAdded":
            self.complaints.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(what["args"]))
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def go(self, url: str) -> None:
        """Open an address."""
        self.tell("Page.navigate", url=url)

    def open(self, url: str) -> None:
        """Open an address, and wait until all of it is there."""
        # The page before may still answer.
        self.run("window.before = true")
        self.go(url)
        there = "!window.before && document.readyState === 'complete'"
        self.until(lambda: bool(self.run(there)), f"{url} is not there")

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited."""
        told = self.tell(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        """Return what an element says; nothing when it is not there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click an element, once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.until(lambda: bool(self.run(f"!!{found}")), f"there is no {selector}")
        self.run(f"{found}.click()")

    def press(self, key: str) -> None:
        """Press a key of the keyboard: Tab or Enter."""
        code, text = _KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self.tell("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **about)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **about)

    def until(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Wait for a condition; each look at it is a round trip to the browser."""
        ends = time.monotonic() + self._patience
        while not condition():
            assert time.monotonic() < ends, f"{otherwise}; complaints: {self.complaints}"
            self.run("new Promise((done) => setTimeout(done, 50))")

    def photograph(self, file: Path) -> None:
        """Keep what the tab shows, as WebP or PNG after the name of the file."""
        kind = {"format": "webp", "quality": 80} if file.suffix == ".webp" else {"format": "png"}
        file.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot", **kind)["data"]))

    def resize(self, width: int, height: int) -> None:
        """Give the page a size, as a telephone would."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )


class Browser:
    """A running Chromium with a profile of its own."""

    def __init__(self, chromium: str, folder: Path, *, patience: float) -> None:
        self._patience = patience
        self._process = subprocess.Popen(  # noqa: S603 - a browser, on our own pages
            [chromium, *_OPTIONS.split(), f"--user-data-dir={folder}", "about:blank"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "DevTools listening on" in line:
                break
        else:
            raise RuntimeError("chromium did not start")
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/json", timeout=patience)

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """Open a new tab, and close it at the end."""
        made = self._http.put("/new?about:blank").json()
        # What nobody reads any more must not hold up the close.
        with connect(made["webSocketDebuggerUrl"], max_size=None, max_queue=None) as connection:
            yield Page(connection, patience=self._patience)
        self._http.get(f"/close/{made['id']}")

    def stop(self) -> None:
        """End it."""
        self._http.close()
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def browsing(*, patience: float) -> Iterator[Browser]:
    """Run a browser.

    Raises:
        LookupError: there is none on this machine.
    """
    if CHROMIUM is None:
        raise LookupError("no chromium on this machine")
    # It still writes into its profile while it dies.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(CHROMIUM, Path(folder), patience=patience)
        try:
            yield browser
        finally:
            browser.stop()
