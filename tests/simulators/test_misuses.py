"""Whether a manager encodes one message for all clients, told from what the clients have."""

import json

from simulators.clients import FakeClient
from simulators.misuses import encoded_anew
from simulators.runs import sim_test


@sim_test
async def test_one_text_for_all_clients_is_not_encoded_anew() -> None:
    clients = [FakeClient() for _ in range(3)]
    for number in range(10):
        text = json.dumps({"number": number % 3})
        for client in clients:
            await client.send_text(text)
    assert not encoded_anew(clients)


@sim_test
async def test_a_text_made_for_each_client_is() -> None:
    clients = [FakeClient() for _ in range(3)]
    for client in clients:
        await client.send_text(json.dumps({"number": 1}))
    assert encoded_anew(clients)


@sim_test
async def test_a_client_that_came_late_and_equal_messages_deceive_nobody() -> None:
    early, late = FakeClient(), FakeClient()
    first, second = (json.dumps({"same": True}) for _ in range(2))
    await early.send_text(first)
    for client in (early, late):
        await client.send_text(second)
    assert not encoded_anew([early, late])


@sim_test
async def test_one_client_alone_tells_nothing() -> None:
    client = FakeClient()
    await client.send_json({"number": 1})
    assert not encoded_anew([client])
    assert not encoded_anew([])
