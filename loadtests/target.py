"""The server under test: one that is there already, or one in a process of its own."""

import asyncio
import http.client
import json
import queue
import socket
from collections.abc import Mapping
from typing import Any, Self

from loadtests.access import Access
from loadtests.child import Child
from loadtests.errors import TargetError
from loadtests.observer import PATH as STATS_PATH
from loadtests.publisher import PATH as EVENTS_PATH
from loadtests.service import Service
from loadtests.tls import client_context
from simulators.errors import SimulatorError
from simulators.sockets import SocketClient
from simulators.tcp.handshake import Target

__all__ = ["Server", "listens", "probe", "publishes", "tells"]

_START_LIMIT = 20.0
_STOP_LIMIT = 5.0
_STEP = 0.1
_UNPROCESSABLE = 422
_ADVICE = {
    "give ssl=": "give --ca FILE with its issuer's certificate, or --insecure",
    "for a WebSocket upgrade": "for a WebSocket upgrade: does it want a --subprotocol?",
    "give headers=": "give --header 'Authorization: …'",
}


class Server:
    """The reference server with any manager, or any ASGI application, in a process of its own.

    Attributes:
        url: where it listens.
    """

    def __init__(self, child: Child, url: str) -> None:
        self.url = url
        self._child = child

    @classmethod
    def start(
        cls,
        *,
        manager: str | None = None,
        app: str | None = None,
        path: str = "/ws",
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Start it and wait until it listens.

        Args:
            manager: ``MODULE:FACTORY`` for the reference server.
            app: ``MODULE:APP``, served in the place of the reference.
            path: the application's WebSocket endpoint.
            options: of ``flock-ws serve``, by their names with underscores; not for an `app`.

        Raises:
            TargetError: it does not come up; the message holds its last words.
        """
        if app is not None:
            words = ["loadtests.hosting", app, "--path", path]
        else:
            words = ["flock_ws", "serve", "--port", "0"]
            words += ["--manager", manager] if manager is not None else []
            for name, value in (options or {}).items():
                words += [f"--{name.replace('_', '-')}", f"{value}"]
        lines: queue.Queue[str] = queue.Queue()
        child = Child(*words, on_line=lines.put)
        try:
            return cls(child, _address(child, lines))
        except BaseException:
            child.kill()
            raise

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._child.pid

    def death(self) -> str | None:
        """Say how it ended by itself; None while it lives."""
        return self._child.death()

    def stop(self, *, within: float = _STOP_LIMIT) -> None:
        """End it, by force if it takes longer than `within` seconds."""
        self._child.stop(within=within)


def _address(child: Child, lines: "queue.Queue[str]") -> str:
    for _ in range(round(_START_LIMIT / _STEP)):
        try:
            told = json.loads(lines.get(timeout=_STEP))
        except queue.Empty:
            if child.death() is not None:
                words = child.last_words().removeprefix("flock-ws: ") or child.death()
                raise TargetError(f"the server did not start: {words}") from None
            continue
        except ValueError:
            continue  # an application may print what it likes before it serves
        if isinstance(told, dict) and told.get("event") == "listening":
            return str(told["url"])
    raise TargetError(f"the server did not listen within {_START_LIMIT:g} s")


def probe(url: str, *, access: Access | None = None, timeout: float = 5.0) -> None:
    """Connect once and leave.

    Raises:
        TargetError: nothing listens there, or it is no WebSocket endpoint for this access.
        LoadTestError: the access is no use at such an address.
    """
    access = access or Access()
    context = client_context(url, ca=access.ca, insecure=access.insecure)

    async def visit() -> None:
        client = SocketClient(
            url,
            name="flock-load-probe",
            headers=access.headers,
            subprotocol=", ".join(access.subprotocols) or None,
            ssl=context,
            keep=False,
        )
        await client.connect(timeout=timeout)
        await client.leave(timeout=1.0)

    try:
        asyncio.run(visit())
    except SimulatorError as error:
        message = str(error)
        for there, here in _ADVICE.items():
            message = message.replace(there, here)
        raise TargetError(message) from None
    except OSError as error:
        raise TargetError(f"cannot connect to {url}: {error}") from None


def listens(url: str, *, timeout: float = 0.5) -> bool:
    """Tell whether something may listen there: False only where a connection is refused."""
    target = Target.parse(url)
    try:
        socket.create_connection((target.host, target.port), timeout=timeout).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True


def tells(url: str, *, access: Access | None = None) -> dict[str, object]:
    """Return what the server's statistics say, empty where it offers none."""
    service = Service(url, timeout=5.0, **_entry(access))
    try:
        answer = service.get_json(STATS_PATH)
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        service.close()
    return answer if isinstance(answer, dict) else {}


def publishes(url: str, *, access: Access | None = None) -> bool:
    """Tell whether the server takes events by POST. Publishes nothing."""
    service = Service(url, timeout=5.0, **_entry(access))
    try:
        # An empty list is a publication of nothing; what refuses it as invalid knows the path too.
        status, _ = service.request("POST", EVENTS_PATH, b"[]")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        service.close()
    return status // 100 == 2 or status == _UNPROCESSABLE  # noqa: PLR2004 - the class of success


def _entry(access: Access | None) -> dict[str, Any]:
    access = access or Access()
    return {"headers": access.headers, "ca": access.ca, "insecure": access.insecure}
