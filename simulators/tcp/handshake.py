"""The opening handshake of a WebSocket client, without I/O, and clear words when it fails."""

import base64
import hashlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlsplit

from simulators.errors import SimulatorError

__all__ = ["COMPRESSION", "ConnectFailed", "Target"]

COMPRESSION = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
"""The extension that is offered by who wants to compress: each message for itself."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING = 101
_URL_CHARACTERS = "%/?:@!$&'()*+,;=-._~[]|"
_MAX_HEAD_BYTES = 65_536
_HINTS = {
    400: "the server did not take the request for a WebSocket upgrade",
    401: "the endpoint wants credentials: give headers=",
    403: "the endpoint refused the connection (Starlette answers so to a close before accept, "
    "and where no WebSocket route is)",
    404: "is the path right, and is it a WebSocket route?",
    426: "the server wants another protocol version",
    503: "the server is overloaded or takes no more clients",
}


class ConnectFailed(SimulatorError):  # noqa: N818 - it names what happened, as asyncio's own do
    """No WebSocket connection came about; the message says why and what to look at.

    Attributes:
        url: where to.
        status: the HTTP status that the server answered with, None when it gave none.
    """

    def __init__(self, url: str, reason: str, *, status: int | None = None) -> None:
        super().__init__(f"cannot connect to {url}: {reason}")
        self.url = url
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """Where a WebSocket URL leads."""

    url: str
    secure: bool
    host: str
    port: int
    authority: str
    resource: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a ``ws://`` or ``wss://`` URL.

        Raises:
            ConnectFailed: it is none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConnectFailed(url, f"not a URL: {error}") from None
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConnectFailed(url, "expected ws://host[:port]/path or wss://host[:port]/path")
        if any(ord(character) <= ord(" ") for character in url):
            raise ConnectFailed(url, "a URL holds no spaces and no control characters")
        secure = parts.scheme == "wss"
        resource = parts.path or "/"
        if parts.query:
            resource += f"?{parts.query}"
        return cls(
            url=url,
            secure=secure,
            host=parts.hostname,
            port=port or (443 if secure else 80),
            authority=parts.netloc.rpartition("@")[2],
            resource=quote(resource, safe=_URL_CHARACTERS),
        )

    def request(
        self,
        key: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        subprotocol: str | None,
        compression: bool = False,
    ) -> bytes:
        """Encode the request for the upgrade."""
        fields = {
            "Host": self.authority,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(key).decode(),
            "Sec-WebSocket-Version": "13",
        }
        if subprotocol is not None:
            fields["Sec-WebSocket-Protocol"] = subprotocol
        if compression:
            fields["Sec-WebSocket-Extensions"] = COMPRESSION
        fields.update(headers or {})
        for name, value in fields.items():
            if "\r" in name + value or "\n" in name + value:
                raise ConnectFailed(self.url, f"header {name!r} holds a line break")
        lines = [f"GET {self.resource} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def why_not(self, error: OSError, *, step: str) -> str:
        """Say in words why the connection failed with this error, at this step."""
        if isinstance(error, ConnectionRefusedError):
            where = f"{self.host}:{self.port}"
            return f"nothing listens at {where}: is the server up, is the port right?"
        if isinstance(error, socket.gaierror):
            return f"unknown host {self.host!r}: {error.strerror}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {error.verify_message}: give ssl="
        if isinstance(error, ssl.SSLError):
            return f"TLS failed, does the server speak it at this port? {error}"
        if step == "TLS handshake" and isinstance(error, ConnectionError):
            return "TLS failed, does the server speak it at this port? It ended the connection"
        return f"no {step}: {error!s}"

    def check_size(self, size_bytes: int) -> None:
        """Check that an answer whose head has not ended yet may still go on."""
        if size_bytes > _MAX_HEAD_BYTES:
            raise ConnectFailed(
                self.url, f"the server's answer has no end of its head in {_MAX_HEAD_BYTES} bytes"
            )

    def check(
        self, response: bytes, key: bytes, *, subprotocol: str | None, compression: bool = False
    ) -> bool:
        """Check the head of the server's answer, up to and with its empty line.

        Args:
            response: the head.
            key: what the request was made with.
            subprotocol: what it offered; several with a comma and a space between them.
            compression: whether it offered `COMPRESSION`.

        Returns:
            Whether messages may be compressed.

        Raises:
            ConnectFailed: it is not the upgrade that was asked for.
        """
        status_line, *lines = response.decode("latin-1").split("\r\n")
        version, _, rest = status_line.partition(" ")
        status = rest[:3]
        if not version.startswith("HTTP/") or not (status.isascii() and status.isdigit()):
            raise ConnectFailed(
                self.url, f"the server does not speak HTTP: it answered {response[:40]!r}"
            )
        code = int(status)
        if code != _SWITCHING:
            hint = _HINTS.get(code, "expected 101 Switching Protocols: is it a WebSocket endpoint?")
            raise ConnectFailed(
                self.url, f"the server answered HTTP {rest.strip()}: {hint}", status=code
            )
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        digest = hashlib.sha1(base64.b64encode(key) + _GUID, usedforsecurity=False).digest()
        if fields.get("sec-websocket-accept") != base64.b64encode(digest).decode():
            raise ConnectFailed(
                self.url,
                "the server switched protocols with a wrong Sec-WebSocket-Accept: "
                "it is not a WebSocket server",
                status=code,
            )
        chosen = fields.get("sec-websocket-protocol")
        if chosen is not None and chosen not in (subprotocol or "").split(", "):
            raise ConnectFailed(
                self.url,
                f"the server chose subprotocol {chosen!r}, offered was {subprotocol!r}",
                status=code,
            )
        extensions = fields.get("sec-websocket-extensions")
        if extensions and compression and extensions.startswith("permessage-deflate"):
            return True
        if extensions:
            raise ConnectFailed(
                self.url, f"the server uses {extensions!r}, which was not offered", status=code
            )
        return False
