"""Demo: simulated clients for one's own server, in a process of their own.

The process is ``python -m simulators.demo``: this package knows its name and its lines of JSON,
and imports nothing of it. It ends when the server does, however that ends, because its input ends
then.
"""

import asyncio
import contextlib
import importlib.util
import json
import logging
import sys
from typing import Any

from flock_ws.errors import FlockError

__all__ = ["MOST_CLIENTS", "Demo", "DemoError"]

MOST_CLIENTS = 200
"""How many simulated clients there may be at one time."""

_PROGRAM = "simulators.demo"
_ANSWERS_WITHIN = 15.0
_ENDS_WITHIN = 0.5

logger = logging.getLogger("flock_ws.demo")


class DemoError(FlockError):
    """The simulated clients are not to be had, or not so many."""


class Demo:
    """Adds simulated clients to a server, and takes them away.

    Attributes:
        kinds: what can be added, with a line that tells what it does; empty until the process has
            told.
        living: how many of each kind are there, as the process last told.
        failure: why there is no process, if there should be one.

    Raises:
        DemoError: the package with the simulated clients is not installed.
    """

    def __init__(self) -> None:
        try:
            found = importlib.util.find_spec(_PROGRAM)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise DemoError(f"--demo needs {_PROGRAM}, which is not in this installation")
        self.kinds: dict[str, str] = {}
        self.living: dict[str, int] = {}
        self.failure: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._turn: asyncio.Lock | None = None

    def told(self) -> dict[str, Any]:
        """Return what the page shows."""
        return {
            "kinds": self.kinds,
            "living": self.living,
            "most": MOST_CLIENTS,
            "failure": self.failure,
        }

    async def start(self) -> None:
        """Start the process. It does nothing until it is told to."""
        self._turn = asyncio.Lock()
        self.failure = None
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _PROGRAM, "--most", str(MOST_CLIENTS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for the server, which then ends the process itself.
            start_new_session=True,
        )
        self._reading = asyncio.create_task(self._read(self._process), name="flock-ws demo")

    async def add(
        self, kind: str, count: int, *, url: str, authorization: str | None = None
    ) -> int:
        """Add clients, and return how many connected.

        Args:
            kind: one of `kinds`.
            count: how many.
            url: where to.
            authorization: the header with which they come in.

        Raises:
            DemoError: there is no such kind, they would be too many, or the process is gone.
        """
        command = {"add": kind, "count": count, "url": url, "authorization": authorization}
        answer = await self._ask(command)
        return int(answer["added"])

    async def clear(self) -> None:
        """Take all simulated clients away.

        Raises:
            DemoError: the process is gone.
        """
        await self._ask({"clear": True})

    async def stop(self) -> None:
        """End the process, within half a second or by force."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if self._reading is not None:
            await self._reading

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._turn is None:
            raise DemoError("the simulated clients begin with the server, which does not run yet")
        async with self._turn:
            process = self._process
            if process is None or process.stdin is None or self.failure is not None:
                raise DemoError(self.failure or "the simulated clients have ended")
            self._answer = asyncio.get_running_loop().create_future()
            try:
                process.stdin.write(json.dumps(command).encode() + b"\n")
                async with asyncio.timeout(_ANSWERS_WITHIN):
                    await process.stdin.drain()
                    answer = await self._answer
            except (TimeoutError, OSError) as error:
                why = f"the simulated clients did not answer: {type(error).__name__}"
                raise DemoError(why) from error
            finally:
                self._answer = None
        if refused := answer.get("refused"):
            raise DemoError(refused)
        return answer

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            told: dict[str, Any] = json.loads(line)
            self.kinds = told.get("kinds", self.kinds)
            self.living = told.get("living", self.living)
            if "added" in told and self._answer is not None and not self._answer.done():
                self._answer.set_result(told)
        code = await process.wait()
        self.living = {}
        if self._process is None:
            return  # it was told to end
        self.failure = f"the process of the simulated clients ended with {code}"
        logger.error("%s", self.failure)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result({"refused": self.failure})
