"""Doors: who may come in, with what, and how much of it, in one frozen dataclass."""

import ipaddress
import math
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flock_ws.errors import FlockError
from flock_ws.limits import check_seconds

__all__ = ["LEAST_TOKEN", "DoorError", "Doors", "read_token_file"]

LEAST_TOKEN = 16
"""Characters that a token must have. At a thousand guesses a second even 16 letters last longer
than the universe, so guesses are counted and not slowed down."""

_MOST_FILE_BYTES = 4_096


class DoorError(FlockError):
    """The doors cannot be: a file holds no token, or an option means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What an application asks of who comes in. The defaults hurt no honest client.

    Tokens are compared in constant time, and appear in no repr, log line or answer. Over plain
    ``http://`` everybody on the way can read them: off this machine, put TLS in front.

    Attributes:
        allowed_origins: origins, like ``https://dash.example``, whose pages may connect beside our
            own; ``*`` is any. Browsers send an ``Origin`` and cannot lie about it; who sends none
            is no browser, and is not asked for one.
        allowed_hosts: names under which the server may be addressed, beside ``localhost`` and any
            IP address; None allows every name. On loopback it keeps out pages which let a name of
            theirs point to 127.0.0.1, and so pass for our own; `flock_ws.server.serve` sets it.
        publish_token: needed for what changes something (any method but GET, HEAD and OPTIONS);
            without one, `read_token` is needed for that too.
        read_token: needed for everything else, WebSockets too, except ``/healthz``; the publish
            token opens this as well. As ``Authorization: Bearer``, or as the password of
            ``Authorization: Basic``, for which browsers ask by themselves.
        max_clients: open WebSockets, those of evicted clients included until they are gone; who
            comes beyond it is answered 503.
        max_inbound_bytes: the largest message of a client; a larger one ends its connection (1009).
        max_inbound_rate: messages a second that a client may send, a second's worth at once; who
            sends more is closed with 1008. None sets no limit.
        max_body_bytes: the largest body of a request (413); eight times this is held at once over
            all requests, beyond it they are answered 503.
        handshake_timeout: seconds in which a request, an upgrade too, must have arrived, and a
            client must take a piece of an answer; then it is dropped. Kept by `FlockHttpProtocol`.

    Raises:
        ValueError: a value that means nothing; the message names the field, never a token.
    """

    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] | None = None
    publish_token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    max_clients: int | None = None
    max_inbound_bytes: int = 65_536
    max_inbound_rate: float | None = 1_000.0
    max_body_bytes: int = 4 * 1024 * 1024
    handshake_timeout: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for names in (self.allowed_origins, self.allowed_hosts):
            if isinstance(names, str):
                raise ValueError(f"allowed_origins and allowed_hosts are tuples, not {names!r}")  # noqa: TRY004 - as every other wrong value
        for origin in self.allowed_origins:
            _check_origin(origin)
        for host in self.allowed_hosts or ():
            if not host or set(host) & set("/:@ *"):
                raise ValueError(f"allowed_hosts holds names without a port, not {host!r}")
        for name in ("publish_token", "read_token"):
            if (problem := _wrong_token(getattr(self, name))) is not None:
                raise ValueError(f"{name} {problem}")
        for name in ("max_clients", "max_inbound_bytes", "max_body_bytes"):
            value = getattr(self, name)
            if name == "max_clients" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        rate = self.max_inbound_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"max_inbound_rate must be a number above 0, or None, not {rate!r}")
        check_seconds("handshake_timeout", self.handshake_timeout)

    @property
    def locked(self) -> bool:
        """Whether nobody without a token can read or publish."""
        return self.read_token is not None

    def keys(self, *, publishing: bool) -> tuple[str, ...]:
        """Return the tokens of which one is needed; none where the door is open."""
        if publishing:
            key = self.publish_token or self.read_token
            return () if key is None else (key,)
        if self.read_token is None:
            return ()
        return tuple(key for key in (self.read_token, self.publish_token) if key is not None)

    def admits_host(self, host: str) -> bool:
        """Whether the server may be addressed so; `host` is a ``Host`` header."""
        if self.allowed_hosts is None:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return name in {known.lower() for known in self.allowed_hosts} or _is_address(name)

    def admits_origin(self, origin: str, *, host: str) -> bool:
        """Whether a page of this origin may come in, given the ``Host`` that it asked for.

        The scheme of our own origin is not compared: behind a proxy that ends TLS it is not known.
        """
        if "*" in self.allowed_origins or origin.lower() in map(str.lower, self.allowed_origins):
            return True
        return bool(host) and origin.lower() in (
            f"http://{host.lower()}",
            f"https://{host.lower()}",
        )


def read_token_file(path: str | Path) -> str:
    """Read a token from a file, without the white space around it.

    Raises:
        DoorError: no such file, or what it holds is no token; the message does not tell what.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_FILE_BYTES)
    except OSError as error:
        raise DoorError(f"no token can be read from {path}: {error.strerror or error}") from error
    token = content.decode("utf-8", errors="replace").strip()
    if (problem := _wrong_token(token)) is not None:
        raise DoorError(f"the token in {path} {problem}")
    return token


def _wrong_token(token: object) -> str | None:
    if token is None:
        return None
    if not isinstance(token, str) or not all("!" <= character <= "~" for character in token):
        return "must consist of visible ASCII characters, without spaces"
    if len(token) < LEAST_TOKEN:
        return (
            f"has {len(token)} characters, at least {LEAST_TOKEN} are needed: make one with "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return None


def _check_origin(origin: object) -> None:
    if origin in ("*", "null"):
        return
    try:
        parts = urlsplit(origin) if isinstance(origin, str) else None
    except ValueError:
        parts = None
    if parts is None or not parts.scheme or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(
            f"allowed_origins holds origins like https://dash.example:8443, without a path, "
            f"not {origin!r}"
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
