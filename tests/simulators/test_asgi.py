"""What a server hands to an application: the connection that can be aborted, and the scope."""

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect

from simulators.asgi import ServerConnection, websocket_scope
from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.records import Closed
from simulators.runs import sim_test
from simulators.wire import Wire


def _connection(client: FakeClient) -> ServerConnection:
    connection = client.scope["extensions"]["flock_ws"]["connection"]
    assert isinstance(connection, ServerConnection)
    return connection


@sim_test
async def test_only_an_abortable_client_offers_a_connection() -> None:
    assert "flock_ws" not in FakeClient().scope["extensions"]
    assert not _connection(FakeClient(abortable=True)).lost


@sim_test
async def test_abort_ends_a_client_that_does_not_read() -> None:
    client = FakeClient(Behaviour.stalled(), abortable=True)
    connection = _connection(client)
    close = asyncio.create_task(client.close(1013))
    await asyncio.sleep(1)
    connection.abort()
    with pytest.raises(WebSocketDisconnect):
        await close
    assert connection.lost
    assert client.closed == Closed(1006, "", 1.0)


@sim_test
async def test_abort_reaches_the_endpoint_as_a_disconnect() -> None:
    client = FakeClient(abortable=True)
    _connection(client).abort()
    with pytest.raises(WebSocketDisconnect) as caught:
        await client.receive_text()
    assert caught.value.code == 1005


@sim_test
async def test_abort_of_a_connection_that_is_gone_does_nothing() -> None:
    client = FakeClient(abortable=True)
    client.leave()
    _connection(client).abort()
    assert client.closed == Closed(1000, "", 0.0)


@sim_test
async def test_the_peer_sees_an_abort_after_the_latency() -> None:
    client = FakeClient(abortable=True, wire=Wire(latency=2))
    _connection(client).abort()
    assert client.closed is None
    assert "aborted" in repr(client)
    assert await client.wait_closed() == Closed(1006, "", 2.0)


@sim_test
async def test_a_completed_close_loses_the_connection() -> None:
    client = FakeClient(abortable=True)
    connection = _connection(client)
    waiter = asyncio.create_task(connection.wait_lost())
    await asyncio.sleep(0)
    await client.close()
    await waiter
    assert connection.lost
    await connection.wait_lost()


@sim_test
async def test_lost_callbacks_are_called_once_even_if_they_come_late() -> None:
    client = FakeClient(abortable=True)
    called: list[str] = []
    _connection(client).add_lost_callback(lambda: called.append("early"))
    client.die()
    _connection(client).add_lost_callback(lambda: called.append("late"))
    assert called == ["early", "late"]


def test_a_scope_quotes_the_name() -> None:
    scope = websocket_scope("a b&c", number=1, path="/ws")
    assert scope["query_string"] == b"client=a%20b%26c"
    assert scope["extensions"] == {"websocket.http.response": {}}
