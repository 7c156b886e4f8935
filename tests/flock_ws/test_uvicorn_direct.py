"""What the direct protocol adds to uvicorn's: compression paid once, cheap answers to pings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.extensions.base import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from flock_ws import WebSocketManager
from flock_ws.events import StreamingOutputEvent
from flock_ws.uvicorn_direct import DirectProtocol
from flock_ws.uvicorn_protocol import FlockWebSocketProtocol
from simulators.sockets import SocketClient
from tests.flock_ws.scene import said
from tests.flock_ws.uvicorns import running, until

pytestmark = pytest.mark.sockets


class Watched(FlockWebSocketProtocol):
    """Counts what goes through the parser, and what is offered."""

    parsed: list[bytes]
    offered: list[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        offer = self.offer

        def watched(frames: bytes) -> bool:
            self.offered.append(frames)
            return offer(frames)

        self.offer = watched

    def handle_pong(self, event: Frame) -> None:
        self.parsed.append(bytes(event.data))
        super().handle_pong(event)


@contextlib.asynccontextmanager
async def serving(
    manager: WebSocketManager, *, compression: bool = False
) -> AsyncIterator[tuple[str, type[Watched]]]:
    """Serve; give the address, and the class that has seen everything."""
    app = FastAPI()

    class Seen(Watched):
        parsed: list[bytes] = []  # noqa: RUF012 # one server's
        offered: list[bytes] = []  # noqa: RUF012 # one server's

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await manager.add_client(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(await websocket.receive_text())
        await manager.remove_client(websocket)

    async with running(app, ws=Seen, ws_per_message_deflate=compression) as server:
        try:
            yield server.url, Seen
        finally:
            await manager.shutdown()


@contextlib.asynccontextmanager
async def reader(
    url: str, extensions: Sequence[ClientExtensionFactory]
) -> AsyncIterator[ClientConnection]:
    async with connect(
        url, compression=None, extensions=extensions or None, max_size=None, proxy=None
    ) as connection:
        yield connection


DEFLATE = ClientPerMessageDeflateFactory
OFFERS = {
    "none": [],
    "takeover": [DEFLATE(client_max_window_bits=True)],
    "no takeover": [DEFLATE(server_no_context_takeover=True, client_no_context_takeover=True)],
    "narrow": [DEFLATE(server_max_window_bits=9, client_max_window_bits=9)],
}


def test_clients_with_any_offer_read_the_same_events_and_are_read(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager(ack_interval=0.01)
        async with (
            serving(manager, compression=True) as (url, seen),
            contextlib.AsyncExitStack() as s,
        ):
            readers = [await s.enter_async_context(reader(url, offer)) for offer in OFFERS.values()]
            await until(lambda: len(manager.clients) == len(readers), patience)
            sizes = [0, 255, 256, 10_000, 70_000]
            events = [said(number, content="x" * size) for number, size in enumerate(sizes)]
            for event in events:
                manager.publish(event)
            await manager.broadcast(said(99, size_bytes=300))
            expected = [event.model_dump_json() for event in [*events, said(99, size_bytes=300)]]
            async with asyncio.timeout(patience):
                for connection in readers:
                    got = [await connection.recv() for _ in expected]
                    assert [len(text) for text in got] == [len(text) for text in expected]
                    assert [
                        StreamingOutputEvent.model_validate_json(text).sequence for text in got
                    ] == [
                        *range(len(sizes)),
                        99,
                    ]
                for connection in readers:
                    await connection.ping()
                    await connection.send("x" * 5_000)
                    assert await connection.recv() == "x" * 5_000
                # Control frames passed too: each peer has answered the manager's ping.
                while any(one.round_trip is None for one in manager.statistics().per_client):  # noqa: ASYNC110 # nobody announces it
                    await asyncio.sleep(0)
            assert sum(map(len, set(seen.offered))) < sum(map(len, seen.offered))

    asyncio.run(main())


def test_one_compressed_result_serves_all_who_agreed_on_the_same_window(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager()
        async with (
            serving(manager, compression=True) as (url, seen),
            contextlib.AsyncExitStack() as s,
        ):
            for offer in (*[OFFERS["takeover"]] * 3, OFFERS["narrow"], OFFERS["none"]):
                await s.enter_async_context(reader(url, offer))
            await until(lambda: len(manager.clients) == 5, patience)
            await manager.broadcast(said(0, size_bytes=5_000))
            assert len(seen.offered) == 5
            different = {id(frames): frames for frames in seen.offered}.values()
            deflated = [frames for frames in different if frames[0] == 0xC1]
            assert (len(different), len(deflated)) == (3, 2)
            assert all(len(frames) < 1_000 for frames in deflated)

    asyncio.run(main())


def test_without_the_switch_nobody_gets_a_compressed_frame(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager()
        async with serving(manager) as (url, seen), reader(url, OFFERS["takeover"]) as connection:
            await until(lambda: manager.clients, patience)
            await manager.broadcast(said(0, size_bytes=5_000))
            assert "Sec-WebSocket-Extensions" not in connection.response.headers  # type: ignore[union-attr]  # it was answered
            assert [frames[0] for frames in seen.offered] == [0x81]

    asyncio.run(main())


def test_an_answer_that_comes_alone_does_not_go_through_the_parser(patience: float) -> None:
    async def main() -> None:
        manager = WebSocketManager(ack_interval=0.01)
        async with serving(manager) as (url, seen), SocketClient(url):
            await until(lambda: manager.clients, patience)
            await manager.broadcast(said(0))
            await until(lambda: manager.statistics().per_client[0].round_trip, patience)
            assert seen.parsed == []

    asyncio.run(main())


class Deaf:
    """A transport that takes what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def close(self) -> None: ...


def opened() -> tuple[DirectProtocol, list[int]]:
    """Return a connection after its handshake, and where its answered pings are noted."""

    async def app(_scope: object, _receive: object, _send: object) -> None: ...

    config = uvicorn.Config(app, ws=DirectProtocol, interface="asgi3", log_config=None)
    config.load()
    protocol = DirectProtocol(config, uvicorn.server.ServerState(), {})
    protocol.connection_made(Deaf())  # type: ignore[arg-type]  # the part that is used
    client = ClientProtocol(parse_uri("ws://127.0.0.1/ws"))
    client.send_request(client.connect())
    protocol.data_received(b"".join(client.data_to_send()))
    assert protocol.response.status_code == 101
    protocol.handshake_complete = True
    protocol.conn.send_response(protocol.response)
    answers: list[int] = []
    protocol.on_pong = answers.append
    return protocol, answers


def pong_to(protocol: DirectProtocol) -> bytes:
    """Return the masked answer to the last ping."""
    ping = protocol.outlet._transport.written[-1]  # type: ignore[attr-defined]  # `Deaf`
    return Frame(Opcode.PONG, ping[2:]).serialize(mask=True)


@pytest.mark.parametrize("cut", range(23))
def test_an_answer_cut_anywhere_counts_once(cut: int) -> None:
    async def main() -> None:
        protocol, answers = opened()
        for number in (7, 8):
            protocol.ping(number)
            answer = pong_to(protocol)
            for part in filter(None, (answer[:cut], answer[cut:])):
                protocol.data_received(part)
        assert answers == [7, 8]

    asyncio.run(main())


def test_what_looks_like_an_answer_inside_a_message_is_part_of_the_message() -> None:
    async def main() -> None:
        protocol, answers = opened()
        protocol.ping(7)
        answer = pong_to(protocol)
        head = b"\x82" + bytes((0x80 | len(answer),)) + b"\0\0\0\0"
        protocol.data_received(head)
        protocol.data_received(answer)
        assert answers == []
        await protocol.queue.get()
        assert (await protocol.queue.get())["bytes"] == answer  # type: ignore[typeddict-item]  # a message

    asyncio.run(main())


def test_an_answer_to_another_ping_is_not_taken_for_this_one() -> None:
    async def main() -> None:
        protocol, answers = opened()
        protocol.ping(7)
        old = pong_to(protocol)
        protocol.ping(8)
        protocol.data_received(old)
        protocol.data_received(pong_to(protocol))
        protocol.data_received(old)
        assert answers == [7, 8, 7]

    asyncio.run(main())
