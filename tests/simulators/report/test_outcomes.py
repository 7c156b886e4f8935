import dataclasses
import shlex
from typing import Literal

import pytest

from simulators.contract.results import Report, Result
from simulators.report.outcomes import (
    Outcome,
    headline,
    outcome,
    repeat,
    rows,
    tally,
    verdict,
)

Given = Literal["pass", "fail", "unknown", "not_offered"]


@pytest.mark.parametrize(
    ("level", "seen", "expected", "meant"),
    [
        ("MUST", "fail", None, Outcome.BROKEN),
        ("SHOULD", "fail", None, Outcome.WEAK),
        ("MUST", "pass", None, Outcome.KEPT),
        ("MUST", "fail", "known", Outcome.EXPECTED),
        ("MUST", "unknown", "known", Outcome.UNKNOWN),
        ("MUST", "not_offered", None, Outcome.NOT_OFFERED),
    ],
)
def test_every_verdict_has_one_outcome(
    level: Literal["MUST", "SHOULD"], seen: Given, expected: str | None, meant: Outcome
) -> None:
    result = Result(check_id="a.b", level=level, verdict=seen, message="", expected=expected)
    assert outcome(result) is meant


def test_an_expected_failure_that_passed_is_a_surprise() -> None:
    result = Result(
        check_id="a.b", level="SHOULD", verdict="fail", message="", expected="known", stale=True
    )
    assert outcome(result) is Outcome.SURPRISE


def test_an_outcome_asks_for_work_exactly_when_the_result_is_broken(tutorial: Report) -> None:
    mending = {Outcome.BROKEN, Outcome.SURPRISE, Outcome.WEAK}
    assert all((outcome(one) in mending) == one.broken for one in tutorial.results)


def test_rows_stand_by_area_in_the_order_of_first_appearance(tutorial: Report) -> None:
    late = Result(check_id="delivery.late", level="SHOULD", verdict="pass", message="")
    more = dataclasses.replace(tutorial, results=(*tutorial.results, late))
    areas = [row.check_id.split(".")[0] for row in rows([tutorial, more])]
    assert areas == sorted(areas, key=list(dict.fromkeys(areas)).index)


def test_a_check_that_one_manager_lacks_is_none_in_its_row(tutorial: Report) -> None:
    few = dataclasses.replace(tutorial, results=tutorial.results[:1])
    assert [row.results[1] is None for row in rows([tutorial, few])] == [False] + [True] * 9


def test_a_failure_anywhere_is_the_verdict_on_all(
    tutorial: Report, good: Report, undecided: Report
) -> None:
    assert verdict([good, undecided, tutorial]) == "fail"


def test_a_manager_without_a_verdict_leaves_all_unknown(good: Report, undecided: Report) -> None:
    assert verdict([good, undecided]) == "unknown"


def test_no_report_at_all_is_no_pass() -> None:
    assert verdict([]) == "unknown"


def test_the_headline_counts_what_broke(tutorial: Report) -> None:
    assert headline(tutorial) == (
        "breaks 4 of 5 MUSTs and 1 SHOULD, passed 1 check expected to fail"
    )


def test_the_headline_of_a_good_manager_says_so(good: Report) -> None:
    assert headline(good) == "keeps all 7 MUSTs"


def test_a_good_manager_of_which_not_all_was_asked_has_no_verdict(good: Report) -> None:
    part = dataclasses.replace(good, missing=3)
    assert (part.verdict, headline(part)) == (
        "unknown",
        "keeps all 7 MUSTs, as far as it was asked: 3 checks did not run",
    )


def test_the_headline_of_a_manager_that_only_breaks_advice_starts_with_the_good(
    tutorial: Report,
) -> None:
    some = [tutorial.result("delivery.everyone_gets_it"), tutorial.result("evict.twice")]
    assert headline(dataclasses.replace(tutorial, results=tuple(some))) == (
        "keeps 1 MUST, breaks 1 SHOULD"
    )


def test_the_tally_counts_every_result_once(tutorial: Report) -> None:
    numbers = [int(word) for word in tally(tutorial).split() if word.isdigit()]
    assert sum(numbers) == len(tutorial.results)


def test_the_command_repeats_one_check_with_its_own_seed(tutorial: Report) -> None:
    words = shlex.split(
        repeat(tutorial, tutorial.result("delivery.order"), options=["--join", "let in"])
    )
    assert words[:5] == ["flock-ws", "check", "myapp.ws:ConnectionManager", "--join", "let in"]
    assert words[5:] == ["--select", "delivery.order", "--seed", "1234567"]


@pytest.mark.parametrize("name", ["<lambda>", "my manager", "ConnectionManager"])
def test_a_manager_that_no_command_can_import_is_repeated_by_a_call(
    tutorial: Report, name: str
) -> None:
    again = repeat(dataclasses.replace(tutorial, manager=name), tutorial.result("delivery.order"))
    assert again == "check_manager(…, select=['delivery.order'], seed=1234567)"


@pytest.mark.parametrize(
    "name", ["app/ws.py:Manager", "app.ws:manager.pool", "ws://127.0.0.1:8000/ws", "a.b:make()"]
)
def test_files_factories_and_addresses_are_repeated_by_the_command(
    tutorial: Report, name: str
) -> None:
    again = repeat(dataclasses.replace(tutorial, manager=name))
    assert shlex.split(again) == ["flock-ws", "check", name, "--seed", "7"]
