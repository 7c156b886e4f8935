"""From a record to a verdict. Pure: the same record gives the same verdict."""

from dataclasses import dataclass
from typing import Any

from loadtests import bounds, evictions, questions
from loadtests.answers import Answer, Verdict
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.record import Record

__all__ = ["EXIT_CODES", "Judgement", "judge"]

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}
"""The exit code of each verdict; 2 is for a run that could not begin."""

_REASONS_SHOWN = 4
_NEVER = " clients were never evicted"
_LATE = " clients were evicted too late: "


@dataclass(frozen=True, slots=True)
class Judgement:
    """All answers, and what follows from them.

    Attributes:
        answers: in order of weight: the first that is a FAIL is the first reason.
    """

    answers: tuple[Answer, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL beats INCONCLUSIVE, since a promise that was seen broken is broken."""
        verdicts = {answer.verdict for answer in self.answers}
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if verdict in verdicts:
                return verdict
        return Verdict.PASS

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no PASS, the weightiest first."""
        verdict = self.verdict
        if verdict is Verdict.PASS:
            return ()
        found = [answer for answer in self.answers if answer.verdict is verdict]
        if verdict is Verdict.INCONCLUSIVE:
            # A run that was cut short or could not measure is the cause of what it left open.
            found.sort(key=lambda one: (not one.key.startswith("run."), one.key != "run.generator"))
        else:
            found = _worst_first(found)
        return tuple(_gathered([answer.reason for answer in found]))

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        return EXIT_CODES[self.verdict]

    @property
    def line(self) -> str:
        """The verdict and its reasons in one line."""
        if self.verdict is Verdict.PASS:
            kept = sum(answer.verdict is Verdict.PASS for answer in self.answers)
            rest = len(self.answers) - kept
            return f"PASS: {kept} questions answered as expected" + (
                f", {rest} not offered by this server" if rest else ""
            )
        shown = self.reasons[:_REASONS_SHOWN]
        more = len(self.reasons) - len(shown)
        return f"{self.verdict}: {'; '.join(shown)}" + (f"; and {more} more" if more else "")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "line": self.line,
            "reasons": list(self.reasons),
            "answers": [answer.to_json() for answer in self.answers],
        }


def judge(record: Record) -> Judgement:
    """Answer every question that applies to a run."""
    case = Case.of(record)
    cohorts = sorted(case.scenario.cohorts, key=_weight)
    thresholds = case.scenario.thresholds
    held_up = [text for text in thresholds if text.startswith("publisher.")]
    answers = [
        questions.server_alive(case),
        *(evictions.evicted(case, cohort) for cohort in cohorts),
        evictions.zombies(case),
        questions.publisher(case),
        *(bounds.asked(case, text) for text in held_up),
        questions.spared(case),
        questions.complete(case),
        questions.truth(case),
        *(bounds.asked(case, text) for text in thresholds if text not in held_up),
        questions.load(case),
        questions.generator(case),
    ]
    return Judgement(tuple(answer for answer in answers if answer is not None))


def _weight(cohort: Cohort) -> int:
    """Stalled before slow: who never reads is the plainest case, and the first reason to give."""
    order = ("stalled", "slow", "half_open", "dead", "never_pongs")
    return order.index(cohort.user) if cohort.user in order else len(order)


def _worst_first(found: list[Answer]) -> list[Answer]:
    """Put evictions that came late behind connections that never went."""
    stayed = [one for one in found if one.key == "zombies"]
    if not stayed:
        return found
    late = [one for one in found if _LATE in one.reason]
    rest = [one for one in found if one not in late]
    after = rest.index(stayed[0]) + 1
    return [*rest[:after], *late, *rest[after:]]


def _gathered(reasons: list[str]) -> list[str]:
    """Put into one reason what is the same of several cohorts."""
    never = [reason for reason in reasons if reason.endswith(_NEVER) and reason[0].isalpha()]
    if len(never) < 2:  # noqa: PLR2004 - one alone says it best itself
        return reasons
    names = [reason.removesuffix(_NEVER) for reason in never]
    together = f"{', '.join(names[:-1])} and {names[-1]}{_NEVER}"
    return [
        together if reason is never[0] else reason for reason in reasons if reason not in never[1:]
    ]
