"""What each ASGI server does to a manager whose peers do not read, close or die: measured.

A small application runs on every server and loop that is installed here, each in a process of its
own and all at the same time, with the system's default socket buffers. Peers are plain sockets
that stop reading, reset, or read to the end. Prints the page `docs/servers.md`; takes about 50 s,
most of it waiting for closes that do not return.

    python benchmarks/servers.py > docs/servers.md
"""

import atexit
import contextlib
import http.client
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from command_line import end_with, parser_of
from probes import CLOSE_LIMIT, LOOPS, SERVERS

from loadtests.ports import ReservedPort

HERE = Path(__file__).resolve().parent
# The page goes to this process's own output.
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

# Set by Ctrl-C: nobody waits any more for what a server does not do.
interrupted = threading.Event()


@contextlib.contextmanager
def running(name: str, loop: str) -> Iterator[int]:
    """Start a server in a process group of its own; give its port."""
    with ReservedPort("127.0.0.1") as reserved:
        port = reserved.port
        if name == "granian":
            options = ["--interface", "asginl", "--loop", loop, "--port", str(port), "--no-log"]
            command = ["-m", "granian", *options, "--working-dir", str(HERE), "probes:probe"]
        else:
            command = [str(HERE / "probes.py"), name, "--loop", loop, "--port", str(port)]
        process = subprocess.Popen(  # noqa: S603 # our own script, or granian
            [sys.executable, *command], start_new_session=True, **QUIET
        )
        # Whoever presses Ctrl-C twice ends the threads that would kill it.
        atexit.register(end, process)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f"{name} on {loop} did not start: {command}") from None
                    time.sleep(0.1)
            yield port
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a server with all that it has started, if it is there."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


# The peers


def connect(port: int, name: str) -> socket.socket:
    """Open a WebSocket with a small receive buffer; read no more than the answer."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    peer.settimeout(10)
    peer.connect(("127.0.0.1", port))
    peer.sendall(
        f"GET /ws/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    return peer


def result(port: int, name: str, *, limit: float = 20.0) -> dict[str, Any]:
    """Wait for what a probe found."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and not interrupted.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", f"/found/{name}")
            seen = json.loads(connection.getresponse().read())
        if seen is not None:
            return dict(seen)
        time.sleep(0.1)
    return {"failed": f"no answer within {limit:g} s"}


def frames(peer: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Read frames, not masked and not longer than 64 KiB, to the end: opcode and payload."""
    with peer.makefile("rb") as stream:
        while True:
            head = stream.read(2)
            if len(head) < 2:  # noqa: PLR2004 # the size of a frame's head
                return
            size = head[1]
            if size == 126:  # noqa: PLR2004 # two bytes follow
                (size,) = struct.unpack("!H", stream.read(2))
            elif size == 127:  # noqa: PLR2004 # eight bytes follow
                (size,) = struct.unpack("!Q", stream.read(8))
            yield head[0] & 15, stream.read(size)


def drained(port: int) -> dict[str, Any]:
    """Let the server fill, then read everything: did the cancelled send arrive?"""
    with connect(port, "backpressure") as peer:
        if "failed" in (filled := result(port, "filled", limit=30)):
            return filled
        peer.sendall(b"\x81\x82\0\0\0\0go")
        numbers = []
        with contextlib.suppress(OSError):
            for opcode, payload in frames(peer):
                if opcode == 1:
                    numbers.append(int(payload[:8]))
                    if numbers[-1] == 99_999_999:  # noqa: PLR2004 # the last one
                        break
        seen = result(port, "backpressure")
        seen["arrived"] = seen.get("cancelled") in numbers
        seen["after_it"] = bool(numbers) and numbers[-1] == 99_999_999  # noqa: PLR2004 # the same
        return seen


def stalled(port: int, name: str, limit: float) -> dict[str, Any]:
    """Let a probe meet a peer that does not read."""
    with connect(port, name):
        return result(port, name, limit=limit)


def reset(port: int) -> dict[str, Any]:
    """Let a probe meet a peer that resets the connection."""
    peer = connect(port, "reset")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    return result(port, "reset")


def closed(port: int) -> dict[str, Any]:
    """Read to the end: is the code seen?"""
    with connect(port, "close_beside_receive") as peer:
        seen = result(port, "close_beside_receive")
        peer.settimeout(0.5)
        seen["code"] = None
        with contextlib.suppress(OSError):
            for opcode, payload in frames(peer):
                if opcode == 8:  # noqa: PLR2004 # close
                    seen["code"] = struct.unpack("!H", payload[:2])[0]
                    break
        return seen


def examine(case: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Run every probe on one server and loop."""
    with running(*case) as port, ThreadPoolExecutor() as pool:
        work = {
            "backpressure": pool.submit(drained, port),
            "close": pool.submit(stalled, port, "close", CLOSE_LIMIT + 20),
            "close_beside_receive": pool.submit(closed, port),
            "reset": pool.submit(reset, port),
            "abort": pool.submit(stalled, port, "abort", 20),
        }
        return {name: future.result() for name, future in work.items()}


# The page


def row(case: tuple[str, str], seen: dict[str, dict[str, Any]]) -> str:
    """Return one line of the table."""

    def cell(name: str, text: Any) -> str:
        one = seen[name]
        return f"? ({one['failed']})" if "failed" in one else text(one)

    def pressure(one: dict[str, Any]) -> str:
        absorbed = f"{one['absorbed_bytes'] / 1e6:.1f} MB"
        return f"after {absorbed}" if one["blocked"] else f"**no** ({absorbed} taken)"

    def cancelled(one: dict[str, Any]) -> str:
        if not one["blocked"]:
            return "-"
        word = "**still arrives**" if one["arrived"] else "was not sent"
        return word if one["after_it"] else f"{word}; the next send was lost"

    def close(one: dict[str, Any]) -> str:
        if one["raised"] == "TimeoutError":
            return f"**not within {CLOSE_LIMIT:.0f} s**"
        return f"after {one['took']:.1f} s" + (f", {one['raised']}" if one["raised"] else "")

    def beside(one: dict[str, Any]) -> str:
        code = f"code {one['code']}" if one["code"] else "**no code**"
        return f"{code}, {'returns' if one['returned'] else '**does not return**'}"

    def after_reset(one: dict[str, Any]) -> str:
        kinds = list(dict.fromkeys(one["sends"]))
        text = "**success**" if kinds == ["success"] else ", then ".join(kinds)
        return f"{text}; told `{one['told'].strip()}`"

    cells = (
        SERVERS[case[0]][1],
        case[1],
        cell("backpressure", pressure),
        cell("backpressure", cancelled),
        cell("close", close),
        cell("close_beside_receive", beside),
        cell("reset", after_reset),
        cell("abort", lambda one: "yes" if one["offered"] else "no"),
    )
    return f"| {' | '.join(cells)} |"


HEADINGS = (
    "server",
    "loop",
    "a send blocks on a peer that does not read",
    "that send, cancelled",
    "`close()` on such a peer returns",
    "`close(1012)` beside a pending `receive()`, to a peer that reads",
    "sends after the peer's RST",
    "abort",
)

PAGE = """\
# Servers and loops

What each server does to a manager, measured by `python benchmarks/servers.py` with the system's
default socket buffers. Peers have a receive buffer of 4 KiB and stop reading, reset, or read to the
end. {date}, {machine}: {versions}.

{table}

- *A send blocks*: all the backpressure that an application can see. `flock-ws serve` sets its
  buffers so that it comes after some tens of KiB, with any of uvicorn's protocols.
- *Cancelled*: whether the message of a send that was cut off reaches the peer when it reads again.
  The servers disagree, so the manager sends nothing more to such a client.
- *Close*: why the manager bounds every close, and keeps it off the way of delivery. Where there is
  no abort the server keeps the socket, and what is in its buffers, until the peer goes.
- *Close beside a receive*: how a manager evicts, since the endpoint waits in `receive()`. Where no
  code arrives a peer that reads sees no reason, and stays connected until its endpoint ends.
- *Abort*: `scope["extensions"]["flock_ws"]`, see `flock_ws.uvicorn_protocol`.
{missing}
The manager's own tests on these servers are in `tests/flock_ws/test_servers.py`."""


def table(rows: list[str]) -> str:
    """Return a Markdown table."""
    return "\n".join([f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|", *rows])


def main() -> None:
    """Examine what is installed and print the page."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--only", choices=SERVERS, action="append", help="this server alone; repeatable"
    )
    options = parser.parse_args()
    here = {name: importlib.util.find_spec(SERVERS[name][0]) is not None for name in SERVERS}
    loops = [loop for loop in LOOPS if importlib.util.find_spec(loop) is not None]
    wanted = options.only or list(SERVERS)
    cases = [(name, loop) for name in wanted if here[name] for loop in loops]
    if not cases:
        parser.error(f"{', '.join(wanted)}: not installed here")
    with ThreadPoolExecutor(len(cases)) as pool:
        try:
            rows = list(map(row, cases, pool.map(examine, cases)))
        except KeyboardInterrupt:
            interrupted.set()
            raise
    packages = ("uvicorn", "websockets", "wsproto", "hypercorn", "granian", "uvloop", "starlette")
    versions = [
        f"{package} {importlib.metadata.version(package)}"
        for package in packages
        if importlib.util.find_spec(package) is not None
    ]
    missing = sorted({SERVERS[name][0] for name in SERVERS if not here[name]})
    missing += [loop for loop in LOOPS if loop not in loops]
    print(
        PAGE.format(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=f"{platform.system()}, Python {platform.python_version()}",
            versions=", ".join(versions),
            table=table(rows),
            missing=f"- Not installed here, so not measured: {', '.join(missing)}.\n"
            if missing
            else "",
        )
    )


if __name__ == "__main__":
    end_with(main)
