"""The modelled wire beside the real thing: one script drives uvicorn and the model.

What is compared is what the application saw. Numbers of bytes are compared with the model's
kernel set to what this kernel holds with these buffers, measured on a plain connection.
"""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import (
    Fault,
    FinWithoutClose,
    HalfClose,
    Reset,
    SlowReader,
)
from simulators.runs import simulate
from simulators.sockets import SocketClient
from simulators.wire import Wire

pytestmark = [
    pytest.mark.sockets,
    # The legacy protocol is on its way out; what it does to an application is our subject.
    pytest.mark.filterwarnings(r"ignore:websockets\.legacy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `websockets` implementation is deprecated"),
    pytest.mark.filterwarnings("ignore:remove second argument of ws_handler:DeprecationWarning"),
]

BUFFER_BYTES = 4_096
MESSAGE_BYTES = 1_000
FRAME_BYTES = MESSAGE_BYTES + 4
# A send or a close that has not returned after this waits: what returns on its own does so in the
# same turn of the loop, and nobody moves meanwhile.
GRACE = 0.05
# What the kernels take at a time, in messages of a script.
TOLERANCE = 8

MODELS = {
    "websockets-sansio": Wire.uvicorn,
    "wsproto": Wire.uvicorn,
    "websockets": Wire.uvicorn_legacy,
}
PROTOCOLS = list(MODELS)


@dataclass
class Stage:
    """What a script plays on."""

    websocket: WebSocket
    peer: SocketClient | FakeClient
    patience: float

    async def blocks(self, task: asyncio.Task[None]) -> bool:
        return not (await asyncio.wait({task}, timeout=GRACE))[0]

    async def fill(self) -> tuple[int, asyncio.Task[None]]:
        """Send to a peer that has stalled; return how many messages passed, and what waits."""
        self.peer.stall()
        for number in range(10_000):
            send = asyncio.create_task(self.websocket.send_text(message(number)))
            if await self.blocks(send):
                return number, send
            await send
        raise AssertionError("the buffers have no end")

    async def end(self, work: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> str:
        """Wait until a send, a close or a receive ends, and tell how."""
        task = asyncio.ensure_future(work)
        async with asyncio.timeout(self.patience):
            await asyncio.wait({task})
        if task.cancelled():
            return "cancelled"
        error = task.exception()
        if isinstance(error, WebSocketDisconnect):
            return f"WebSocketDisconnect {error.code}"
        return "done" if error is None else type(error).__name__

    async def send(self, number: int) -> str:
        return await self.end(self.websocket.send_text(message(number)))

    async def cancel(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait({task})

    async def taken(self, count: int) -> list[int]:
        """Wait until the peer has read this many messages, and return their numbers."""
        await self.peer.wait_received(count, timeout=self.patience)
        return [int(received.message[:6]) for received in self.peer.received]


def message(number: int) -> str:
    return f"{number:06}" + "x" * (MESSAGE_BYTES - 6)


Script = Callable[[Stage], Awaitable[Any]]


async def on_uvicorn(script: Script, ws: Any, faults: tuple[Fault, ...], patience: float) -> Any:
    accepted: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        accepted.set_result(websocket)
        await over.wait()

    async with serving(app, ws) as url:
        behaviour = Behaviour(name="actor", faults=faults)
        async with SocketClient(url, behaviour, receive_buffer_bytes=BUFFER_BYTES) as peer:
            try:
                return await script(Stage(await accepted, peer, patience))
            finally:
                over.set()


@contextlib.asynccontextmanager
async def serving(app: Any, ws: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(
        app, ws=ws, lifespan="off", log_level="critical", ws_ping_interval=None, interface="asgi3"
    )
    config.load()
    # Without uvicorn's own main loop, whose turn of 0.1 s every test would wait for.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    listener.bind(("127.0.0.1", 0))
    listener.settimeout(0)
    await server.startup(sockets=[listener])
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    finally:
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await server.shutdown(sockets=[listener])
        listener.close()


def on_model(script: Script, ws: str, faults: tuple[Fault, ...]) -> Any:
    async def main() -> Any:
        preset = MODELS[ws]()
        wire = Wire(order=preset.order, kernel_bytes=kernel_bytes())
        peer = FakeClient(Behaviour(name="actor", faults=faults), wire=wire)
        return await script(Stage(peer, peer, 10))

    return simulate(main)


@functools.cache
def kernel_bytes() -> int:
    """Measure what the kernels hold with these buffers, on a plain connection."""
    with socket.socket() as listener, socket.socket() as peer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        peer.connect(listener.getsockname())
        sender, _ = listener.accept()
        with sender:
            # The kernels move on by themselves, and under load not at once.
            sender.settimeout(20 * GRACE)
            held = 0
            with contextlib.suppress(TimeoutError):
                while True:
                    held += sender.send(bytes(FRAME_BYTES))
            return held


async def stall_and_resume(stage: Stage) -> list[Any]:
    passed, waiting = await stage.fill()
    stage.peer.resume()
    ended = await stage.end(waiting)
    return [ended, await stage.taken(passed + 1) == list(range(passed + 1))]


async def cancel_a_waiting_send(stage: Stage) -> list[Any]:
    """Whether what was cancelled arrives after all."""
    passed, waiting = await stage.fill()
    await stage.cancel(waiting)
    stage.peer.resume()
    ended = await stage.send(999_999)
    taken = await stage.taken(passed + 1)
    if taken[-1] != 999_999:
        taken = await stage.taken(passed + 2)
    return [ended, taken[passed:] == [passed, 999_999]]


async def send_twice_at_once(stage: Stage) -> list[Any]:
    passed, waiting = await stage.fill()
    second = asyncio.create_task(stage.websocket.send_text(message(passed + 1)))
    blocked = await stage.blocks(second)
    stage.peer.resume()
    return [blocked, await stage.end(waiting), await stage.end(second)]


async def close_while_full(stage: Stage) -> list[Any]:
    _, waiting = await stage.fill()
    await stage.cancel(waiting)
    close = asyncio.create_task(stage.websocket.close(1013, "slow"))
    blocked = await stage.blocks(close)
    stage.peer.resume()
    ended = await stage.end(close)
    closed = await stage.peer.wait_closed(timeout=stage.patience)
    return [blocked, ended, closed.code, closed.reason]


async def die_while_a_send_waits(stage: Stage) -> list[Any]:
    _, waiting = await stage.fill()
    stage.peer.die()
    return [await stage.end(waiting), await stage.send(0), await stage.end(stage.websocket.close())]


async def die_while_a_close_waits(stage: Stage) -> list[Any]:
    _, waiting = await stage.fill()
    await stage.cancel(waiting)
    close = asyncio.create_task(stage.websocket.close(1013, "slow"))
    blocked = await stage.blocks(close)
    stage.peer.die()
    return [blocked, await stage.end(close)]


async def hear_of_the_end(stage: Stage) -> list[Any]:
    """The peer ends by itself after the first message; then the application goes on."""
    ends = [await stage.send(0)]
    ends += [await stage.end(stage.websocket.receive_text())]
    ends += [await stage.send(number) for number in range(1, 3)]
    return [*ends, await stage.end(stage.websocket.close())]


async def hear_of_a_close(stage: Stage) -> list[Any]:
    if isinstance(stage.peer, FakeClient):
        stage.peer.leave(4001, "bye")
    else:
        stage.peer.close(4001, "bye")
    heard = [await stage.end(stage.websocket.receive_text())]
    heard += [await stage.send(number) for number in range(2)]
    return [*heard, await stage.end(stage.websocket.close())]


async def close_a_reading_peer(stage: Stage) -> list[Any]:
    ends = [await stage.end(stage.websocket.close(1001, "over")), await stage.send(0)]
    closed = await stage.peer.wait_closed(timeout=stage.patience)
    return [*ends, await stage.end(stage.websocket.receive_text()), closed.code, closed.reason]


SCRIPTS: list[tuple[Script, tuple[Fault, ...]]] = [
    (stall_and_resume, ()),
    (cancel_a_waiting_send, ()),
    (send_twice_at_once, ()),
    (close_while_full, ()),
    (die_while_a_send_waits, ()),
    (die_while_a_close_waits, ()),
    (close_a_reading_peer, ()),
    (hear_of_the_end, (Reset(after_messages=1),)),
    (hear_of_the_end, (FinWithoutClose(after_messages=1),)),
    (hear_of_the_end, (HalfClose(after_messages=1),)),
    (hear_of_a_close, ()),
]
IDS = [" ".join([script.__name__, *(fault.kind for fault in faults)]) for script, faults in SCRIPTS]


@pytest.mark.parametrize("ws", PROTOCOLS)
@pytest.mark.parametrize(("script", "faults"), SCRIPTS, ids=IDS)
def test_the_application_sees_the_same_on_the_model_as_on_uvicorn(
    script: Script, faults: tuple[Fault, ...], ws: str, patience: float
) -> None:
    real = asyncio.run(on_uvicorn(script, ws, faults, patience))
    assert on_model(script, ws, faults) == real


@pytest.mark.parametrize(
    ("code", "reason"),
    [(999, ""), (1005, ""), (1011, "x" * 124)],
    ids=["unknown", "no code", "long"],
)
def test_a_close_that_no_frame_can_hold_closes_nothing_as_on_uvicorn(
    code: int, reason: str, patience: float
) -> None:
    async def close(stage: Stage) -> list[Any]:
        ends = [await stage.end(stage.websocket.close(code, reason)) for _ in range(2)]
        # What stands for the error of a library that need not be there.
        return [
            *(end.replace("ProtocolError", "CloseRefused") for end in ends),
            stage.peer.connected,
        ]

    real = asyncio.run(on_uvicorn(close, "websockets-sansio", (), patience))
    assert on_model(close, "websockets-sansio", ()) == real
    assert real[0] == "CloseRefused"
    assert real[-1]


async def passed_before_the_first_wait(stage: Stage) -> int:
    passed, waiting = await stage.fill()
    await stage.cancel(waiting)
    return passed


async def taken_before_the_first_wait_ends(stage: Stage) -> int:
    _, waiting = await stage.fill()
    stage.peer.resume()
    await stage.end(waiting)
    return len(stage.peer.received)


SLOW = SlowReader(bytes_per_second=300_000, chunk_bytes=2_000)


@pytest.mark.parametrize("ws", PROTOCOLS)
@pytest.mark.parametrize(
    ("script", "faults"),
    [(passed_before_the_first_wait, ()), (taken_before_the_first_wait_ends, (SLOW,))],
    ids=["high water", "low water"],
)
def test_the_water_marks_are_where_they_are_on_uvicorn(
    script: Script, faults: tuple[Fault, ...], ws: str, patience: float
) -> None:
    real = asyncio.run(on_uvicorn(script, ws, faults, patience))
    assert on_model(script, ws, faults) == pytest.approx(real, abs=TOLERANCE)


def test_the_preset_for_small_buffers_holds_what_these_kernels_hold() -> None:
    assert Wire.small().kernel_bytes == pytest.approx(kernel_bytes(), rel=0.35)
