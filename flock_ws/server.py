"""``flock-ws serve``: uvicorn on a listening socket on which a client that stops reading shows.

With the system's defaults such a client hides behind 3 to 4 MB of kernel buffers for minutes.
The options set here are inherited by every accepted connection, so nothing needs to be done for
each.
"""

import argparse
import asyncio
import contextlib
import copy
import dataclasses
import importlib.util
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import LOGGING_CONFIG

from flock_ws import arguments as words
from flock_ws import foreign
from flock_ws.app import create_app
from flock_ws.demo import Demo
from flock_ws.door_options import add_door_arguments, doors_from
from flock_ws.doors import Doors
from flock_ws.errors import FlockError
from flock_ws.guard import Redaction
from flock_ws.inbound import refusals
from flock_ws.loading import load_manager
from flock_ws.synthetic import publish_steadily

__all__ = ["ServeError", "add_arguments", "listening_socket", "run", "serve"]

# Seconds after the signal. A client that reads is gone at once; what is left then does not read.
_ABORT_AFTER = 0.6
_TASKS_CANCELLED_AFTER = 1
_MANAGER_ENDS_WITHIN = 1.0
_LEAVE_BY_FORCE_AFTER = 2.5

_BACKLOG = 2048
_DEMO_EVENTS = 50.0
# The socket module names it from some version on; the number is Linux's.
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25 if sys.platform == "linux" else None)
# A loopback segment of 64 KiB never fits the small send buffer, so each write would wait for a
# delayed acknowledgement: 6 MB/s were measured, over 1000 MB/s with this size. Networks other
# than loopback have smaller segments anyway.
_SEGMENT_BYTES = 4_096
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)

_REFERENCE = "flock_ws.manager:WebSocketManager"
_LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")

_EPILOG = """\
Standard output is one JSON line with the address, once clients can come:
  {"event": "listening", "port": 43121, "url": "ws://127.0.0.1:43121/ws", ...}
Open http://127.0.0.1:43121/ to look. Publish with POST /api/events; GET /docs
shows all. It ends within 3 s when asked to, whatever the clients do.

exit codes:
  0    SIGTERM
  2    wrong usage, or the address is taken
  130  Ctrl-C

examples:
  flock-ws serve --demo
      a page on http://127.0.0.1:8000/ where a stalled client is one click away
  flock-ws serve --manager yourapp.ws:ConnectionManager --events 100
      your manager under a stream of events, in the same application
  flock-ws serve --host 0.0.0.0 --read-token-file r --publish-token-file p
      for others, who need the tokens that are in those two files
"""


class ServeError(FlockError):
    """Serving cannot begin: the address or the event loop is not to be had."""


def serve(
    app: Any = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    doors: Doors | None = None,
    events: float = 0.0,
    protocol: Literal["auto", "plain"] = "auto",
    loop: Literal["auto", "asyncio", "uvloop"] = "auto",
    log_level: str = "warning",
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = None,
    send_buffer_bytes: int = 16_384,
    user_timeout: float | None = 30.0,
    demo: bool = False,
    compression: bool = False,
) -> None:
    """Serve an application until Ctrl-C or SIGTERM; call it on the main thread.

    Writes one JSON line to standard output once connections are accepted, and nothing else there.
    After a signal it ends within 3 s, whatever the clients do: connections that are not gone after
    0.6 s are aborted, tasks are cancelled after 1 s, and what swallows that is left by force.

    Protocol pings are sent and not judged. They keep proxies from dropping an idle connection, and
    give TCP something to be acknowledged, so that `user_timeout` finds a peer whose machine is
    gone: with 2 s and 5 s an idle one was dropped after 7 s, without pings not within 14 s.
    uvicorn's own verdict (`ping_timeout`) stays off: it would drop clients in the manager's stead,
    and does not free one that does not read.

    Args:
        app: an application made by `create_app`, or a manager for one; by default the reference.
        host: name or address to listen on. Only the first address of a name is used.
        port: 0 lets the system choose; the JSON line tells.
        doors: who may come in, for the application that is made around a manager; one that is
            given has its own. On loopback no other host than ``localhost`` and IP addresses is
            admitted unless they say so.
        events: synthetic events that the server itself publishes, for each second.
        protocol: `auto` lets the manager abort connections, see `flock_ws.uvicorn_protocol`;
            `plain` is uvicorn as it comes, without time limits for requests.
        loop: `auto` takes uvloop where it is installed.
        log_level: for uvicorn and this package; everything is logged to standard error.
        ping_interval: seconds between two protocol pings; None sends none.
        ping_timeout: seconds until uvicorn drops who does not answer one; None never does.
        send_buffer_bytes: `SO_SNDBUF` and `TCP_NOTSENT_LOWAT` of each connection. 16 KiB bound
            one client to this much for each round trip, more for a far network.
        user_timeout: seconds after which the kernel drops a peer that takes no byte (Linux);
            None leaves it to the system. 3 s was seen to kill slow but reading clients.
        demo: lets visitors of the page add simulated clients, in a process of their own; nothing
            for an application that is made already.
        compression: agrees to permessage-deflate with clients that offer it. A broadcast is
            compressed once for all of them; with `plain` uvicorn compresses for each.

    Raises:
        DemoError: the simulated clients are not in this installation.
        ServeError: the address cannot be listened on, or uvloop was asked for and is not there.
        NotAManagerError: the manager lacks a method.
        ValueError: doors for an application that has its own.
        KeyboardInterrupt: after Ctrl-C, when everything has ended.
    """
    if isinstance(app, Starlette) and doors is not None:
        raise ValueError("an application has doors of its own: give them to create_app")
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise ServeError("uvloop is not installed: pip install uvloop, or use --loop asyncio")
    listener = listening_socket(
        host, port, send_buffer_bytes=send_buffer_bytes, user_timeout=user_timeout
    )
    if not isinstance(app, Starlette):
        app = create_app(
            app,
            doors=_for_address(listener, doors or Doors()),
            shutdown_timeout=_MANAGER_ENDS_WITHIN,
            demo=Demo() if demo else None,
        )
    manager = app.state.manager
    doors = getattr(app.state, "doors", None) or Doors()
    protocols = _flock_protocols(app, doors) if protocol == "auto" else None
    _warn_if_exposed(listener, doors)
    config = uvicorn.Config(
        app,
        http=protocols[0] if protocols else "auto",
        ws=protocols[1] if protocols else "auto",
        loop=loop,
        lifespan="on",
        backlog=_BACKLOG,
        log_config=_log_config(log_level),
        log_level=log_level,
        ws_max_size=doors.max_inbound_bytes,
        ws_ping_interval=ping_interval,
        ws_ping_timeout=ping_timeout,
        ws_per_message_deflate=compression,
        timeout_graceful_shutdown=_TASKS_CANCELLED_AFTER,
    )
    line = {
        "event": "listening",
        **_address(listener),
        "pid": os.getpid(),
        "manager": foreign.name_of(manager),
        "protocol": "flock" if protocols else "plain",
    }
    server = _Server(
        config,
        announcement=json.dumps(line),
        work=(lambda: publish_steadily(manager, rate=events)) if events > 0 else None,
    )
    with contextlib.closing(listener), server.stopped_by_sigterm():
        server.run(sockets=[listener])


def listening_socket(
    host: str,
    port: int,
    *,
    send_buffer_bytes: int = 16_384,
    user_timeout: float | None = 30.0,
) -> socket.socket:
    """Return a listening TCP socket; accepted connections inherit its options.

    Args: as `serve`.

    Raises:
        ServeError: the address is taken, foreign or forbidden; the message says which.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServeError(f"no address is known for host {host!r}: {error}") from error
    family, kind, number, _, address = found[0]
    listener = socket.socket(family, kind, number)
    try:
        if os.name == "posix":  # elsewhere it lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        if _NOTSENT_LOWAT is not None:
            listener.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, send_buffer_bytes)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        if _USER_TIMEOUT is not None and user_timeout is not None:
            listener.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, round(user_timeout * 1000))
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another --port, or --port 0 for any that is free"
        ) from error
    return listener


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws serve``."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen [%(default)s: this machine only]")
    add("--port", type=words.port, default=8000, help="0 takes any that is free [%(default)s]")
    add(
        "--manager",
        default=_REFERENCE,
        metavar="MODULE:FACTORY",
        help="a class, a function or an instance with add_client, remove_client and broadcast; "
        "looked for in the working directory too [the reference]",
    )
    add(
        "--events",
        type=words.rate,
        metavar="RATE",
        help="publish so many synthetic events a second [none; 50 with --demo]",
    )
    add(
        "--demo",
        action="store_true",
        help="let visitors of the page add healthy, slow, stalled and dead clients, and watch",
    )
    add(
        "--heartbeat-interval",
        type=words.seconds,
        metavar="SECONDS",
        help="ping the clients that often [no heartbeat]",
    )
    add(
        "--pong-timeout",
        type=words.seconds,
        metavar="SECONDS",
        help="drop who answers no ping for so long [never]",
    )
    add(
        "--send-timeout",
        type=words.seconds,
        metavar="SECONDS",
        help="drop who holds one send up for so long [the manager's own]",
    )
    add(
        "--history-limit",
        type=words.count,
        metavar="N",
        help="streaming events remembered for each agent [the manager's own]",
    )
    add(
        "--protocol",
        choices=("auto", "plain"),
        default="auto",
        help="plain: uvicorn's own, which cannot abort a connection [%(default)s]",
    )
    add(
        "--compression",
        action="store_true",
        help="compress for clients that offer it (permessage-deflate) [off]",
    )
    add(
        "--loop",
        choices=("auto", "asyncio", "uvloop"),
        default="auto",
        help="auto: uvloop where it is installed [%(default)s]",
    )
    add(
        "--log-level",
        choices=_LOG_LEVELS,
        default="warning",
        help="for what goes to standard error [%(default)s]",
    )
    add_door_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run ``flock-ws serve``; return 0 after SIGTERM.

    Raises:
        FlockError: serving cannot begin; see `serve` and `load_manager`.
        KeyboardInterrupt: after Ctrl-C.
    """
    names = ("heartbeat_interval", "pong_timeout", "send_timeout", "history_limit", "max_clients")
    options = {
        name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None
    }
    if "heartbeat_interval" in options:
        options["enable_heartbeat"] = True
    doors = doors_from(arguments)
    manager, ignored = load_manager(arguments.manager, options=options)
    for name in ignored:
        # Nobody asked for the first by itself; the second the doors keep to in any case.
        if name not in ("enable_heartbeat", "max_clients"):
            flag = f"--{name.replace('_', '-')}"
            _warn(f"{arguments.manager} takes no {name}: {flag} has no effect")
    serve(
        manager,
        host=arguments.host,
        port=arguments.port,
        events=_events(arguments),
        demo=arguments.demo,
        protocol=arguments.protocol,
        compression=arguments.compression,
        loop=arguments.loop,
        log_level=arguments.log_level,
        doors=doors,
    )
    return 0


def _events(arguments: argparse.Namespace) -> float:
    if arguments.events is None:
        return _DEMO_EVENTS if arguments.demo else 0.0
    return float(arguments.events)


class _Server(uvicorn.Server):
    """A server that says when it listens, and ends in time."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        announcement: str,
        work: Callable[[], Coroutine[Any, Any, None]] | None,
    ) -> None:
        super().__init__(config)
        self._announcement = announcement
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._last_resort = threading.Timer(_LEAVE_BY_FORCE_AFTER, _leave_by_force)
        self._last_resort.daemon = True

    @contextlib.contextmanager
    def stopped_by_sigterm(self) -> Iterator[None]:
        """Make SIGTERM an orderly end with exit code 0.

        uvicorn handles the signal while it serves, and raises it once more afterwards for whoever
        handled it before: here that is the same method, which then has nothing left to do.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # signals belong to the main thread
            return
        before = signal.signal(signal.SIGTERM, self.handle_exit)
        try:
            yield
        finally:
            self._last_resort.cancel()
            signal.signal(signal.SIGTERM, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end, and see to it that there is one."""
        if not self.should_exit:
            self._last_resort.start()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the address once connections are accepted."""
        await super().startup(sockets=sockets)
        if not self.started:
            return
        sys.stdout.write(f"{self._announcement}\n")
        sys.stdout.flush()
        if self._work is not None:
            self._task = asyncio.create_task(self._work(), name="flock-ws events")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what can be closed, then abort the rest."""
        if self._task is not None:
            self._task.cancel()
        asyncio.get_running_loop().call_later(_ABORT_AFTER, self._abort_connections)
        await super().shutdown(sockets=sockets)
        self._abort_connections()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            # Closing waits for a flush which a peer that does not read never lets happen.
            connection.transport.abort()


def _leave_by_force() -> None:
    sys.stderr.write(f"flock-ws: did not end in {_LEAVE_BY_FORCE_AFTER:g} s: leaving by force\n")
    sys.stderr.flush()
    os._exit(1)


def _warn(message: str) -> None:
    sys.stderr.write(f"flock-ws: warning: {message}\n")


def _flock_protocols(
    app: Starlette, doors: Doors
) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]] | None:
    """Return the protocols for HTTP and WebSockets, with the limits of the doors."""
    try:
        from flock_ws.uvicorn_http import (  # noqa: PLC0415 - uvicorn's insides may have moved
            FlockHttpProtocol,
        )
        from flock_ws.uvicorn_protocol import (  # noqa: PLC0415 - the same
            FlockWebSocketProtocol,
        )
    except ImportError as error:
        _warn(
            f"serving without flock_ws.uvicorn_protocol ({error}): "
            "an evicted client that does not read keeps its socket"
        )
        return None
    count = getattr(app.state, "refusals", None)
    count = refusals() if count is None else count
    return (
        FlockHttpProtocol.limited(handshake_timeout=doors.handshake_timeout, refusals=count),
        FlockWebSocketProtocol.limited(max_inbound_rate=doors.max_inbound_rate, refusals=count),
    )


def _log_config(level: str) -> dict[str, Any]:
    config = copy.deepcopy(LOGGING_CONFIG)
    # Standard output belongs to the JSON line.
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config["filters"] = {"redaction": {"()": Redaction}}
    config["loggers"]["uvicorn.error"]["filters"] = ["redaction"]
    config["loggers"]["flock_ws"] = {
        "handlers": ["default"],
        "level": level.upper(),
        "propagate": False,
    }
    return config


def _address(listener: socket.socket) -> dict[str, Any]:
    host, port = listener.getsockname()[:2]
    six = listener.family == socket.AF_INET6
    shown = ("::1" if six else "127.0.0.1") if _ip(listener).is_unspecified else host
    shown = f"[{shown}]" if six else shown
    return {"host": host, "port": port, "url": f"ws://{shown}:{port}/ws"}


def _ip(listener: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0])


def _for_address(listener: socket.socket, doors: Doors) -> Doors:
    """On loopback, admit no name that a page of somebody else's could let point here."""
    if _ip(listener).is_loopback and doors.allowed_hosts is None:
        return dataclasses.replace(doors, allowed_hosts=())
    return doors


def _warn_if_exposed(listener: socket.socket, doors: Doors) -> None:
    """Say in one line what strangers may do, where they can come at all."""
    if _ip(listener).is_loopback or doors.locked:
        return
    may = "read" if doors.publish_token is not None else "read and publish"
    _warn(
        f"{listener.getsockname()[0]} can be reached from other machines, and anybody there may "
        f"{may}: --read-token-file locks the door"
    )
