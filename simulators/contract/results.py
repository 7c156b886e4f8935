"""What the contract found out, as data: every table, page and exit code is computed from it.

A `Report` goes to JSON and comes back the same, so that one run can be shown in many ways.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from simulators.errors import OptionError

__all__ = ["FORMAT", "Evidence", "Lane", "Level", "Report", "Result", "Tier", "Verdict"]

Level = Literal["MUST", "SHOULD"]
Verdict = Literal["pass", "fail", "unknown", "not_offered"]
Tier = Literal["virtual", "sockets"]

FORMAT = 1
"""The number of the JSON form; it changes when a reader of the old form would go wrong."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one client went through.

    Attributes:
        client: its name.
        behaviour: what it did, in words.
        spans: ``(start, end, state)``, in order and without gaps or overlaps; the state is one of
            ``healthy``, ``lagging`` (something was sent that it has not read), ``stalled`` (a send
            to it waits), ``evicted`` (the manager closed it), ``zombie`` (out of the pool, and
            still open) and ``dead`` (its peer ended the connection).
        marks: ``(time, what)``: moments worth a word, in order of time.
    """

    client: str
    behaviour: str
    spans: tuple[tuple[float, float, str], ...]
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the fakes saw while a check ran. Times are seconds of the check's own clock, from 0.

    Attributes:
        lanes: one for each client.
        ticks: when each broadcast was called.
        lines: what else belongs to it, for a person: where tasks waited, what was logged.
        ends_at: when the check ended.
    """

    lanes: tuple[Lane, ...] = ()
    ticks: tuple[float, ...] = ()
    lines: tuple[str, ...] = ()
    ends_at: float = 0.0

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read it back from its JSON form."""
        lanes = tuple(
            Lane(
                client=lane["client"],
                behaviour=lane["behaviour"],
                spans=tuple((start, end, state) for start, end, state in lane["spans"]),
                marks=tuple((time, what) for time, what in lane["marks"]),
            )
            for lane in form["lanes"]
        )
        return cls(lanes, tuple(form["ticks"]), tuple(form["lines"]), form["ends_at"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one check found.

    Attributes:
        check_id: ``area.name``; stable.
        level: MUST decides the verdict, SHOULD advises.
        verdict: ``unknown`` when the fault that the check wanted never took place,
            ``not_offered`` when the manager does not make the promise.
        message: what was seen and what was expected; for ``pass`` what was shown.
        seed: repeats the run.
        defects: the classes of mistakes that it looks for, as numbered in ``docs/contract.md``.
        why: one sentence: why it matters in production.
        mend: one sentence: how to mend it.
        tier: in virtual time, or over real sockets.
        evidence: what the fakes saw; None when nothing ran.
        expected: why this check may fail, for an expected failure.
        stale: it was expected to fail and passed; its verdict is ``fail`` then, so that the list of
            expected failures stays true.
    """

    check_id: str
    level: Level
    verdict: Verdict
    message: str
    seed: int = 0
    defects: tuple[int, ...] = ()
    why: str = ""
    mend: str = ""
    tier: Tier = "virtual"
    evidence: Evidence | None = None
    expected: str | None = None
    stale: bool = False

    @property
    def broken(self) -> bool:
        """Whether it failed and was not expected to, or was expected to and did not."""
        return self.verdict == "fail" and (self.expected is None or self.stale)

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read it back from its JSON form."""
        evidence = form.get("evidence")
        return cls(
            **{
                **form,
                "defects": tuple(form["defects"]),
                "evidence": None if evidence is None else Evidence.from_dict(evidence),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What all checks found about one manager.

    Attributes:
        manager: what was checked, as it was named.
        adapter: what was taken for what, one line each.
        profile: the numbers of the promises, as the checks used them.
        results: one for each check, in the registry's order.
        seed: as given.
        versions: of Python and of the packages that matter.
        elapsed: seconds of real time that it took.
        missing: checks that were to run and did not, since somebody ended it.
    """

    manager: str
    adapter: str = ""
    profile: dict[str, Any] = dataclasses.field(default_factory=dict)
    results: tuple[Result, ...] = ()
    seed: int = 0
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    elapsed: float = 0.0
    missing: int = 0

    @property
    def verdict(self) -> Literal["pass", "fail", "unknown"]:
        """``fail`` when a MUST check failed or an expected failure passed.

        An expected failure that fails does not count. ``unknown`` when no check came to a
        verdict, or when nothing failed and some did not run.
        """
        if any(
            result.broken and (result.level == "MUST" or result.stale) for result in self.results
        ):
            return "fail"
        decided = any(result.verdict in {"pass", "fail"} for result in self.results)
        return "pass" if decided and not self.missing else "unknown"

    def result(self, check_id: str) -> Result:
        """Return what this check found.

        Raises:
            OptionError: it did not run.
        """
        for result in self.results:
            if result.check_id == check_id:
                return result
        raise OptionError(f"no result of {check_id!r} in the report on {self.manager}")

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form: plain dictionaries, lists, strings and numbers."""
        return {
            "format": FORMAT,
            "manager": self.manager,
            "verdict": self.verdict,
            "adapter": self.adapter,
            "profile": dict(self.profile),
            "seed": self.seed,
            "versions": dict(self.versions),
            "elapsed": self.elapsed,
            "missing": self.missing,
            "results": [_plain(dataclasses.asdict(result)) for result in self.results],
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read it back from its JSON form.

        Raises:
            OptionError: it is of another format.
        """
        if form.get("format") != FORMAT:
            raise OptionError(
                f"a report of format {form.get('format')!r}; this version reads {FORMAT}"
            )
        return cls(
            manager=form["manager"],
            adapter=form["adapter"],
            profile=dict(form["profile"]),
            results=tuple(Result.from_dict(result) for result in form["results"]),
            seed=form["seed"],
            versions=dict(form["versions"]),
            elapsed=form["elapsed"],
            missing=form["missing"],
        )


def _plain(value: Any) -> Any:
    """Turn tuples into lists, all the way down, as JSON would."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
