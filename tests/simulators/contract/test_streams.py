"""Servers that publish by themselves, judged by what their clients see."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from flock_ws import WebSocketManager
from simulators.contract import AdapterError, Report, blackbox, check_server, socket_bench, streams
from simulators.contract.quiet import quiet
from simulators.contract.serving import ServerThread

pytestmark = pytest.mark.sockets

# One that lets a manager drop a connection for good.
ABORTING = "flock_ws.uvicorn_protocol:FlockWebSocketProtocol"
EVERYTHING = "sockets.everyone_gets_everything"
DELAY = "sockets.stalled_readers_delay_nobody"
TOLD = "sockets.evicted_client_is_told"
CODE = "sockets.eviction_code"


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


@dataclass(frozen=True)
class Case:
    """A server, and what it is asked."""

    manager: Callable[[], Any]
    select: Any = None
    rate: float = 500.0
    size: int = 1_000

    def judge(self) -> Report | AdapterError:
        with serving(self.manager(), rate=self.rate, size=self.size) as url:
            try:
                return check_server(url, select=self.select)
            except AdapterError as refusal:
                return refusal


CASES = {
    "well": Case(Well),
    "in turn": Case(Badly, select=DELAY),
    "leaves one out": Case(
        lambda: Badly(reaches=lambda client, event: client < 5 or event % 10 > 0),
        select=EVERYTHING,
    ),
    "little": Case(Well, select=[EVERYTHING, DELAY], rate=50.0, size=10),
    "to each another text": Case(lambda: Badly(personal=True)),
    "hardly anything": Case(Well, rate=5.0),
}
# They wait for most of their time; more beside each other would be late.
TOGETHER = 3


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """Judge all servers, some beside each other, and listen for a moment: they publish fast."""
    with (
        pytest.MonkeyPatch.context() as patch,
        # Each keeps what is printed for itself, and gives it back to whom it took it from: the
        # last word is ours.
        quiet(time.monotonic),
        ThreadPoolExecutor(TOGETHER) as pool,
    ):
        patch.setattr(blackbox, "_PROBE", 0.1)
        patch.setattr(streams, "_LISTENING", 0.4)
        patch.setattr(socket_bench, "_ENOUGH_WITHIN", 1.0)
        patch.setattr(socket_bench, "_GRACE", 0.5)
        return dict(zip(CASES, pool.map(Case.judge, CASES.values()), strict=True))


def test_a_server_that_publishes_by_itself_is_judged_by_what_it_publishes(
    judged: dict[str, Report],
) -> None:
    report = judged["well"]
    assert verdicts(report) == dict.fromkeys((EVERYTHING, DELAY, TOLD, CODE), "pass"), [
        result.message for result in report.results
    ]
    assert "an event is caused by: the server itself, " in report.adapter
    assert "more can be seen with what makes it broadcast: --say or --publish" in report.adapter


def test_one_whose_stalled_client_holds_everybody_up_fails(judged: dict[str, Report]) -> None:
    (result,) = judged["in turn"].results
    assert result.verdict == "fail"
    assert "s after it was due: 5 clients do not read" in result.message


def test_one_that_leaves_a_client_out_now_and_then_fails(judged: dict[str, Report]) -> None:
    (result,) = judged["leaves one out"].results
    assert result.verdict == "fail"
    assert "healthy-3 got events" in result.message


def test_what_may_all_wait_on_the_way_shows_nothing_and_asks_for_more(
    judged: dict[str, Report],
) -> None:
    report = judged["little"]
    assert verdicts(report) == {EVERYTHING: "pass", DELAY: "unknown"}
    assert "--say or --publish, to send it more" in report.result(DELAY).message


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ("to each another text", "it publishes nothing by itself in 0.4 s"),
        ("hardly anything", "it publishes by itself, but only "),
    ],
)
def test_what_cannot_be_judged_is_asked_for_the_line_to_type(
    case: str, complaint: str, judged: dict[str, AdapterError]
) -> None:
    refusal = judged[case]
    assert isinstance(refusal, AdapterError)
    assert complaint in str(refusal)
    assert "--say '{message}'" in str(refusal)
