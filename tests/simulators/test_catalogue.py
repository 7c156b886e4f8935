"""Every fault that exists in process, in front of the reference manager beside a healthy client."""

import asyncio
from typing import Any

import pytest

from flock_ws import WebSocketManager
from simulators.behaviours import Behaviour
from simulators.clients import FakeClient
from simulators.faults import FAULTS, ClientFault, Fault, Handshake
from simulators.incidents import streamed
from simulators.runs import sim_test

NEEDED: dict[str, dict[str, Any]] = {
    "slow_reader": {"bytes_per_second": 100},
    "pulsing_reader": {"on": 1, "off": 1},
    "send_delay": {"seconds": 1},
    "slow_accept": {"delay": 1},
    "late_pong": {"delay": 1},
    "unsolicited_pongs": {"rate": 50},
    "ping_flood": {"rate": 50},
    "flood": {"rate": 500},
    "dribble": {"interval": 0.1},
    "latency": {"seconds": 0.2},
    "bandwidth": {"bytes_per_second": 500},
    "slicer": {"piece_bytes": 10, "pause": 0.1},
    "limit_data": {"limit_bytes": 1_000},
    "slow_close": {"seconds": 5},
    "drop_frame": {"nth": 3},
    "duplicate_frame": {"nth": 3},
    "hold_frame": {"nth": 3, "seconds": 2},
}
IN_PROCESS = [
    kind
    for kind, fault in FAULTS.items()
    if issubclass(fault, ClientFault) and fault.wires["in process"] is True
]
EVENTS = 40


async def endpoint(manager: WebSocketManager, client: FakeClient) -> None:
    """Do what the endpoint of an application does."""
    try:
        if not client.connected:
            await client.accept()
        await manager.add_client(client)
        while (await client.receive())["type"] == "websocket.receive":
            pass
    except (RuntimeError, OSError):
        return
    finally:
        await manager.remove_client(client)


@pytest.mark.parametrize("kind", IN_PROCESS)
def test_a_correct_manager_serves_the_rest_beside_each_fault(kind: str) -> None:
    fault = Fault.from_json({"kind": kind, **NEEDED.get(kind, {})})

    @sim_test(horizon=1_000)
    async def main() -> None:
        loop = asyncio.get_running_loop()
        manager = WebSocketManager()
        healthy = FakeClient()
        behaviour = Behaviour(name="faulty", faults=(fault,))
        faulty = FakeClient(behaviour, accepted=not isinstance(fault, Handshake))
        endpoints = [asyncio.create_task(endpoint(manager, each)) for each in (faulty, healthy)]
        await asyncio.sleep(0)
        for number in range(EVENTS):
            began = loop.time()
            await manager.broadcast(streamed("agent", number))
            assert loop.time() - began <= 0.5
            await asyncio.sleep(0.1)
        assert [f'"sequence":{n},' in text for n, text in enumerate(healthy.messages)] == [
            True
        ] * EVENTS
        await manager.shutdown()
        assert not manager.clients
        assert healthy.misuses == faulty.misuses == []
        for task in endpoints:
            task.cancel()

    main()
