"""Every fault of a client has somebody who does it on a real socket, or says why not."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from simulators.acts import ACTS
from simulators.behaviours import Behaviour
from simulators.errors import SimulatorError
from simulators.faults import (
    FAULTS,
    BehaviourError,
    ClientFault,
    Fault,
    HalfOpen,
    Handshake,
    PausedProcess,
    Reset,
    SendHangs,
    StalledReader,
    TinyWindow,
)
from simulators.sockets import SocketClient
from simulators.tcp.relay import PATH_FAULTS

pytestmark = pytest.mark.sockets

Make = Callable[..., AbstractAsyncContextManager[Any]]


def test_every_fault_that_exists_on_tcp_is_done_by_somebody() -> None:
    elsewhere = {TinyWindow, PausedProcess}
    missing = [
        kind
        for kind, fault in FAULTS.items()
        if issubclass(fault, ClientFault)
        and fault.wires["tcp"] is True
        and fault not in ACTS
        and fault not in elsewhere
        and not issubclass(fault, Handshake | PATH_FAULTS)
    ]
    assert missing == []


def test_a_fault_that_does_not_exist_on_tcp_is_refused_with_the_reason() -> None:
    with pytest.raises(BehaviourError, match="cannot be produced over TCP: it is a fault of the"):
        SocketClient("ws://127.0.0.1/", Behaviour.of(SendHangs()))


def test_a_paused_process_wants_a_process_of_its_own() -> None:
    with pytest.raises(SimulatorError, match="ChildClient"):
        SocketClient("ws://127.0.0.1/", Behaviour.of(PausedProcess(seconds=1)))


@pytest.mark.parametrize(
    "fault", [StalledReader(), HalfOpen(), Reset()], ids=lambda fault: fault.kind
)
def test_what_is_armed_ends_with_the_connection(peer: Make, fault: Fault) -> None:
    async def main() -> None:
        behaviour = Behaviour(name="both", faults=(fault,))
        async with peer() as (_, url), SocketClient(url, behaviour) as client:
            client.after(60, lambda: None)
        assert not client._timers

    asyncio.run(main())
