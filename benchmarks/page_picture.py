"""Photographs the live page for the docs, or all of its faces to be looked at.

    python benchmarks/page_picture.py               # docs/images/page.webp, in about a minute
    python benchmarks/page_picture.py --all FOLDER  # every scene, both colours, two sizes

The scenes are played on `flock-ws serve --demo` by the buttons of the page itself.
"""

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from command_line import end_with, parser_of

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
IMAGES = ROOT / "docs" / "images"
SIZES = {"desk": (1280, 940), "telephone": (400, 860)}
PATIENCE = 60.0
KINDS = {"healthy": 1, "slow": 2, "stalled": 3, "dead": 4}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run a server with buttons for simulated clients, and give the address of its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flock_ws", "serve", "--port", "0", "--demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit("the server did not start: see flock-ws serve --demo")
        yield f"http://127.0.0.1:{json.loads(line)['port']}/"
    finally:
        process.terminate()
        process.communicate()


def add(page: Any, kind: str, count: int) -> None:
    """Press the button for some simulated clients."""
    page.run(f"document.getElementById('demo-count').value = '{count}'")
    page.click(f"#demo-kinds button:nth-child({KINDS[kind]})")
    page.until(lambda: f"Added {count}" in page.text("#demo-answer"), f"no {kind} clients")


def quiet(page: Any) -> None:
    """Some healthy clients, one of them the page itself, for half a minute."""
    add(page, "healthy", 5)
    page.click("#follow")
    time.sleep(30)


def stalled(page: Any) -> None:
    """The same, and one that stalls and has just been evicted."""
    add(page, "healthy", 5)
    page.click("#follow")
    time.sleep(15)
    add(page, "stalled", 1)
    page.until(lambda: "evicted send timeout" in row(page, "stalled"), "not evicted")
    time.sleep(3)


def storm(page: Any) -> None:
    """Clients of all kinds at once, after one that is out already, when those that stall do."""
    stalled(page)
    page.click("#demo-storm")
    page.until(lambda: "storm has begun" in page.text("#demo-answer"), "no storm")
    page.until(lambda: lanes(page, "stalled") >= 8, "too few stall")  # noqa: PLR2004 - all of them
    time.sleep(1.5)


def lanes(page: Any, state: str) -> int:
    """Return how many lanes are in this state."""
    return int(page.run(f"document.querySelectorAll('.{state}-row').length"))


def row(page: Any, start: str) -> str:
    """Return what the first lane whose client's name begins so says."""
    told = " ".join(page.text("#rows").split())
    return told[told.find(f"{start}-") :]


SCENES: dict[str, Callable[[Any], None]] = {"quiet": quiet, "stalled": stalled, "storm": storm}


def colour(page: Any, scheme: str) -> None:
    """Have the page light or dark, as the system would."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.tell("Emulation.setEmulatedMedia", features=[feature])


@contextlib.contextmanager
def played(scene: str, *, size: tuple[int, int]) -> Iterator[Any]:
    """Play a scene on a server of its own, and give the page that shows it."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    chromium: Any = importlib.import_module("chromium")
    with (
        serving() as address,
        chromium.browsing(patience=PATIENCE) as browser,
        browser.page() as page,
    ):
        page.resize(*size)
        page.tell("Emulation.setScrollbarsHidden", hidden=True)
        page.go(address)
        page.until(lambda: page.text("#link-text") == "Live", "the page does not ask")
        SCENES[scene](page)
        yield page


def all_faces(folder: Path) -> None:
    """Photograph every scene in both colours and both sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCENES:
        with played(name, size=SIZES["desk"]) as page:
            for device, size in SIZES.items():
                page.resize(*size)
                for scheme in ("light", "dark"):
                    colour(page, scheme)
                    for part, place in (("top", 0), ("end", 99_999)):
                        page.run(f"scrollTo(0, {place})")
                        time.sleep(0.6)
                        page.photograph(folder / f"{name}-{device}-{scheme}-{part}.png")
            if page.complaints:
                raise SystemExit(f"the page complains: {page.complaints}")


def main() -> None:
    """Make the pictures."""
    parser = parser_of(__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every scene, into this folder")
    parser.add_argument("--output", type=Path, default=IMAGES / "page.webp", help="[%(default)s]")
    arguments = parser.parse_args()
    if arguments.all is not None:
        all_faces(arguments.all)
        return
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with played("storm", size=SIZES["desk"]) as page:
        page.photograph(arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    end_with(main)
