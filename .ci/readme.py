"""Runs every `flock-ws` command of some pages in the folder it is started in, as a newcomer would.

    python .ci/readme.py docs/tutorial.md README.md docs/howto/check.md docs/howto/load.md

The first page gives the folder its `yourapp`: the tutorial's manager, which is not a good one.
That application is served where a command names a server, and files of TOML that a page shows are
there under the name that its commands use. A command of two pages is run once. It may find
promises broken; it may not fail to run. Ctrl-C ends the servers.
"""

# ruff: noqa: INP001, S101, S603, T201 - a script that runs our own commands

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SHOWN = "127.0.0.1:8000"
# What a run of seconds instead of a minute changes: its verdict, which is not what is tried here.
SHORTER = {"load": ["--duration", "4"], "check": [], "serve": ["--port", "0"]}
KEPT, BROKEN, UNDECIDED = 0, 1, 3
INTERRUPTED = 130


# A manager whose methods no program can guess, and what makes the application broadcast.
HUB = """

class Hub:
    def __init__(self) -> None:
        self.rooms: dict[str, set[WebSocket]] = {}

    async def enter(self, websocket: WebSocket, room: str) -> None:
        self.rooms.setdefault(room, set()).add(websocket)

    async def tell(self, room: str, message: str) -> None:
        for websocket in list(self.rooms.get(room, ())):
            await websocket.send_text(message)
"""
MAIN = """\
from pydantic import BaseModel

from yourapp.ws import app, manager


class Said(BaseModel):
    text: str


@app.post("/say")
async def say(said: Said) -> None:
    await manager.broadcast(said.text)
"""


def commands(text: str) -> list[list[str]]:
    """Return the words of each command that a page shows."""
    lines = re.findall(r"(?m)^\$ (flock-ws .*)$", text)
    return [shlex.split(line, comments=True) for line in lines]


def build(folder: Path, tutorial: str) -> None:
    """Write the application that the pages call yours."""
    (code, *_) = re.findall(r"```python\n(.*?)```", tutorial, flags=re.DOTALL)
    (folder / "yourapp").mkdir()
    (folder / "yourapp" / "ws.py").write_text(code + HUB)
    (folder / "yourapp" / "main.py").write_text(MAIN)


def configure(folder: Path, page: str) -> None:
    """Write the files that a page shows for the option `--config`, in their order."""
    shown = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    names = re.findall(r"(?m)^\$ flock-ws .* --config (\S+)", page)
    for name, text in zip(names, shown, strict=True):
        (folder / name).write_text(text)


def serve(command: Sequence[str], ready: str) -> tuple["subprocess.Popen[str]", str]:
    """Start a server, and return it with its host and port once it says that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(ready, line)
        if found is not None:
            return process, found[1]
    raise SystemExit(f"{shlex.join(command)} ended: {said}")


def stop(process: "subprocess.Popen[str]") -> None:
    """Ask it to end, and see that it does."""
    process.terminate()
    process.communicate(timeout=30)


def run(words: Sequence[str], program: str, address: str) -> None:
    """Run one command, and end the program if it cannot be run."""
    command = [program, *(word.replace(SHOWN, address) for word in words[1:])]
    command += SHORTER.get(words[1], []) if "--list" not in words else []
    print("$", shlex.join(["flock-ws", *command[1:]]), flush=True)
    if words[1] == "serve":
        stop(serve(command, r'"listening".*"url": "ws://([^/]+)/')[0])
        return
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    print("  ", (told.stdout.strip().splitlines() or [""])[-1], flush=True)
    if told.returncode not in (KEPT, BROKEN, UNDECIDED) or not told.stdout:
        raise SystemExit(f"exit code {told.returncode}\n{told.stdout}{told.stderr}")


def main(tutorial: Path, pages: Sequence[Path]) -> None:
    """Run them all against one server that is yours."""
    texts = [page.read_text() for page in pages]
    build(Path.cwd(), tutorial.read_text())
    for text in texts:
        configure(Path.cwd(), text)
    beside = Path(sys.executable).parent
    uvicorn = [str(beside / "uvicorn"), "yourapp.main:app", "--port", "0"]
    server, address = serve(uvicorn, r"running on http://(\S+)")
    try:
        for words in dict.fromkeys(tuple(words) for text in texts for words in commands(text)):
            run(words, str(beside / "flock-ws"), address)
    finally:
        stop(server)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tutorial", type=Path, help="whose first code is your application")
    parser.add_argument("pages", type=Path, nargs="+", help="whose commands are run")
    options = parser.parse_args()
    try:
        main(options.tutorial, options.pages)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
