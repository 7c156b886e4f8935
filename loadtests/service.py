"""The HTTP side of a tested server, over one kept connection of the standard library."""

import contextlib
import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Service"]

_CONNECT_LIMIT = 5.0


class Service:
    """Requests to the host of a WebSocket URL, one at a time. Not safe to share between threads.

    Args:
        url: the WebSocket address; ``wss`` means HTTPS.
        timeout: seconds that an answer may take; None waits until `interrupt`.
    """

    def __init__(self, url: str, *, timeout: float | None) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = make(parts.hostname or "", parts.port, timeout=_CONNECT_LIMIT)
        self._timeout = timeout

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
            headers = {"Content-Type": "application/json"} if body is not None else {}
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
