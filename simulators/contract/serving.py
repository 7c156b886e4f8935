"""An application served by uvicorn on 127.0.0.1, in a thread with a loop of its own.

So whoever blocks or ends that loop harms nobody who looks at it from outside. uvicorn is imported
when something is served.
"""

import asyncio
import contextlib
import ctypes
import importlib.util
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import Any

from starlette.types import ASGIApp

from simulators.contract.watchdog import TookTooLong, strike
from simulators.errors import OptionError, SimulatorError
from simulators.starvation import starved

__all__ = ["ServeFailed", "ServerDied", "ServerThread", "why_not_served"]

_START = 10.0
_STOP = 1.0
_STRIKES = 5
_STRIKE_EVERY = 0.2
# Small, so that a client that does not read shows after about a hundred kB instead of 4 MB.
_SEND_BUFFER_BYTES = 16_384
# The socket module names it from some version on; the number is Linux's.
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25 if sys.platform == "linux" else None)
# A loopback segment of 64 KiB never fits the small buffer: each write would wait for a delayed
# acknowledgement.
_SEGMENT_BYTES = 4_096


class ServeFailed(SimulatorError):  # noqa: N818  # it names what happened
    """The application could not be served; the message says why."""


class ServerDied(SimulatorError):  # noqa: N818  # the same
    """The server's thread ended in the middle of the run: something raised ``SystemExit``."""


def why_not_served() -> str | None:
    """Return why nothing can be served here, with the line that mends it; None where it can."""
    missing = [name for name in ("uvicorn", "websockets") if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f"real sockets need {' and '.join(missing)}: pip install 'flock-ws[server]'"


class ServerThread:
    """uvicorn in a thread. `start` it, and `stop` it in any case.

    uvicorn's own pings are off, and so is compression: what a client meets is the application's
    doing. What handles signals is left alone.

    Args:
        app: the application.
        protocol: as uvicorn's ``ws``: ``auto``, ``websockets-sansio``, ``wsproto``, or the path of
            a class, ``module:Class``.
        lifespan: whether the application's lifespan is run.

    Attributes:
        port: where it listens; 0 before `start`.
        left_running: it did not stop, and its thread was left behind.
    """

    def __init__(self, app: ASGIApp, *, protocol: str = "auto", lifespan: bool = False) -> None:
        self.port = 0
        self.left_running = False
        self._app = app
        self._protocol = protocol
        self._lifespan = lifespan
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Any = None
        self._listening = threading.Event()
        self._error: BaseException | None = None
        self._stopping = False
        # Whoever puts an exception into the thread holds this, and asks first whether it may.
        self._striking = threading.Lock()
        self._spared = False
        self._thread = threading.Thread(target=self._run, name="flock-ws server", daemon=True)

    def start(self) -> None:
        """Serve, and wait until it listens.

        Raises:
            ServeFailed: it does not listen.
            OptionError: uvicorn knows no such protocol.
        """
        # Only who asks for sockets needs it.
        import uvicorn  # noqa: PLC0415  # the same

        listener = _listener()
        self.port = listener.getsockname()[1]
        try:
            config = uvicorn.Config(
                self._app,
                interface="asgi3",
                ws=self._protocol,
                http="h11",
                loop="asyncio",
                lifespan="on" if self._lifespan else "off",
                log_config=None,
                log_level="critical",
                access_log=False,
                ws_ping_interval=None,
                ws_ping_timeout=None,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=1,
            )
            config.load()
        except (Exception, SystemExit) as error:
            listener.close()
            raise OptionError(f"--protocol {self._protocol}: {error}") from error
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread.start()
        end = time.monotonic() + _START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                self.stop()
                why = f": {type(self._error).__name__}: {self._error}" if self._error else ""
                raise ServeFailed(f"the application did not start{why}")
            self._listening.wait(0.005)

    def _run(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        try:
            try:
                self._serve(loop)
            finally:
                # Nothing can come before this line, and after this loop nobody strikes.
                while not self._spared:
                    try:
                        with self._striking:
                            self._spared = True
                    except TookTooLong:  # it was on its way
                        pass
                _forget_tasks(loop)
                loop.close()
                self._listener.close()
        except TookTooLong:  # it came when what was served had just ended
            pass

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._server.serve(sockets=[self._listener]))
            _cancel_all(loop)
        except BaseException as error:  # noqa: BLE001  # whatever a manager raises is looked at
            self._error = error
        finally:
            with contextlib.suppress(BaseException):
                loop.run_until_complete(loop.shutdown_asyncgens())
            self._abort()
            with contextlib.suppress(BaseException):
                loop.run_until_complete(asyncio.sleep(0))

    @property
    def ident(self) -> int | None:
        """Its thread's, as log records have it."""
        return self._thread.ident

    @property
    def connections(self) -> Iterable[Any]:
        """What is connected now, as objects of uvicorn's."""
        return self._server.server_state.connections if self._server is not None else ()

    def check(self) -> None:
        """Raise if the server has ended by itself.

        Raises:
            ServerDied: it has; the message says of what.
        """
        if not self._stopping and self.port and not self._thread.is_alive():
            error = self._error
            shown = f"{type(error).__name__}({error})" if error is not None else "its end"
            raise ServerDied(f"it raised {shown}, which ended the server")

    def submit(self, call: Callable[[], Awaitable[Any]]) -> "Future[Any]":
        """Run something on the server's loop.

        Raises:
            ServerDied: that loop has ended.
        """
        self.check()

        async def run() -> Any:
            try:
                return await call()
            except TookTooLong:
                raise
            except (SystemExit, KeyboardInterrupt) as error:
                shown = f"{type(error).__name__}({error})"
                raise ServerDied(f"it raised {shown}, which would end the server") from error

        work = run()
        try:
            if self._loop is None:
                raise RuntimeError  # noqa: TRY301  # the same as a loop that has ended
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise ServerDied("the server's loop has ended") from error

    def stop(self) -> None:
        """Stop it, whatever it does. What cannot be stopped is left behind in its thread."""
        self._stopping = True
        if not self._thread.is_alive():
            return
        if self._loop is not None and self._server is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._give_up)
        self._wait(_STOP)
        for _ in range(_STRIKES):
            with self._striking:
                if self._spared or not self._thread.is_alive():
                    break
                strike(self._thread.ident or 0)
            self._wait(_STRIKE_EVERY)
        if self._spared:
            # Hardly more than lines of ours is left to it, whatever a busy machine takes for them.
            self._thread.join(_START)
        self.left_running = self._thread.is_alive()

    def _wait(self, seconds: float) -> None:
        """Wait for the end of the thread; the time in which it had no core is not counted."""
        most = time.monotonic() + _START
        without = starved(self._thread.native_id)
        while seconds > 0 and self._thread.is_alive() and time.monotonic() < most:
            self._thread.join(seconds)
            before, without = without, starved(self._thread.native_id)
            seconds = (without or 0.0) - (before or 0.0)

    def _give_up(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._abort()

    def _abort(self) -> None:
        """Drop the connections: a close would wait for a peer that does not read."""
        for connection in list(self.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                with contextlib.suppress(Exception):
                    transport.abort()


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    if _NOTSENT_LOWAT is not None:
        listener.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _SEND_BUFFER_BYTES)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_STOP / 2))


def _forget_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Keep what would not end, for good: to free it would run it once more."""
    for task in asyncio.all_tasks(loop):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
