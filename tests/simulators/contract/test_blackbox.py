"""Applications and servers, checked from outside."""

import asyncio
import functools
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from flock_ws import WebSocketManager
from flock_ws.app import create_app
from simulators.contract import (
    AdapterError,
    Report,
    Result,
    blackbox,
    check_application,
    check_server,
)
from simulators.contract.serving import ServerThread
from simulators.errors import SimulatorError


def verdicts(report: Report, verdict: str) -> dict[str, str]:
    return {
        result.check_id: result.message for result in report.results if result.verdict == verdict
    }


def chat(*, in_turn: bool) -> FastAPI:
    """Make a chat that echoes to all, as the tutorial does or as it should."""
    app = FastAPI()
    manager = WebSocketManager()
    clients: list[WebSocket] = []

    @app.websocket("/ws/{client_id}")
    async def endpoint(websocket: WebSocket, client_id: int) -> None:
        await websocket.accept()
        clients.append(websocket)
        await manager.add_client(websocket)
        try:
            while True:
                text = f"{client_id} says {await websocket.receive_text()}"
                if in_turn:
                    for client in clients:
                        await client.send_text(text)
                else:
                    manager.publish(_Said(text))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            clients.remove(websocket)
            await manager.remove_client(websocket)

    return app


class _Said:
    def __init__(self, text: str) -> None:
        self._text = text

    def model_dump_json(self) -> str:
        return self._text


def test_each_result_is_told_as_soon_as_it_is_known() -> None:
    told: list[Result] = []
    told_before: list[int] = []

    def factory() -> Any:
        told_before.append(len(told))
        return create_app()

    report = check_application(
        factory, select="delivery.text_frames,delivery.reaches_everyone", progress=told.append
    )
    assert told_before[-1] == 1
    assert tuple(told) == report.results


def notifying() -> FastAPI:
    """Make an application whose only way to broadcast needs a thread."""
    app = FastAPI()
    clients: list[WebSocket] = []

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        clients.append(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            clients.remove(websocket)

    async def send_all(text: str) -> None:
        await asyncio.gather(*(client.send_text(text) for client in clients))

    @app.post("/notify")
    def notify(text: str) -> None:
        import anyio.from_thread  # noqa: PLC0415  # where the thread is

        anyio.from_thread.run(send_all, text)

    return app


def test_the_reference_application_keeps_everything_that_can_be_seen() -> None:
    report = check_application("flock_ws.app:create_app()")
    assert verdicts(report, "fail") == {}
    assert verdicts(report, "unknown") == {}
    assert len(verdicts(report, "pass")) >= 20
    assert "/api/events" in report.adapter
    assert report.verdict == "pass"


@pytest.mark.sockets
def test_the_reference_application_keeps_it_on_sockets_too() -> None:
    report = check_application(create_app, select="sockets")
    assert verdicts(report, "fail") == {}
    assert len(verdicts(report, "pass")) == 5


def test_a_chat_is_understood_by_speaking_in_it() -> None:
    report = check_application(functools.partial(chat, in_turn=False), select="delivery,evict")
    assert verdicts(report, "fail") == {}
    assert "an event is caused by: --say '{message}'" in report.adapter


def test_the_tutorials_chat_breaks_what_the_tutorial_breaks() -> None:
    report = check_application(
        functools.partial(chat, in_turn=True),
        select=["delivery.slow_client_delays_nobody_else", "delivery.send_deadline"],
    )
    assert len(verdicts(report, "fail")) == 2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will never happen."""
    monkeypatch.setattr(blackbox, "_LIMIT", 0.3)
    monkeypatch.setattr(blackbox, "_PROBE", 0.3)


# A worker thread may want to report to the loop of the attempt in virtual time, which is over.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.sockets
@pytest.mark.usefixtures("impatient")
def test_what_needs_a_thread_is_shown_on_sockets_only() -> None:
    report = check_application(
        notifying, select=["delivery.reaches_everyone", "sockets.everyone_gets_everything"]
    )
    virtual, real = report.results
    assert virtual.verdict == "not_offered"
    assert "cannot run in virtual time" in virtual.message
    assert real.verdict == "pass"


def silent() -> FastAPI:
    """Make an application that nobody can make broadcast."""
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        while (await websocket.receive())["type"] == "websocket.receive":
            pass

    @app.post("/prices/{symbol}")
    async def price(symbol: str) -> str:
        return symbol

    return app


@pytest.mark.sockets
@pytest.mark.usefixtures("impatient")
def test_who_cannot_be_made_to_broadcast_is_asked_for_the_line_to_type() -> None:
    with pytest.raises(AdapterError) as refusal:
        check_application(silent)
    message = str(refusal.value)
    assert "it takes POST /prices/{symbol}" in message
    assert "--publish 'POST /prices/{symbol} " in message
    assert "--say '{message}'" in message


@pytest.mark.sockets
def test_a_request_that_reaches_nobody_is_told_with_its_answer() -> None:
    with pytest.raises(AdapterError, match=r"no client was reached .* answered with 404"):
        check_application(silent, publish="POST /nothing {message}")


@pytest.fixture(scope="module")
def server() -> Any:
    """Serve a chat and return its address."""
    thread = ServerThread(chat(in_turn=False))
    thread.start()
    yield f"ws://127.0.0.1:{thread.port}/ws/1"
    thread.stop()


@pytest.mark.sockets
def test_a_server_that_runs_is_checked_by_what_its_clients_see(server: str) -> None:
    report = check_server(
        server, select="sockets.everyone_gets_everything,sockets.stalled_reader_is_out"
    )
    assert verdicts(report, "pass").keys() == {"sockets.everyone_gets_everything"}
    assert verdicts(report, "not_offered").keys() == {"sockets.stalled_reader_is_out"}
    assert report.manager == server


@pytest.mark.sockets
def test_a_server_that_is_not_there_is_no_verdict() -> None:
    with pytest.raises(SimulatorError, match="nothing listens"):
        check_server("ws://127.0.0.1:9/ws", say="{message}")
