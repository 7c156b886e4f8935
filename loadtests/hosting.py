"""Serves an ASGI application of somebody else's, on a socket on which a slow reader shows.

``python -m loadtests.hosting MODULE:APP`` writes one JSON line with its address once it listens.
"""

import argparse
import importlib
import inspect
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import uvicorn

from flock_ws.errors import FlockError
from flock_ws.server import listening_socket
from loadtests.errors import LoadTestError

__all__ = ["load_app", "main", "settings"]

_TASKS_CANCELLED_AFTER = 1
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def load_app(text: str) -> Any:
    """Import an ASGI application, or the function that makes one when called without arguments.

    The working directory is looked in first.

    Args:
        text: ``package.module:name``; the name may have dots.

    Raises:
        LoadTestError: nothing is there, it fails on the way, or it is no application.
    """
    module, _, path = text.partition(":")
    if not module or not path:
        raise LoadTestError(f"{text!r} names no application: expected MODULE:APP, like main:app")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path holds strings
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        if inspect.isfunction(found) and _takes_nothing(found):
            found = found()
    except Exception as error:
        raise LoadTestError(f"--app {text}: {type(error).__name__}: {error}") from error
    if not callable(found) or inspect.isclass(found):
        kind = found.__name__ if inspect.isclass(found) else type(found).__name__
        raise LoadTestError(f"--app {text}: {kind} is no ASGI application")
    return found


def _takes_nothing(function: Callable[..., Any]) -> bool:
    """Tell a factory from an application, which has three parameters."""
    parameters = inspect.signature(function).parameters.values()
    return all(p.default is not p.empty or p.kind in _ANY_NUMBER for p in parameters)


class _Announced(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the address once connections are accepted."""
        await super().startup(sockets=sockets)
        if self.started:
            sys.stdout.write(f"{self._line}\n")
            sys.stdout.flush()


def settings(app: Any) -> uvicorn.Config:
    """Return how an application is served: who drops a client is the application, or nobody."""
    return uvicorn.Config(
        app,
        log_level="warning",
        ws_per_message_deflate=False,
        # It would drop clients in the application's stead, and a run could not tell.
        ws_ping_timeout=None,
        timeout_graceful_shutdown=_TASKS_CANCELLED_AFTER,
    )


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.hosting")
    parser.add_argument("app", metavar="MODULE:APP")
    parser.add_argument("--path", default="/ws")
    options = parser.parse_args()
    try:
        app = load_app(options.app)
        listener = listening_socket("127.0.0.1", 0)
    except FlockError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    url = f"ws://127.0.0.1:{listener.getsockname()[1]}{options.path}"
    line = json.dumps({"event": "listening", "url": url})
    with closing(listener):
        _Announced(settings(app), line).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
