"""How an event is caused from outside: a client says something, or somebody publishes over HTTP."""

import asyncio
import json
import re
import ssl
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote, urlsplit

from simulators.errors import OptionError, SimulatorError

__all__ = ["PLACE", "Cause", "PublishFailed", "refuse", "request"]

PLACE = "{message}"
"""Where the text of an event goes in what somebody typed."""

_PUBLISH = re.compile(r"\s*([A-Za-z]+)\s+(\S+)\s*(.*?)\s*", re.DOTALL)
_MOST_HEAD_BYTES = 65_536
_GRANTED, _REFUSED = 200, 300


class PublishFailed(SimulatorError):  # noqa: N818  # it names what happened
    """A request that was to cause an event was not answered, or answered with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What makes an application broadcast.

    Attributes:
        kind: ``say``: a client sends a text message. ``publish``: an HTTP request.
        template: the message, or the body of the request, with `PLACE` where the text goes.
        method: of the request.
        path: of the request, with its query.
    """

    kind: Literal["say", "publish"]
    template: str
    method: str = "POST"
    path: str = ""

    @classmethod
    def say(cls, text: str) -> Self:
        """Read what a client is to say.

        Raises:
            OptionError: it has no place for the text.
        """
        if PLACE not in text:
            raise OptionError(
                f"--say {text!r}: put {PLACE} where the text goes, for instance "
                f'--say \'{{"text": "{PLACE}"}}\''
            )
        return cls(kind="say", template=text)

    @classmethod
    def publish(cls, text: str) -> Self:
        """Read what request publishes: ``POST /api/events {"text": "{message}"}``.

        Raises:
            OptionError: it is none, or has no place for the text.
        """
        match = _PUBLISH.fullmatch(text)
        example = f'--publish \'POST /api/events {{"text": "{PLACE}"}}\''
        if match is None or not match[2].startswith("/"):
            raise OptionError(f"--publish {text!r} is no request: {example}")
        method, path, body = match.groups()
        if PLACE not in body and PLACE not in path:
            raise OptionError(f"--publish {text!r}: put {PLACE} where the text goes: {example}")
        return cls(kind="publish", template=body, method=method.upper(), path=path)

    def __str__(self) -> str:
        """Show it as it is typed on the command line."""
        if self.kind == "say":
            return f"--say '{self.template}'"
        return f"--publish '{self.method} {self.path} {self.template}'"

    def fill(self, text: str) -> str:
        """Return the message, or the body, with a text in its place; escaped where it is JSON."""
        if _is_json(self.template):
            return self.template.replace(PLACE, json.dumps(text)[1:-1])
        return self.template.replace(PLACE, text)

    def target_of(self, text: str) -> str:
        """Return path and query of the request, with a text in its place."""
        return self.path.replace(PLACE, quote(text, safe=""))

    @property
    def content_type(self) -> str:
        """The type of the body."""
        return "application/json" if _is_json(self.template) else "text/plain; charset=utf-8"


async def request(base: str, cause: Cause, text: str, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the limit is part of the error
    """Publish over HTTP, on a connection of its own. Redirects are not followed.

    Args:
        base: ``http://host:port`` or ``https://…``.
        cause: what to ask for.
        text: what goes into its place.
        timeout: seconds for all of it.

    Raises:
        PublishFailed: no answer, or an error; the message has the start of the answer.
    """
    method, target, body = cause.method, cause.target_of(text), cause.fill(text)
    where = f"{method} {target}"
    parts = urlsplit(base)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    data = body.encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: {cause.content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=ssl.create_default_context() if secure else None
            )
            writer.write(head.encode() + data)
            answer = await reader.read(_MOST_HEAD_BYTES)
    except TimeoutError as error:
        raise PublishFailed(f"{where} was not answered within {timeout:g} s") from error
    except OSError as error:
        raise PublishFailed(f"{where} failed: {error.strerror or error}") from error
    finally:
        if writer is not None:
            writer.transport.abort()
    said = answer.decode("utf-8", "replace")
    words = said.split(" ", 2)
    if len(words) < 2 or not words[1].isdecimal():  # noqa: PLR2004  # version and status
        raise PublishFailed(f"{where} was answered with no HTTP: {said[:60]!r}")
    refuse(where, int(words[1]), said.partition("\r\n\r\n")[2])


def refuse(where: str, status: int, body: str) -> None:
    """Go on if a request was granted.

    Raises:
        PublishFailed: it was not; the message has the start of the answer.
    """
    if not _GRANTED <= status < _REFUSED:
        said = " ".join(body.split())[:200]
        raise PublishFailed(f"{where} was answered with {status}: {said}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
