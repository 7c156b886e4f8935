"""The registry of checks: what is promised, why it matters, and the function that looks.

A check is a coroutine function that takes a `Bench` and its sizes. It returns a sentence about what
it saw, or raises one of `Broken`, `Unmet` and `NotOffered`.
"""

import fnmatch
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.clock import Interleaving
from simulators.contract.results import Level, Tier
from simulators.errors import OptionError, SimulatorError

__all__ = [
    "CHECKS",
    "Body",
    "Broken",
    "Check",
    "NotOffered",
    "Unmet",
    "check",
    "select_checks",
]


class Broken(SimulatorError):  # noqa: N818  # it names what happened
    """The promise is broken; the message says what was seen and what was expected."""


class Unmet(SimulatorError):  # noqa: N818  # the same
    """The fault that the check wanted never took place, so that it cannot tell."""


class NotOffered(SimulatorError):  # noqa: N818  # the same
    """The manager does not make this promise."""


Body = Callable[..., Coroutine[Any, Any, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise, and how to look whether it is kept.

    Attributes:
        id: ``area.name``; stable.
        level: MUST or SHOULD.
        title: the promise in a few words.
        defects: the classes of mistakes that break it, as in ``docs/contract.md``.
        needs: capabilities without which there is nothing to look at, see
            `simulators.contract.adapters.Adapter.can`.
        promise: the field of the profile that makes the promise; when it is None, or says
            ``none``, the check is not offered.
        why: why it matters in production.
        mend: how to mend it.
        body: looks.
        sizes: how many of what: the default, and the fewest to which a failure may shrink.
        schedules: whether the outcome may depend on chance: it then runs with several seeds.
        interleaving: ``random``: the seeds permute which task runs first. Only where a correct
            manager may not rely on asyncio's own order, which is first come, first served.
        limit: seconds of real time that one step of a task may take; a healthy manager needs a
            small part of it.
        steps: callbacks of the loop that it may take.
        horizon: seconds of virtual time that it may take.
        tier: where it runs.
    """

    id: str
    level: Level
    title: str
    defects: tuple[int, ...]
    needs: frozenset[str]
    promise: str | None
    why: str
    mend: str
    body: Body
    sizes: Mapping[str, tuple[int, int]]
    schedules: bool = False
    interleaving: Interleaving = "fifo"
    limit: float = 2.0
    steps: int = 150_000
    horizon: float = 3_600.0
    tier: Tier = "virtual"

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    def default_sizes(self) -> dict[str, int]:
        """Return how many of what a run takes that nobody has shrunk."""
        return {name: default for name, (default, _) in self.sizes.items()}


_SOCKETS = "sockets"

CHECKS: dict[str, Check] = {}
"""Every check by its id, in the order in which they run and are shown."""


def check(
    check_id: str,
    title: str,
    *,
    level: Level = "MUST",
    defects: tuple[int, ...],
    why: str,
    mend: str,
    needs: Iterable[str] = (),
    promise: str | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    **options: Any,
) -> Callable[[Body], Body]:
    """Register a check. Options as the fields of `Check`."""

    def register(body: Body) -> Body:
        if check_id in CHECKS:
            raise OptionError(f"two checks are called {check_id!r}")
        CHECKS[check_id] = Check(
            id=check_id,
            level=level,
            title=title,
            defects=defects,
            needs=frozenset(needs),
            promise=promise,
            why=why,
            mend=mend,
            body=body,
            sizes=dict(sizes or {}),
            **options,
        )
        return body

    return register


def select_checks(
    patterns: Iterable[str] | str | None, *, sockets: bool = False
) -> tuple[Check, ...]:
    """Return the checks that a selection names, in the registry's order.

    Args:
        patterns: ids, areas (``heartbeat``), patterns (``evict.*``), levels (``MUST``) or classes
            of mistakes (``D19``); a string may hold several, separated by commas. None: all.
        sockets: whether that means the checks on real sockets too. Without, only those are meant
            that are named: by their ids, or by a pattern that begins with ``sockets``.

    Raises:
        OptionError: one of them names nothing, or there is none.
    """
    if patterns is None:
        return tuple(found for found in CHECKS.values() if sockets or found.tier == "virtual")
    if isinstance(patterns, str):
        patterns = patterns.split(",")
    words = [word.strip() for pattern in patterns for word in pattern.split(",") if word.strip()]
    if not words:
        raise OptionError("the selection is empty: leave it out to run every check")
    chosen: set[str] = set()
    for word in words:
        named = sockets or word.startswith(_SOCKETS)
        found = {
            check.id
            for check in CHECKS.values()
            if _means(check, word) and (named or check.tier == "virtual")
        }
        if not found:
            raise OptionError(
                f"no check is meant by {word!r}: give an id, an area "
                f"({', '.join(dict.fromkeys(check.area for check in CHECKS.values()))}), a pattern "
                "such as 'evict.*', a level, or a class of mistakes such as D19"
            )
        chosen |= found
    return tuple(check for check in CHECKS.values() if check.id in chosen)


def _means(check: Check, word: str) -> bool:
    if word.upper() in {"MUST", "SHOULD"}:
        return check.level == word.upper()
    if word[:1] in {"D", "d"} and word[1:].isdecimal():
        return int(word[1:]) in check.defects
    return word == check.area or fnmatch.fnmatchcase(check.id, word)
