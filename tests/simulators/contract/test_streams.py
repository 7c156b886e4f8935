"""Servers that publish by themselves, judged by what their clients see."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from flock_ws import WebSocketManager
from simulators.contract import AdapterError, Report, blackbox, check_server, socket_bench, streams
from simulators.contract.serving import ServerThread

pytestmark = pytest.mark.sockets

# One that lets a manager drop a connection for good.
ABORTING = "flock_ws.uvicorn_protocol:FlockWebSocketProtocol"
EVERYTHING = "sockets.everyone_gets_everything"
DELAY = "sockets.stalled_readers_delay_nobody"
TOLD = "sockets.evicted_client_is_told"
CODE = "sockets.eviction_code"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen for a moment, to servers that publish fast."""
    monkeypatch.setattr(blackbox, "_PROBE", 0.1)
    monkeypatch.setattr(streams, "_LISTENING", 0.4)
    monkeypatch.setattr(socket_bench, "_ENOUGH_WITHIN", 1.0)
    monkeypatch.setattr(socket_bench, "_GRACE", 0.5)


class _Text(str):
    __slots__ = ()

    def model_dump_json(self) -> str:
        return self


class Well(WebSocketManager):
    """Publishes as it should."""

    async def tell(self, text: str) -> None:
        self.publish(_Text(text))


class Badly:
    """Sends in turn, without a deadline.

    Args:
        reaches: whether a client gets an event: by the numbers of both.
        personal: whether each client gets a text of its own.
    """

    def __init__(
        self, *, reaches: Callable[[int, int], bool] = lambda *_: True, personal: bool = False
    ) -> None:
        self._clients: list[WebSocket] = []
        self._reaches = reaches
        self._personal = personal
        self._told = 0

    async def add_client(self, websocket: WebSocket) -> None:
        self._clients.append(websocket)

    async def remove_client(self, websocket: WebSocket) -> None:
        self._clients.remove(websocket)

    async def tell(self, text: str) -> None:
        self._told += 1
        for number, client in enumerate(list(self._clients), 1):
            if self._reaches(number, self._told):
                await client.send_text(f"{text} for {number}" if self._personal else text)


@contextmanager
def serving(manager: Any, *, rate: float = 500.0, size: int = 1_000) -> Iterator[str]:
    """Serve an application that publishes so many numbered texts a second; yield its address."""

    async def publish() -> None:
        number = 0
        while True:
            await asyncio.sleep(1 / rate)
            number += 1
            await manager.tell(f"{number} {'x' * size}")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        publishing = asyncio.create_task(publish())
        yield
        publishing.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"welcome, {id(websocket)}")
        await manager.add_client(websocket)
        try:
            while (await websocket.receive())["type"] == "websocket.receive":
                pass
        finally:
            await manager.remove_client(websocket)

    thread = ServerThread(app, protocol=ABORTING, lifespan=True)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{thread.port}/ws"
    finally:
        thread.stop()


def verdicts(report: Report) -> dict[str, str]:
    return {
        result.check_id: result.verdict
        for result in report.results
        if result.verdict != "not_offered"
    }


def test_a_server_that_publishes_by_itself_is_judged_by_what_it_publishes() -> None:
    with serving(Well()) as url:
        report = check_server(url)
    assert verdicts(report) == dict.fromkeys((EVERYTHING, DELAY, TOLD, CODE), "pass"), [
        result.message for result in report.results
    ]
    assert "an event is caused by: the server itself, " in report.adapter
    assert "more can be seen with what makes it broadcast: --say or --publish" in report.adapter


def test_one_whose_stalled_client_holds_everybody_up_fails() -> None:
    with serving(Badly()) as url:
        (result,) = check_server(url, select=DELAY).results
    assert result.verdict == "fail"
    assert "s after it was due: 5 clients do not read" in result.message


def test_one_that_leaves_a_client_out_now_and_then_fails() -> None:
    with serving(Badly(reaches=lambda client, event: client < 5 or event % 10 > 0)) as url:
        (result,) = check_server(url, select=EVERYTHING).results
    assert result.verdict == "fail"
    assert "healthy-3 got events" in result.message


def test_what_may_all_wait_on_the_way_shows_nothing_and_asks_for_more() -> None:
    with serving(Well(), rate=50.0, size=10) as url:
        report = check_server(url, select=[EVERYTHING, DELAY])
    assert verdicts(report) == {EVERYTHING: "pass", DELAY: "unknown"}
    assert "--say or --publish, to send it more" in report.result(DELAY).message


@pytest.mark.parametrize(
    ("manager", "rate", "complaint"),
    [
        (Badly(personal=True), 500.0, "it publishes nothing by itself in 0.4 s"),
        (Well(), 5.0, "it publishes by itself, but only "),
    ],
    ids=["to each client another text", "hardly anything"],
)
def test_what_cannot_be_judged_is_asked_for_the_line_to_type(
    manager: Any, rate: float, complaint: str
) -> None:
    with serving(manager, rate=rate) as url, pytest.raises(AdapterError) as refusal:
        check_server(url)
    assert complaint in str(refusal.value)
    assert "--say '{message}'" in str(refusal.value)
