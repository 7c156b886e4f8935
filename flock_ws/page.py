"""The live page: what a server's operators and the curious look at, and where its numbers are.

The page asks for the same sample again and again, and everybody who looks shares it: it is no
client of the manager. Nothing of it comes from another host, and what a client calls itself
cannot become markup.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from flock_ws.demo import MOST_CLIENTS, Demo, DemoError
from flock_ws.lookout import Lookout, Sample

__all__ = ["CONTENT_SECURITY_POLICY", "Added", "MoreClients", "add_page"]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Scripts and styles come from files of this server alone, and nothing else is asked."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PLACE = "<!-- numbers -->"


class MoreClients(BaseModel):
    """Which simulated clients to add."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=50)
    count: int = Field(default=1, ge=1, le=MOST_CLIENTS)


class Added(BaseModel):
    """How many simulated clients connected, and how many of each kind are there now."""

    added: int
    living: dict[str, int]


def add_page(app: FastAPI, lookout: Lookout, *, demo: Demo | None = None) -> None:
    """Put the page at ``/``, its files at ``/page/``, its numbers at ``/api/overview``.

    Args:
        app: what they are added to.
        lookout: takes the numbers.
        demo: lets visitors of the page add simulated clients; nobody may when None.
    """
    files = _files()
    # Read once: nothing of what is asked for ever becomes a path.
    index = files.pop("index.html").body.decode()

    async def page() -> HTMLResponse:
        text = index.replace(_PLACE, _numbers(lookout.sample()))
        return HTMLResponse(text, headers={**_HEADERS, "Cache-Control": "no-store"})

    async def file(name: str, request: Request) -> Response:
        found = files.get(name)
        if found is None:
            raise HTTPException(404, "the page has no such file")
        return found.answer(request.headers.get("If-None-Match"))

    async def overview() -> Response:
        """Return the totals, and the clients that are furthest behind.

        Cheap to ask for often: whoever asks within the same moment gets the same sample.
        `/api/stats` tells about every client.
        """
        return Response(
            lookout.text(), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    app.add_api_route("/", page, include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/page/{name:path}", file, include_in_schema=False)
    app.add_api_route(
        "/api/overview",
        overview,
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}},
        summary="The manager at a glance",
    )
    if demo is not None:
        _add_demo(app, demo)


def _add_demo(app: FastAPI, demo: Demo) -> None:
    async def more(wanted: MoreClients, request: Request) -> Added:
        """Add simulated clients to this server."""
        try:
            added = await demo.add(
                wanted.kind,
                wanted.count,
                url=_address(request),
                # They come in with the key of who sends them.
                authorization=request.headers.get("Authorization"),
            )
        except DemoError as error:
            raise HTTPException(409, str(error)) from error
        return Added(added=added, living=demo.living)

    async def none() -> Added:
        """Take all simulated clients away."""
        try:
            await demo.clear()
        except DemoError as error:
            raise HTTPException(409, str(error)) from error
        return Added(added=0, living=demo.living)

    path, tags = "/api/demo/clients", ["demo"]
    app.add_api_route(path, more, methods=["POST"], response_model=Added, tags=list(tags))
    app.add_api_route(path, none, methods=["DELETE"], response_model=Added, tags=list(tags))


def _address(request: Request) -> str:
    """Return where the WebSocket is, as seen from this machine."""
    host, port = request.scope["server"]
    host = f"[{host}]" if ":" in host else host
    return f"ws://{host}:{port}{request.scope.get('root_path', '')}/ws"


class _File:
    """One file of the page, as it goes over the wire."""

    def __init__(self, name: str, body: bytes) -> None:
        self.body = body
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        self._kind = kind or "text/plain"
        self._tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'

    def answer(self, tag: str | None) -> Response:
        headers = {**_HEADERS, "ETag": self._tag, "Cache-Control": "no-cache"}
        if tag == self._tag:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self._kind, headers=headers)


def _files() -> dict[str, _File]:
    found: dict[str, _File] = {}

    def walk(folder: Traversable, prefix: str) -> None:
        for item in folder.iterdir():
            name = f"{prefix}{item.name}"
            if item.is_dir():
                walk(item, f"{name}/")
            else:
                found[name] = _File(name, item.read_bytes())

    walk(resources.files("flock_ws").joinpath("static"), "")
    return found


def _numbers(sample: Sample) -> str:
    """Return the sample as tables, for who reads the page without JavaScript."""
    totals = {
        "clients in the pool": sample.get("clients"),
        "of them behind": sample.get("behind"),
        "events published": sample.get("published"),
        "deliveries": sample.get("delivered"),
        "evicted": _listed(sample.get("evicted")),
        "remembered events": sample.get("remembered"),
    }
    lines = "".join(
        f"<tr><th scope=row>{name}</th><td>{escape(str(value))}</td></tr>"
        for name, value in totals.items()
        if value is not None
    )
    lanes = "".join(
        f"<tr><th scope=row>{escape(lane['name'])}</th><td>{escape(lane['state'])}</td>"
        f"<td>{escape(_waiting(lane))}</td></tr>"
        for lane in sample["lanes"]
    )
    evictions = "".join(
        f"<tr><th scope=row>{escape(str(one['client']))}</th><td>{escape(str(one['reason']))}</td>"
        f"<td>{escape(_waiting(one))}</td></tr>"
        for one in reversed(sample.get("evictions", ()))
    )
    return (
        f"<table><caption>{escape(sample['manager'])}</caption><tbody>{lines}</tbody></table>"
        + _table("Clients, those furthest behind first", ("client", "state", "behind"), lanes)
        + _table("Evictions, the last one first", ("client", "reason", "was behind"), evictions)
    )


def _table(caption: str, names: tuple[str, ...], lines: str) -> str:
    if not lines:
        return f"<p>{caption}: none.</p>"
    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _listed(counts: Mapping[str, int] | None) -> str | None:
    if counts is None:
        return None
    parts = [f"{reason}: {count}" for reason, count in counts.items()]
    return ", ".join(parts) or "0"


def _waiting(about: Mapping[str, Any]) -> str:
    lag = about.get("lag")
    return f"{lag['messages']} messages, {lag['bytes']} bytes" if lag else ""
