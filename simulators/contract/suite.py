"""The door for pytest: a class to inherit.

    from simulators.contract import ContractTests

    class TestManager(ContractTests):
        factory = ConnectionManager

It needs no plugin and imports no test framework.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from simulators.contract.adapters import Adapter, Names
from simulators.contract.examination import adapt, check_one
from simulators.contract.profile import Profile
from simulators.contract.registry import select_checks
from simulators.contract.results import Result

__all__ = ["ContractTests"]


class ContractTests:
    """One test for each check; their ids are those of the checks.

    A broken MUST fails. A broken SHOULD fails as well, unless `strict` is False; then it is skipped
    with its message, as is whatever the manager does not offer and whatever could not be judged.

    Attributes:
        factory: makes a manager: a class, a function, or ``"module:name"``. A plain function must
            be wrapped in ``staticmethod``.
        profile: the numbers of the promises.
        expected_failures: ids of checks that may fail, each with the reason.
        select: which checks; all when None.
        seed: repeats a run.
        seeds: under how many seeds those checks run that depend on chance.
        names: what joins, leaves and broadcasts, where it cannot be told.
        strict: whether a broken SHOULD fails.
        sockets: whether the checks on real sockets run as well, see `check_manager`.
        protocol: uvicorn's WebSocket protocol for them.
    """

    factory: ClassVar[Callable[..., Any] | str | None] = None
    profile: ClassVar[Profile | None] = None
    expected_failures: ClassVar[Mapping[str, str]] = {}
    select: ClassVar[Iterable[str] | str | None] = None
    seed: ClassVar[int] = 0
    seeds: ClassVar[int] = 3
    names: ClassVar[Names | None] = None
    strict: ClassVar[bool] = True
    sockets: ClassVar[bool] = False
    protocol: ClassVar[str] = "auto"
    _adapters: ClassVar[dict[type, Adapter]] = {}

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make one test for each check: pytest calls this for each of the class's tests."""
        if "contract_check" in metafunc.fixturenames:
            chosen = select_checks(self.select, sockets=self.sockets)
            ids = [] if self.factory is None else [check.id for check in chosen]
            metafunc.parametrize("contract_check", ids, ids=ids)

    def test_contract(self, contract_check: str) -> None:
        """Run one check."""
        kind = type(self)
        factory: Any = _written(kind, "factory")
        adapter = self._adapters.get(kind)
        if adapter is None:
            adapter = self._adapters[kind] = adapt(factory, names=self.names)
        result = check_one(
            contract_check,
            factory,
            adapter=adapter,
            profile=self.profile,
            expected_failures=self.expected_failures,
            seed=self.seed,
            seeds=self.seeds,
            protocol=self.protocol,
        )
        self.judge(result)

    def judge(self, result: Result) -> None:
        """Pass, fail or skip for a result. Override it to judge otherwise."""
        # A test that uses this class runs under pytest; nothing else here needs it.
        import pytest  # noqa: PLC0415  # the same

        if result.broken and (self.strict or result.level == "MUST" or result.stale):
            pytest.fail(_failure(result), pytrace=False)
        if result.verdict == "fail" and result.expected is not None:
            pytest.xfail(f"{result.expected}: {result.message}")
        if result.verdict != "pass":
            pytest.skip(f"{result.verdict.replace('_', ' ')}: {result.message}")


def _written(kind: type, name: str) -> Any:
    """Return a class attribute as it was written, so that a function does not become a method."""
    for base in kind.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            return found.__func__ if isinstance(found, staticmethod) else found
    raise AttributeError(name)


def _failure(result: Result) -> str:
    """Return the message of a failed test: what was seen, why it matters, how to mend it."""
    lines = [
        f"{result.check_id} ({result.level}) is broken: {result.message}",
        f"  why:  {result.why}",
        f"  mend: {result.mend}",
    ]
    if result.evidence is not None:
        lines += [f"  seen: {line}" for line in result.evidence.lines[:6]]
    return "\n".join(lines)
