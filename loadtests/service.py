"""The HTTP side of a tested server, over one kept connection of the standard library."""

import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from loadtests.plan import Plan
from loadtests.tls import client_context

__all__ = ["Service"]

_CONNECT_LIMIT = 5.0


class Service:
    """Requests to the host of a WebSocket URL, one at a time. Not safe to share between threads.

    Args:
        url: the WebSocket address; ``wss`` means HTTPS.
        timeout: seconds that an answer may take; None waits until `interrupt`.
        headers: further headers of every request.
        ca: see `client_context`.
        insecure: see `client_context`.

    Raises:
        LoadTestError: as `client_context`.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None,
        headers: Mapping[str, str] | None = None,
        ca: str | None = None,
        insecure: bool = False,
    ) -> None:
        parts = urlsplit(url)
        host, port, limit = parts.hostname or "", parts.port, _CONNECT_LIMIT
        context = client_context(url, ca=ca, insecure=insecure)
        self._connection: http.client.HTTPConnection
        if context is not None:
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=limit, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=limit)
        self._timeout = timeout
        self._headers = dict(headers or {})

    @classmethod
    def of(cls, plan: Plan, *, timeout: float | None) -> Self:
        """Return the HTTP side of the server of a plan."""
        return cls(
            plan.url,
            timeout=timeout,
            headers=plan.headers,
            ca=plan.ca,
            insecure=plan.insecure,
        )

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send a request and return the status and the body of the answer.

        Raises:
            OSError: no connection, no answer in time, or the server hung up.
            http.client.HTTPException: the answer was no HTTP.
        """
        connection = self._connection
        try:
            if connection.sock is None:
                self._connect()
            headers = dict(self._headers)
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except BaseException:
            # Half an exchange: nothing more can be said over this connection.
            connection.close()
            raise

    def _connect(self) -> None:
        self._connection.connect()
        self._connection.sock.settimeout(self._timeout)

    def get_json(self, path: str) -> Any:
        """Return what a GET answers, or None when that is no JSON or no success.

        Raises:
            OSError, http.client.HTTPException: as `request`.
        """
        status, body = self.request("GET", path)
        if status != http.client.OK:
            return None
        try:
            return json.loads(body)
        except ValueError:
            return None

    def interrupt(self) -> None:
        """Make a request that is under way fail at once; may be called from another thread."""
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
