"""Faulty clients and realistic events for testing WebSocket broadcast managers.

    from simulators import SlowClient, simulate

Every name is loaded when it is first used, so that importing this package costs nothing. The
whole catalogue of faults is in `simulators.faults`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.arrivals import bursts, paced, poisson, ramp, replay, steady
    from simulators.behaviours import Behaviour, require
    from simulators.child import ChildClient
    from simulators.clients import FakeClient
    from simulators.clock import SimLoop
    from simulators.errors import (
        CloseRefused,
        NotSeen,
        OptionError,
        SimDeadlock,
        SimHorizonReached,
        SimRefused,
        SimStepLimit,
        SimulatorError,
    )
    from simulators.events import Tape, agent_run, agent_runs, numbered_events, with_payloads
    from simulators.factory import ClientFactory
    from simulators.faults import BehaviourError, Fault, Reset, SendDelay, SlowReader, StalledReader
    from simulators.hardships import Endured, Hardship
    from simulators.link import Lag
    from simulators.misuses import Misuse, encoded_anew
    from simulators.named import DeadClient, HealthyClient, LookAlike, SlowClient, StalledClient
    from simulators.records import Closed, Received
    from simulators.runs import sim_runner, sim_test, simulate
    from simulators.sockets import SocketClient
    from simulators.swarm import Swarm
    from simulators.tcp.handshake import ConnectFailed
    from simulators.tcp.knocks import HandshakeClient
    from simulators.tcp.relay import Relay
    from simulators.trace import Entry, Trace
    from simulators.transport import WireTransport
    from simulators.wire import Wire

__all__ = [
    "Behaviour",
    "BehaviourError",
    "ChildClient",
    "ClientFactory",
    "CloseRefused",
    "Closed",
    "ConnectFailed",
    "DeadClient",
    "Endured",
    "Entry",
    "FakeClient",
    "Fault",
    "HandshakeClient",
    "Hardship",
    "HealthyClient",
    "Lag",
    "LookAlike",
    "Misuse",
    "NotSeen",
    "OptionError",
    "Received",
    "Relay",
    "Reset",
    "SendDelay",
    "SimDeadlock",
    "SimHorizonReached",
    "SimLoop",
    "SimRefused",
    "SimStepLimit",
    "SimulatorError",
    "SlowClient",
    "SlowReader",
    "SocketClient",
    "StalledClient",
    "StalledReader",
    "Swarm",
    "Tape",
    "Trace",
    "Wire",
    "WireTransport",
    "agent_run",
    "agent_runs",
    "bursts",
    "encoded_anew",
    "numbered_events",
    "paced",
    "poisson",
    "ramp",
    "replay",
    "require",
    "sim_runner",
    "sim_test",
    "simulate",
    "steady",
    "with_payloads",
]

_NAMES = {
    "arrivals": "bursts paced poisson ramp replay steady",
    "behaviours": "Behaviour require",
    "child": "ChildClient",
    "clients": "FakeClient",
    "clock": "SimLoop",
    "errors": (
        "CloseRefused NotSeen OptionError SimDeadlock SimHorizonReached SimRefused SimStepLimit"
        " SimulatorError"
    ),
    "events": "Tape agent_run agent_runs numbered_events with_payloads",
    "factory": "ClientFactory",
    "faults": "BehaviourError Fault Reset SendDelay SlowReader StalledReader",
    "tcp.handshake": "ConnectFailed",
    "hardships": "Endured Hardship",
    "tcp.knocks": "HandshakeClient",
    "link": "Lag",
    "misuses": "Misuse encoded_anew",
    "named": "DeadClient HealthyClient LookAlike SlowClient StalledClient",
    "records": "Closed Received",
    "tcp.relay": "Relay",
    "runs": "sim_runner sim_test simulate",
    "sockets": "SocketClient",
    "swarm": "Swarm",
    "trace": "Entry Trace",
    "transport": "WireTransport",
    "wire": "Wire",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker is to find wrong names

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
