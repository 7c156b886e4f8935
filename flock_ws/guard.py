"""Guard: stands before an application and lets in whom the `Doors` admit.

It is plain ASGI, so it holds on every server. What happens below ASGI (a request that never ends,
a flood of frames) is the affair of `flock_ws.uvicorn_http` and `flock_ws.uvicorn_protocol`.
"""

import base64
import binascii
import hmac
import logging
from collections.abc import Iterable
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from flock_ws.doors import Doors
from flock_ws.inbound import Refusals

__all__ = ["DENIAL", "RETRY_AFTER", "Guard", "Redaction", "deny"]

DENIAL = "websocket.http.response"
"""The ASGI extension with which a server lets an application answer an upgrade with HTTP."""

RETRY_AFTER = {"Retry-After": "5"}
"""What a 503 says about when to come again, in seconds."""

_OPEN_PATHS = frozenset({"/healthz"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_BODIES_AT_ONCE = 8
_POLICY_VIOLATION = 1008

logger = logging.getLogger("flock_ws.guard")


class _Refusal(NamedTuple):
    reason: str
    status: int
    text: str
    headers: dict[str, str]


async def deny(
    websocket: WebSocket, status: int, text: str, *, headers: dict[str, str] | None = None
) -> None:
    """Refuse an upgrade with an HTTP answer, or 403 where the server can give no other."""
    if DENIAL in (websocket.scope.get("extensions") or {}):
        await websocket.send_denial_response(
            PlainTextResponse(f"{text}\n", status_code=status, headers=headers)
        )
    else:
        await websocket.close(_POLICY_VIOLATION)


class Redaction(logging.Filter):
    """Keeps tokens out of a log in which websockets writes every header, at the level ``debug``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the value of an ``Authorization`` header."""
        if isinstance(record.args, tuple) and "authorization" in map(_lowered, record.args):
            record.args = (*record.args[:-1], "[not logged]")
        return True


class Guard:
    """ASGI middleware that asks for host, origin and token, and bounds bodies.

    Args:
        app: what it stands before.
        doors: what to ask for.
        refusals: where it counts whom it turned away.
    """

    def __init__(self, app: ASGIApp, *, doors: Doors, refusals: Refusals) -> None:
        self.app = app
        self.doors = doors
        self.refusals = refusals
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or connection in, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            self.refusals[refusal.reason] += 1
            # No warning: whoever is refused may come a thousand times a second.
            logger.info("refused %s: %s", scope["path"], refusal.text)
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "http":
            await self._let_in(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        doors, headers = self.doors, Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if not all(map(doors.admits_host, hosts)):
            text = f"no server of the name {hosts[0]!r} is here; --allow-host lets it be"
            return _Refusal("host", 421, text, {})
        host = hosts[0] if len(hosts) == 1 else ""
        if not all(doors.admits_origin(origin, host=host) for origin in origins):
            text = f"pages of {origins[0]!r} may not connect; --allow-origin lets them"
            return _Refusal("origin", 403, text, {})
        if scope["path"] in _OPEN_PATHS:
            return None
        publishing = scope["type"] == "http" and scope["method"] not in _READING
        keys = doors.keys(publishing=publishing)
        if keys and not _opens(keys, headers.getlist("authorization")):
            return _Refusal("token", 401, "a token is needed", _CHALLENGE)
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > doors.max_body_bytes:
            return _Refusal("body", 413, self._too_large(), {"Connection": "close"})
        return None

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = 0

        async def bounded() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            held += size
            self._held_bytes += size
            if held > self.doors.max_body_bytes:
                self.refusals["body"] += 1
                raise HTTPException(413, self._too_large(), {"Connection": "close"})
            if self._held_bytes > _BODIES_AT_ONCE * self.doors.max_body_bytes:
                self.refusals["body"] += 1
                busy = "too many large requests at once: try again later"
                raise HTTPException(503, busy, RETRY_AFTER | {"Connection": "close"})
            return message

        try:
            await self.app(scope, bounded, send)
        finally:
            self._held_bytes -= held

    def _too_large(self) -> str:
        return f"the body is larger than {self.doors.max_body_bytes} bytes: publish in pieces"


# A browser understands this one, and asks. It is said to programs too: they know the other way.
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="flock-ws", charset="UTF-8"'}


async def _refuse(refusal: _Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await deny(
            WebSocket(scope, receive, send), refusal.status, refusal.text, headers=refusal.headers
        )
        return
    answer = PlainTextResponse(
        f"{refusal.text}\n", status_code=refusal.status, headers=refusal.headers
    )
    await answer(scope, receive, send)


def _lowered(value: object) -> str:
    return str(value).lower()


def _opens(keys: Iterable[str], given: list[str]) -> bool:
    """Whether one ``Authorization`` header holds one of the keys; takes as long if it does not."""
    token = _token(given[0]) if len(given) == 1 else b""
    matches = [hmac.compare_digest(token, key.encode()) for key in keys]
    return any(matches)


def _token(authorization: str) -> bytes:
    scheme, _, rest = authorization.partition(" ")
    credentials = rest.strip()
    if scheme.lower() == "bearer":
        return credentials.encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            pass
    return b""
