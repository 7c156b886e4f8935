import asyncio
import base64
import logging
from collections.abc import Sequence
from hmac import compare_digest
from typing import Any

import pytest

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from flock_ws.doors import Doors
from flock_ws.guard import Guard
from flock_ws.inbound import Refusals, refusals

TOKEN = "the-token-of-this-test"  # noqa: S105 - of no server
OTHER = "another-token-of-this-test"
LOCKED = Doors(read_token=TOKEN, publish_token=OTHER)


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


def basic(token: str, *, user: str = "") -> tuple[str, str]:
    return ("authorization", f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Take the body or the connection, and agree."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def scope_of(
    path: str, *, method: str | None, headers: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    kind = {"type": "websocket"} if method is None else {"type": "http", "method": method}
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return {**kind, "path": path, "headers": raw, "query_string": b""}


def ask(
    app: Any,
    path: str = "/api/stats",
    *,
    method: str | None = "GET",
    headers: Sequence[tuple[str, str]] = (),
    body: Sequence[bytes] = (b"",),
    extensions: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the first thing that is said; a WebSocket if there is no method."""
    scope = scope_of(path, method=method, headers=headers) | {"extensions": extensions or {}}
    inbound = [
        {"type": "http.request", "body": piece, "more_body": number < len(body) - 1}
        for number, piece in enumerate(body)
    ]
    if method is None:
        inbound = [{"type": "websocket.connect"}]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return inbound.pop(0)

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    asyncio.run(app(scope, receive, send))
    return said[0]


def guard(doors: Doors | None = None, *, count: Refusals | None = None) -> Guard:
    return Guard(application, doors=doors or Doors(), refusals=count or refusals())


# Who comes in


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 200),
        ((("host", "127.0.0.1:8000"),), 200),
        ((("host", "page.example"),), 421),
        ((("host", "127.0.0.1"), ("host", "page.example")), 421),
        ((("host", "127.0.0.1"), ("origin", "http://127.0.0.1")), 200),
        ((("host", "127.0.0.1"), ("origin", "http://page.example")), 403),
        ((("host", "127.0.0.1"), ("origin", "null")), 403),
        ((("origin", "http://127.0.0.1"),), 403),
    ],
)
def test_host_and_origin_decide_before_anything_else(
    headers: Sequence[tuple[str, str]], status: int
) -> None:
    assert ask(guard(Doors(allowed_hosts=())), headers=headers)["status"] == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/stats", (), 401),
        ("GET", "/", (), 401),
        ("GET", "/metrics", (), 401),
        ("HEAD", "/", (), 401),
        ("GET", "/healthz", (), 200),
        ("GET", "/healthz/", (), 401),
        ("GET", "/api/stats", (bearer(TOKEN),), 200),
        ("GET", "/api/stats", (bearer(OTHER),), 200),
        ("GET", "/api/stats", (("authorization", f"bearer  {TOKEN}"),), 200),
        ("GET", "/api/stats", (basic(TOKEN, user="anybody"),), 200),
        ("GET", "/api/stats", (bearer(TOKEN[:-1]),), 401),
        ("GET", "/api/stats", (bearer(f"{TOKEN}x"),), 401),
        ("GET", "/api/stats", (bearer(TOKEN.upper()),), 401),
        ("GET", "/api/stats", (bearer("tökén"),), 401),
        ("GET", "/api/stats", (("authorization", TOKEN),), 401),
        ("GET", "/api/stats", (("authorization", f"Digest {TOKEN}"),), 401),
        ("GET", "/api/stats", (("authorization", "Basic ???"),), 401),
        ("GET", "/api/stats", (("authorization", ""),), 401),
        ("GET", "/api/stats", (bearer(TOKEN), bearer("guess")), 401),
        ("POST", "/api/events", (bearer(TOKEN),), 401),
        ("POST", "/api/events", (bearer(OTHER),), 200),
        ("DELETE", "/api/demo/clients", (bearer(TOKEN),), 401),
        ("POST", "/healthz", (), 200),
    ],
)
def test_a_token_opens_its_door_and_no_other(
    method: str, path: str, headers: Sequence[tuple[str, str]], status: int
) -> None:
    assert ask(guard(LOCKED), path, method=method, headers=headers)["status"] == status


@pytest.mark.parametrize("given", [TOKEN, OTHER, "guess", ""])
def test_every_key_is_compared_in_constant_time_whatever_is_given(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, key: bytes) -> bool:
        compared.append(key)
        return compare_digest(given, key)

    monkeypatch.setattr("hmac.compare_digest", compare)
    ask(guard(LOCKED), headers=(bearer(given),))
    assert compared == [TOKEN.encode(), OTHER.encode()]


def test_a_browser_is_told_to_ask_for_the_token() -> None:
    challenge = dict(ask(guard(LOCKED))["headers"])[b"www-authenticate"]
    assert challenge.startswith(b"Basic realm=")


def test_an_upgrade_without_a_token_is_answered_401() -> None:
    answer = ask(guard(LOCKED), "/ws", method=None, extensions={"websocket.http.response": {}})
    assert (answer["type"], answer["status"]) == ("websocket.http.response.start", 401)


def test_an_upgrade_is_closed_where_the_server_can_give_no_answer() -> None:
    answer = ask(guard(LOCKED), "/ws", method=None)
    assert answer == {"type": "websocket.close", "code": 1008, "reason": ""}


def test_an_upgrade_with_a_token_comes_in() -> None:
    answer = ask(guard(LOCKED), "/ws", method=None, headers=(bearer(TOKEN),))
    assert answer["type"] == "websocket.accept"


def test_what_is_neither_request_nor_websocket_passes() -> None:
    assert ask(guard(LOCKED), method="GET", path="/healthz")["status"] == 200
    said: list[Any] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        said.append((scope, receive, send))

    door = Guard(note, doors=LOCKED, refusals=refusals())
    asyncio.run(door({"type": "lifespan"}, None, None))  # type: ignore[arg-type]  # it needs neither
    assert said == [({"type": "lifespan"}, None, None)]


def test_who_is_refused_is_counted_by_reason_and_logged_without_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    count = refusals()
    ask(guard(LOCKED, count=count), headers=(bearer("guessing-a-token"),))
    assert {reason: number for reason, number in count.items() if number} == {"token": 1}
    assert "refused /api/stats: a token is needed" in caplog.text
    assert "guessing" not in caplog.text


# How much of it


def test_a_body_that_declares_too_much_is_refused_unread() -> None:
    door = guard(Doors(max_body_bytes=10))
    answer = ask(door, method="POST", headers=(("content-length", "11"),), body=())
    assert answer["status"] == 413


def publish(app: Any, body: Sequence[bytes]) -> int:
    kind = (("content-type", "application/json"),)
    status: int = ask(app, "/api/events", method="POST", headers=kind, body=body)["status"]
    return status


def test_a_body_that_turns_out_too_large_is_refused() -> None:
    app = create_app(WebSocketManager(), doors=Doors(max_body_bytes=10))
    assert publish(app, [b" " * 6, b" " * 6, b""]) == 413
    assert app.state.refusals["body"] == 1


def test_a_body_up_to_the_limit_is_read() -> None:
    app = create_app(WebSocketManager(), doors=Doors(max_body_bytes=10))
    assert publish(app, [b" " * 6, b"[] ", b" "]) == 202


def test_bodies_that_together_are_too_large_wait_for_a_better_time() -> None:
    app = create_app(WebSocketManager(), doors=Doors(max_body_bytes=10))
    opened = asyncio.Event()

    async def hold(statuses: list[int]) -> None:
        """Send nine bytes and keep the rest."""
        pieces = [{"type": "http.request", "body": b" " * 9, "more_body": True}]

        async def receive() -> dict[str, Any]:
            if pieces:
                return pieces.pop()
            await opened.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        headers = (("content-type", "application/json"),)
        scope = scope_of("/api/events", method="POST", headers=headers)
        await app(scope, receive, send)

    async def crowd() -> list[int]:
        statuses: list[int] = []
        calls = [asyncio.ensure_future(hold(statuses)) for _ in range(9)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        opened.set()
        await asyncio.gather(*calls)
        return statuses

    # Nine times nine is more than eight times ten; what the eight hold is no JSON.
    assert sorted(asyncio.run(crowd())) == [422] * 8 + [503]
    assert publish(app, [b"[]"]) == 202


# Other people's pages


def test_a_browser_may_ask_on_behalf_of_an_allowed_page_without_a_token() -> None:
    doors = Doors(allowed_origins=("https://dash.example",), read_token=TOKEN)
    headers = (
        ("origin", "https://dash.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    )
    app = create_app(WebSocketManager(), doors=doors)
    answer = ask(app, method="OPTIONS", headers=headers)
    assert (answer["status"], dict(answer["headers"])[b"access-control-allow-origin"]) == (
        200,
        b"https://dash.example",
    )
