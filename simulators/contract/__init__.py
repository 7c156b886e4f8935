"""The contract: which promises does a broadcast manager keep, and how does it break the others.

    from simulators.contract import check_manager

    report = check_manager(ConnectionManager)
    assert report.verdict == "pass", report

Three doors lead to the same checks: `check_manager`, the class `ContractTests` for pytest, and the
command ``flock-ws check``.
"""

from importlib import import_module

from simulators.contract.adapters import Adapter, Names, Subject
from simulators.contract.bench import Bench
from simulators.contract.blackbox import check_application, check_server
from simulators.contract.config import Config
from simulators.contract.coverage import ON_SOCKETS, UNCOVERED, covering
from simulators.contract.examination import adapt, check_manager, check_one
from simulators.contract.loader import NotLoadedError
from simulators.contract.profile import Profile
from simulators.contract.registry import CHECKS, Check, check, select_checks
from simulators.contract.results import Evidence, Lane, Report, Result
from simulators.contract.signatures import AdapterError
from simulators.contract.suite import ContractTests

__all__ = [
    "CHECKS",
    "ON_SOCKETS",
    "UNCOVERED",
    "Adapter",
    "AdapterError",
    "Bench",
    "Check",
    "Config",
    "ContractTests",
    "Evidence",
    "Lane",
    "Names",
    "NotLoadedError",
    "Profile",
    "Report",
    "Result",
    "Subject",
    "adapt",
    "check",
    "check_application",
    "check_manager",
    "check_one",
    "check_server",
    "covering",
    "select_checks",
]

# Each registers its checks as it is imported; this order is that of every report.
for _area in (
    "delivery",
    "slowness",
    "eviction",
    "membership",
    "heartbeat",
    "history",
    "shutdown",
    "memory",
    "lifecycle",
    "tcp_delivery",
    "tcp_ending",
):
    import_module(f"{__name__}.{_area}")
