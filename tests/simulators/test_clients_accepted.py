"""Fake clients that the application accepts, or refuses."""

from collections.abc import Awaitable, Callable

import pytest
from starlette.responses import Response

from simulators.clients import FakeClient
from simulators.records import Closed
from simulators.runs import sim_test
from simulators.wire import Wire

End = Callable[[FakeClient], Awaitable[tuple[int, float]]]


@sim_test
async def test_it_can_be_accepted_by_the_application() -> None:
    client = FakeClient(accepted=False, name="late", path="/live")
    assert "not accepted" in repr(client)
    with pytest.raises(RuntimeError, match="accept"):
        await client.send_text("too early")
    await client.accept()
    assert client.connected
    await client.send_text("now")
    assert client.messages == ["now"]
    assert client.url.path == "/live"


@sim_test
async def test_a_close_before_accept_is_a_refusal_that_takes_the_latency_to_arrive(
    disconnect_of: End,
) -> None:
    client = FakeClient(accepted=False, wire=Wire(latency=2))
    await client.close(1008)
    assert await disconnect_of(client) == (1006, 0.0)
    assert await client.wait_closed() == Closed(1006, "HTTP 403", 2.0)


@sim_test
async def test_a_denial_response_refuses_it_with_its_status(disconnect_of: End) -> None:
    client = FakeClient(accepted=False)
    await client.send_denial_response(Response("who are you?", status_code=401))
    assert await client.wait_closed() == Closed(1006, "HTTP 401", 0.0)
    assert await disconnect_of(client) == (1006, 0.0)
