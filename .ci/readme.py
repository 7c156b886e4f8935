"""Runs every `flock-ws` command of the README in the folder it is started in, as a newcomer would.

    python .ci/readme.py README.md docs/tutorial.md

The folder gets a `yourapp` with the tutorial's manager, which is not a good one, and that
application is served where a command names a server. A command may find promises broken; it may
not fail to run.
"""

# ruff: noqa: INP001, S101, S603, T201 - a script that runs our own commands

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


def commands(text: str) -> list[list[str]]:
    """Return the words of each command that the README shows."""
    lines = re.findall(r"(?m)^\$ (flock-ws .*)$", text)
    return [shlex.split(line, comments=True) for line in lines]


def build(folder: Path, tutorial: str) -> None:
    """Write the application that the README calls yours."""
    (code, *_) = re.findall(r"```python\n(.*?)```", tutorial, flags=re.DOTALL)
    (folder / "yourapp").mkdir()
    (folder / "yourapp" / "ws.py").write_text(code)
    (folder / "yourapp" / "main.py").write_text("from yourapp.ws import app as app\n")


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


def run(words: list[str], program: str, address: str) -> None:
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


def main(readme: str, tutorial: str) -> None:
    """Run them all against one server that is yours."""
    build(Path.cwd(), Path(tutorial).read_text())
    beside = Path(sys.executable).parent
    uvicorn = [str(beside / "uvicorn"), "yourapp.main:app", "--port", "0"]
    server, address = serve(uvicorn, r"running on http://(\S+)")
    try:
        for words in commands(Path(readme).read_text()):
            run(words, str(beside / "flock-ws"), address)
    finally:
        stop(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
