"""Faulty clients and realistic events for testing WebSocket broadcast managers.

    from simulators import SlowClient, simulate

Every name is loaded when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.behaviours import Behaviour
    from simulators.clients import FakeClient
    from simulators.clock import SimLoop
    from simulators.errors import (
        NotSeen,
        OptionError,
        SimDeadlock,
        SimHorizonReached,
        SimRefused,
        SimStepLimit,
        SimulatorError,
    )
    from simulators.faults import (
        BehaviourError,
        Fault,
        Reset,
        SendDelay,
        SlowReader,
        StalledReader,
    )
    from simulators.link import Lag
    from simulators.misuses import Misuse
    from simulators.named import DeadClient, HealthyClient, LookAlike, SlowClient, StalledClient
    from simulators.records import Closed, Received
    from simulators.runs import sim_runner, sim_test, simulate
    from simulators.wire import Wire

__all__ = [
    "Behaviour",
    "BehaviourError",
    "Closed",
    "DeadClient",
    "FakeClient",
    "Fault",
    "HealthyClient",
    "Lag",
    "LookAlike",
    "Misuse",
    "NotSeen",
    "OptionError",
    "Received",
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
    "StalledClient",
    "StalledReader",
    "Wire",
    "sim_runner",
    "sim_test",
    "simulate",
]

_NAMES = {
    "behaviours": "Behaviour",
    "clients": "FakeClient",
    "clock": "SimLoop",
    "errors": (
        "NotSeen OptionError SimDeadlock SimHorizonReached SimRefused SimStepLimit SimulatorError"
    ),
    "faults": "BehaviourError Fault Reset SendDelay SlowReader StalledReader",
    "link": "Lag",
    "misuses": "Misuse",
    "named": "DeadClient HealthyClient LookAlike SlowClient StalledClient",
    "records": "Closed Received",
    "runs": "sim_runner sim_test simulate",
    "wire": "Wire",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
