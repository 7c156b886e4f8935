"""Makes the picture of a load test's report for the README: a run, its page, a photograph of it.

`make picture` does that, and takes the live page's picture too.

    python benchmarks/report_picture.py
    python benchmarks/report_picture.py --run run.json --output build/load-report.png
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from command_line import end_with, parser_of

from loadtests.errors import LoadTestError
from loadtests.report import documents, page

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1300, 1490
# The table of questions is for reading, not for a picture.
STYLE = """<style>
section:has(#questions), details, figcaption { display: none }
body { padding-top: 1rem }
h2 { margin-top: 1.25rem }
section:has(> #latency) { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1rem }
section > #latency { grid-column: 1 / -1 }
</style>"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=5000", f"--window-size={WIDTH},{HEIGHT}"),
)


def recorded(folder: Path) -> Path:
    """Run the storm against the reference and return its record."""
    path = folder / "run.json"
    words = [sys.executable, "-m", "flock_ws", "load", "--scenario", "storm"]
    code = subprocess.call(words, cwd=folder)  # noqa: S603 - our own program
    if code:
        raise SystemExit(f"no picture of a run that ended with {code}; --run photographs a record")
    return path


def photographed(html: str, folder: Path, output: Path) -> None:
    """Open a page in a browser and keep what it shows."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"no browser to take the picture with: install one of {BROWSERS}")
    file = folder / "run.html"
    file.write_text(html.replace("</head>", f"{STYLE}</head>"), encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    words = [browser, *OPTIONS, profile, f"--screenshot={output}", file.as_uri()]
    subprocess.run(  # noqa: S603 - a browser, on our own file
        words, check=True, timeout=120, capture_output=True
    )


def main() -> None:
    """Make the picture."""
    parser = parser_of(__doc__)
    parser.add_argument("--run", type=Path, help="a record [the storm is run]")
    parser.add_argument(
        "--output", type=Path, default=IMAGES / "load-report.png", help="[%(default)s]"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flock-picture-") as name:
        folder = Path(name)
        path = arguments.run or recorded(folder)
        try:
            run = documents.parse(path.read_text(encoding="utf-8"))
        except (OSError, LoadTestError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SystemExit(f"{path}: {why}") from None
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        photographed(page.render([run]), folder, arguments.output.resolve())
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    end_with(main)
