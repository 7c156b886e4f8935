"""The server under test: one that is there already, or the reference in a process of its own."""

import asyncio
import contextlib
import http.client
import json
import queue
import subprocess
import sys
import threading
from collections import deque
from typing import Self

from loadtests.errors import TargetError
from loadtests.observer import PATH as STATS_PATH
from loadtests.publisher import PATH as EVENTS_PATH
from loadtests.service import Service
from simulators.errors import SimulatorError
from simulators.sockets import SocketClient

__all__ = ["Server", "probe", "publishes", "tells"]

_START_LIMIT = 20.0
_STOP_LIMIT = 5.0
_METHOD_NOT_ALLOWED = 405
_UNPROCESSABLE = 422


class Server:
    """The reference server in a process of its own, with any manager.

    Attributes:
        url: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._process = process
        self._complaints: deque[str] = deque(maxlen=20)
        for stream in (process.stdout, process.stderr):
            # Somebody must read, or a server that writes much would stand still.
            threading.Thread(target=self._drain, args=(stream,), daemon=True).start()

    @classmethod
    def start(cls, *, manager: str | None = None) -> Self:
        """Start it and wait until it listens.

        Raises:
            TargetError: it does not come up; the message holds its last words.
        """
        command = [sys.executable, "-m", "flock_ws", "serve", "--port", "0"]
        if manager is not None:
            command += ["--manager", manager]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the parent, which then ends its children in order.
            start_new_session=True,
        )
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            lines.put(process.stdout.readline() if process.stdout is not None else "")

        threading.Thread(target=read, daemon=True).start()
        try:
            line = lines.get(timeout=_START_LIMIT)
            url = json.loads(line)["url"]
        except queue.Empty:
            _end(process)
            raise TargetError(f"the server did not listen within {_START_LIMIT:g} s") from None
        except (ValueError, KeyError, TypeError):
            words = _last_words(process)
            raise TargetError(f"the server did not start: {words}") from None
        except BaseException:
            _end(process)
            raise
        return cls(process, url)

    def death(self) -> str | None:
        """Say how it ended by itself; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        last = f": {self._complaints[-1]}" if self._complaints else ""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}{last}"

    def stop(self) -> None:
        """End it, by force if it takes too long."""
        _end(self._process)

    def _drain(self, stream: object) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in stream:  # type: ignore[attr-defined]  # a text stream, or None of it
                if line.strip():
                    self._complaints.append(line.strip())


def probe(url: str, *, timeout: float = 5.0) -> None:
    """Connect once and leave.

    Raises:
        TargetError: nothing listens there, or it is no WebSocket endpoint.
    """

    async def visit() -> None:
        client = SocketClient(url, name="flock-load-probe", keep=False)
        try:
            await client.connect(timeout=timeout)
        finally:
            await client.leave(timeout=1.0)

    try:
        asyncio.run(visit())
    except SimulatorError as error:
        raise TargetError(str(error)) from None
    except OSError as error:
        raise TargetError(f"cannot connect to {url}: {error}") from None


def tells(url: str) -> dict[str, object]:
    """Return what the server's statistics say, empty where it offers none."""
    service = Service(url, timeout=5.0)
    try:
        answer = service.get_json(STATS_PATH)
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        service.close()
    return answer if isinstance(answer, dict) else {}


def publishes(url: str) -> bool:
    """Tell whether the server takes events by POST. Publishes nothing."""
    service = Service(url, timeout=5.0)
    try:
        # An empty list is a publication of nothing; what refuses it as invalid knows the path too.
        status, _ = service.request("POST", EVENTS_PATH, b"[]")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        service.close()
    return status // 100 == 2 or status == _UNPROCESSABLE  # noqa: PLR2004 - the class of success


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(process: subprocess.Popen[str]) -> str:
    try:
        _, complaint = process.communicate(timeout=_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        _end(process)
        return "it printed no address"
    lines = [line for line in complaint.splitlines() if line.strip()]
    return (
        lines[-1].strip().removeprefix("flock-ws: ")
        if lines
        else f"exit code {process.returncode}, without a word"
    )
