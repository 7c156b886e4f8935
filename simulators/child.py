"""A `SocketClient` in a process of its own, which can be stopped, woken and killed as a whole.

What a stopped process does to its peer no single client of a shared process can show: its kernel
still acknowledges, and nobody reads, answers or times anything out.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any, Self

from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, SimulatorError
from simulators.faults import PausedProcess
from simulators.records import Closed
from simulators.sockets import SocketClient
from simulators.tcp.handshake import ConnectFailed
from simulators.tcp.waiters import Waiters

__all__ = ["ChildClient", "main"]

_TELL_EVERY = 0.02


class ChildClient:
    """One client in a child process. Not on Windows, which has no such signals.

    Use it as ``async with ChildClient(url, behaviour) as child``; at the end the child is killed
    if it has not ended. A `PausedProcess` of its behaviour is played from here.

    Args:
        url: ``ws://``; for ``wss://`` the system's default context decides.
        behaviour: what it does; healthy by default.
        name: for messages; the behaviour's name by default.

    Attributes:
        received_messages: how many messages it took, as it last told: some 20 ms ago.
        closed: how the connection ended; its time is this loop's, when that was told.
        paused: whether the process is stopped now.
    """

    def __init__(
        self, url: str, behaviour: Behaviour | None = None, *, name: str | None = None
    ) -> None:
        self.behaviour = behaviour = behaviour or Behaviour()
        self.name = name or behaviour.name
        self.url = url
        self.received_messages = 0
        self.closed: Closed | None = None
        self.paused = False
        self._pause = behaviour.fault(PausedProcess)
        self._process: asyncio.subprocess.Process | None = None
        self._connected = False
        self._failure: str | None = None
        self._listening: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._waiters = Waiters()

    async def connect(self, *, timeout: float = 15.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Start the process, and wait until its client has connected.

        Raises:
            ConnectFailed: it has not, or not within `timeout` seconds.
            SimulatorError: it was started before, or this system has no SIGSTOP.
        """
        if self._process is not None:
            raise SimulatorError(f"{self.name}: a ChildClient connects once; make another one")
        if not hasattr(signal, "SIGSTOP"):
            raise SimulatorError("this system cannot stop a process: it has no SIGSTOP")
        left = tuple(fault for fault in self.behaviour.faults if fault is not self._pause)
        behaviour = dataclasses.replace(self.behaviour, faults=left)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators.child", self.url),
            *("--name", self.name, "--behaviour", json.dumps(behaviour.to_json())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        self._listening = asyncio.create_task(self._listen(), name=f"{self.name} tells")
        ready = await self._waiters.until(
            lambda: self._connected or self._failure is not None, limit=timeout
        )
        if self._failure is not None or not ready:
            raise ConnectFailed(self.url, self._failure or f"not connected within {timeout:g} s")
        if self._pause is not None:
            loop = asyncio.get_running_loop()
            begin = self._pause.after_seconds
            self._timers += [
                loop.call_later(begin, self.pause),
                loop.call_later(begin + self._pause.seconds, self.wake),
            ]

    async def _listen(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        async for line in process.stdout:
            told: dict[str, Any] = json.loads(line)
            self._connected = self._connected or bool(told.get("connected"))
            self._failure = told.get("failure", self._failure)
            self.received_messages = told.get("received_messages", self.received_messages)
            if (closed := told.get("closed")) is not None:
                now = asyncio.get_running_loop().time()
                self.closed = Closed(closed["code"], closed["reason"], now)
            self._waiters.wake()
        if self._failure is None and not self._connected:
            self._failure = f"the child process ended with {await process.wait()}"
        self._waiters.wake()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def pause(self) -> None:
        """Stop the whole process (SIGSTOP)."""
        self.paused = True
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let the process go on (SIGCONT)."""
        self.paused = False
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process (SIGKILL): its kernel closes the socket, without a close frame."""
        self._signal(signal.SIGKILL)

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - the limit is part of the error
        """Wait until it has told of at least `count` messages in all.

        Raises:
            NotSeen: it has not within `timeout` seconds.
        """
        if not await self._waiters.until(lambda: self.received_messages >= count, limit=timeout):
            stopped = "; its process is stopped" if self.paused else ""
            raise NotSeen(
                f"{self.name} took {self.received_messages} messages within {timeout:g} s, "
                f"expected {count}{stopped}"
            )

    async def wait_closed(self, *, timeout: float = 10.0) -> Closed:  # noqa: ASYNC109 - the limit is part of the error
        """Wait until its connection has ended, and return how.

        Raises:
            NotSeen: it has not told so within `timeout` seconds; a killed one never does.
        """
        await self._waiters.until(lambda: self.closed is not None, limit=timeout)
        if self.closed is None:
            stopped = "; its process is stopped" if self.paused else ""
            raise NotSeen(f"{self.name} was not closed within {timeout:g} s{stopped}")
        return self.closed

    async def stop(self) -> None:
        """End the process, whatever it was doing."""
        for timer in self._timers:
            timer.cancel()
        self.kill()
        if self._process is not None:
            await self._process.wait()
        if self._listening is not None:
            await self._listening

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self.connect()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process."""
        await self.stop()


def _tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _live(url: str, name: str, behaviour: Behaviour) -> None:
    client = SocketClient(url, behaviour, name=name, keep=False)
    try:
        await client.connect()
    except SimulatorError as error:
        _tell(failure=getattr(error, "reason", str(error)))
        return
    _tell(connected=True)
    told = 0
    while client.closed is None:
        with contextlib.suppress(NotSeen):
            await client.wait_closed(timeout=_TELL_EVERY)
        if client.received_messages != told:
            told = client.received_messages
            _tell(received_messages=told)
    _tell(closed={"code": client.closed.code, "reason": client.closed.reason})
    await client.leave()


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the child: one client, and lines of JSON about it."""
    parser = argparse.ArgumentParser(prog="python -m simulators.child", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--name", default="child")
    parser.add_argument("--behaviour", default='{"name": "healthy"}', help="its JSON form")
    options = parser.parse_args(arguments)
    behaviour = Behaviour.from_json(json.loads(options.behaviour))
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_live(options.url, options.name, behaviour))
    return 0


if __name__ == "__main__":
    sys.exit(main())
