import pytest

from loadtests.capacity import steps
from loadtests.catalogue import built_in
from loadtests.histogram import Histogram
from loadtests.record import (
    ClientRecord,
    GeneratorRecord,
    GeneratorResults,
    PublisherRecord,
    Record,
    ServerRecord,
)
from loadtests.scenario import Scenario
from loadtests.verdict import judge

CAPACITY = built_in("capacity").changed(
    clients={"healthy": 2} | {f"step_{n}": 3 for n in range(1, 9)}
)
START = 4.0


def latencies(seconds: float) -> Histogram:
    histogram = Histogram()
    for _ in range(100):
        histogram.record(seconds)
    return histogram


def searched(
    *latency: float, generator_lag: float = 0.001, scenario: Scenario = CAPACITY
) -> Record:
    """Return the record of a search in which each step had one latency, as far as it went."""
    search = scenario.search
    assert search is not None
    end = len(latency) * search.every
    clients = [
        ClientRecord(
            name=f"{cohort.name}-{number}",
            cohort=cohort.name,
            connected_at=START + (cohort.joins if cohort.joins is not None else -2.0),
            first=0,
            expected=10,
            received=10,
        )
        for cohort in scenario.cohorts
        if (cohort.joins or 0.0) < end
        for number in range(cohort.count)
    ]
    series = {
        int(START + second): latencies(latency[int(second // search.every)])
        for second in range(int(end))
    }
    return Record(
        scenario=scenario.to_json(),
        server=ServerRecord(url="ws://127.0.0.1:1/ws", tuned=True),
        publisher=PublisherRecord(started_at=START, ended_at=START + end, due=10, sent=10),
        publishing=(START, START + end),
        faults_at=START + 6,
        ended_at=START + end + 1,
        results=GeneratorResults(
            clients=clients,
            series={"healthy": series},
            spread=Histogram(),
            generator=GeneratorRecord(
                lag=latencies(generator_lag),
                lags={second: latencies(generator_lag) for second in series},
            ),
        ),
    )


def test_the_answer_is_the_number_of_clients_before_the_limit_broke() -> None:
    record = searched(0.01, 0.02, 0.03, 0.5, 0.9)
    assert [(step.clients, step.kept) for step in steps(record, CAPACITY)] == [
        (2, True),
        (5, True),
        (8, True),
        (11, False),
    ]


def test_a_step_that_was_not_whole_is_not_judged() -> None:
    record = searched(0.01, 0.02, 0.5)
    record.publishing = (START, record.publishing[1] - 1)
    assert [step.clients for step in steps(record, CAPACITY)] == [2, 5]


def test_a_viewer_that_was_dropped_breaks_the_step() -> None:
    record = searched(0.01, 0.02, 0.03)
    record.results.clients[0].closed_at = START + 7
    assert [step.kept for step in steps(record, CAPACITY)] == [True, False]


@pytest.mark.parametrize(("least", "verdict"), [(5, "PASS"), (6, "FAIL")])
def test_a_threshold_is_held_against_the_number(least: int, verdict: str) -> None:
    scenario = CAPACITY.changed(thresholds=(f"capacity.clients >= {least}",))
    record = searched(0.01, 0.02, 0.5, scenario=scenario)
    answers = {answer.key: answer for answer in judge(record).answers}
    found = answers[f"capacity.clients >= {least}"]
    assert found.verdict == verdict
    assert found.seen == ("5; 5 clients had a p95 of 20 ms, 8 clients had a p95 of 500 ms")
    assert "healthy.complete" not in answers


def test_a_limit_that_the_generator_broke_proves_nothing() -> None:
    scenario = CAPACITY.changed(thresholds=("capacity.clients >= 6",))
    record = searched(0.01, 0.02, 0.5, generator_lag=0.4, scenario=scenario)
    judgement = judge(record)
    assert judgement.exit_code == 3
    assert "the load generator was the bottleneck there" in judgement.line


def test_what_was_carried_before_the_generator_broke_the_limit_counts() -> None:
    scenario = CAPACITY.changed(thresholds=("capacity.clients >= 5",))
    judgement = judge(searched(0.01, 0.02, 0.5, generator_lag=0.4, scenario=scenario))
    assert judgement.exit_code == 0
    *_, number, _, validity = judgement.answers
    assert number.seen.startswith("5; 5 clients had a p95 of 20 ms, 8 clients had a p95 of 500 ms")
    assert number.seen.endswith("its loop lagged 400 ms (p95): the server may carry more")
    assert "; valid up to 5 clients: the load generator was the bottleneck" in validity.seen


def test_a_limit_that_the_generator_broke_at_once_is_no_number() -> None:
    scenario = CAPACITY.changed(thresholds=("capacity.clients >= 0",))
    assert judge(searched(0.5, generator_lag=0.4, scenario=scenario)).exit_code == 3


def test_a_limit_that_never_broke_is_a_number_that_could_be_more() -> None:
    scenario = CAPACITY.changed(thresholds=("capacity.clients >= 5",))
    record = searched(*[0.01] * 9, scenario=scenario)
    found = next(one for one in judge(record).answers if one.key.startswith("capacity"))
    assert found.seen.startswith("26; ")
    assert found.seen.endswith("the limit never broke: it carries more")
