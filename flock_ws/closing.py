"""Closing a socket whose peer may never answer: bounded, and then aborted where that can be done.

On every ASGI server ``await websocket.close()`` may wait for ever on a peer that does not read.
A server that wants to help puts a `Connection` into ``scope["extensions"]["flock_ws"]``, as
`flock_ws.uvicorn_protocol` does. Elsewhere the bounded close is all there is, and the server may
keep the socket of an evicted peer that does not read.
"""

import asyncio
import inspect
import logging
from typing import Any, Protocol, runtime_checkable

__all__ = ["EXTENSION", "Closings", "Connection", "close_socket", "connection_of"]

EXTENSION = "flock_ws"
"""The key under which a server offers a `Connection` in ``scope["extensions"]``."""

logger = logging.getLogger("flock_ws.closing")


@runtime_checkable
class Connection(Protocol):
    """What a server can do for the manager beyond ASGI."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone: socket closed, buffers freed."""

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent. No error if it is gone."""

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""


def connection_of(socket: Any) -> Connection | None:
    """Return what the server offers for this socket, or None."""
    scope = getattr(socket, "scope", None)
    if not isinstance(scope, dict):
        return None
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    connection = offered.get("connection") if isinstance(offered, dict) else None
    return connection if isinstance(connection, Connection) else None


class Closings:
    """The sockets that are being closed in the background."""

    def __init__(self) -> None:
        self._tasks: dict[Any, asyncio.Task[None]] = {}

    def __contains__(self, socket: Any) -> bool:
        """Tell whether this socket is being closed."""
        return socket in self._tasks

    def __len__(self) -> int:
        """Return how many are not closed yet."""
        return len(self._tasks)

    def start(
        self,
        socket: Any,
        *,
        code: int,
        reason: str,
        timeout: float,
        after: asyncio.Task[None] | None = None,
    ) -> asyncio.Task[None]:
        """Close a socket that is not being closed in the background, as `close_socket` does."""
        work = close_socket(socket, code=code, reason=reason, timeout=timeout, after=after)
        # Not create_task: an eager task factory would run it on the way of a delivery.
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), name="flock-ws close")
        self._tasks[socket] = task
        task.add_done_callback(lambda _: self._tasks.pop(socket))
        return task

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109  # waits, cancels nothing
        """Wait until all are closed, a little longer than `timeout` seconds at most.

        `close_socket` keeps to its bound by itself, unless a socket's `close` swallows its
        cancellation.
        """
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=timeout + 0.1)


async def close_socket(
    socket: Any,
    *,
    code: int,
    reason: str,
    timeout: float,  # noqa: ASYNC109  # the bound covers several waits and the abort after them
    after: asyncio.Task[None] | None = None,
) -> None:
    """Close a socket in at most `timeout` seconds; return when it is gone or given up.

    Args:
        socket: a WebSocket or a look-alike; one without `close` is left alone.
        code: the close code, sent only if `close` takes one.
        reason: the close reason, sent only if `close` takes one.
        timeout: seconds for everything; then the connection is aborted, if the server lets us.
        after: a task with a send under way that was cancelled; the close waits for its end, so
            that two sends do not overlap, but at most half of `timeout`: a send may swallow its
            cancellation.
    """
    connection = connection_of(socket)
    try:
        async with asyncio.timeout(timeout):
            if after is not None and after is not asyncio.current_task():
                await asyncio.wait([after], timeout=timeout / 2)
            await _call_close(socket, code, reason)
            if connection is not None:
                await connection.wait_lost()
    except TimeoutError:
        logger.debug("close of %r did not complete in %g s", socket, timeout)
    except Exception as error:  # noqa: BLE001  # a socket that cannot be closed is closed enough
        logger.debug("close of %r raised %s: %s", socket, type(error).__name__, error)
    finally:
        if connection is not None and not connection.lost:
            connection.abort()


async def _call_close(socket: Any, code: int, reason: str) -> None:
    close = getattr(socket, "close", None)
    if not callable(close):
        return
    if _takes(close, "code", "reason"):
        result = close(code=code, reason=reason)
    elif _takes(close, "code"):
        result = close(code=code)
    else:
        result = close()
    if inspect.isawaitable(result):
        await result


def _takes(function: Any, *names: str) -> bool:
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except (TypeError, ValueError):
        return False
    return True
