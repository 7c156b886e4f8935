"""Every way in which a run can end, on records made by hand."""

from typing import Any

import pytest

from loadtests.answers import Answer, Verdict
from loadtests.cohorts import Cohort
from loadtests.histogram import Histogram
from loadtests.record import (
    Block,
    ClientRecord,
    EvictionRecord,
    GeneratorRecord,
    GeneratorResults,
    PresenceRecord,
    PublisherRecord,
    Record,
    ServerRecord,
    ServerSample,
)
from loadtests.scenario import Scenario
from loadtests.verdict import Judgement, judge

SCENARIO = Scenario(
    name="small",
    proves="what each question says to each record",
    cohorts=(
        Cohort(name="healthy", user="viewer", count=2),
        Cohort(name="slow", user="slow", count=1),
        Cohort(name="stalled", user="stalled", count=1),
        Cohort(name="dead", user="dead", count=1),
    ),
    duration=20.0,
    baseline=5.0,
    thresholds=(
        "healthy.latency.p99 < 0.25",
        "healthy.latency.p99[faults] <= max(5 * healthy.latency.p99[baseline], 0.05)",
        "publisher.block_max < 1",
    ),
)
LATENCY, BLAST, BLOCK = SCENARIO.thresholds
START, FAULTS, END = 3.0, 8.0, 23.0
DUE = 2_000
LEFT = {"slow": FAULTS + 4.0, "stalled": FAULTS + 3.9, "dead": FAULTS + 0.1}


def client(name: str, **changes: Any) -> ClientRecord:
    cohort = name.partition("-")[0]
    fields: dict[str, Any] = {"name": name, "cohort": cohort, "connected_at": 1.0, "first": 0}
    if cohort == "healthy":
        fields |= {"received": DUE, "expected": DUE, "received_bytes": DUE * 300}
    else:
        fields |= {"received": 500, "expected": 500, "faulty_at": FAULTS}
        fields |= {"released": True}
    return ClientRecord(**(fields | changes))


def latencies(seconds: float) -> Histogram:
    histogram = Histogram()
    for _ in range(200):
        histogram.record(seconds)
    return histogram


def kept(scenario: Scenario = SCENARIO) -> Record:
    """Return the record of a run in which every promise was kept."""
    clients = [client(name) for name in ("healthy-1", "healthy-2", "slow-1", "stalled-1", "dead-1")]
    evictions = [
        EvictionRecord(
            client=f"{cohort}-1", reason="send_timeout", code=1013, at=LEFT[cohort], gone_at=13.0
        )
        for cohort in ("slow", "stalled")
    ]
    presences = [PresenceRecord(client=one.name, seen_at=1.0) for one in clients]
    for presence in presences:
        if (cohort := presence.client[:-2]) in LEFT:
            presence.gone_at = LEFT[cohort] + 0.5
    return Record(
        scenario=scenario.to_json(),
        server=ServerRecord(
            url="ws://127.0.0.1:1/ws",
            tuned=True,
            offers_evictions=True,
            offers_connections=True,
            offers_pool=True,
            evictions=evictions,
            presences=presences,
            samples=[ServerSample(at=24.0, connections=2, clients=2, closing=0)],
        ),
        publisher=PublisherRecord(
            started_at=START, ended_at=END, due=DUE, sent=DUE, accepted=DUE, longest=0.01
        ),
        publishing=(START, END),
        faults_at=FAULTS,
        ended_at=24.5,
        results=GeneratorResults(
            clients=clients,
            series={"healthy": {second: latencies(0.002) for second in range(3, 23)}},
            spread=latencies(0.001),
            generator=GeneratorRecord(lag=latencies(0.001), cpu=0.1, messages=DUE * 2),
        ),
    )


def answer(record: Record, key: str) -> Answer:
    return next(answer for answer in judge(record).answers if answer.key == key)


def of(record: Record, name: str) -> ClientRecord:
    return next(client for client in record.results.clients if client.name == name)


def leave_alone(record: Record, *names: str) -> None:
    """Undo what the server did to these clients."""
    server = record.server
    server.evictions = [one for one in server.evictions if one.client not in names]
    for presence in server.presences:
        if presence.client in names:
            presence.out_of_pool_at = presence.gone_at = None


def test_a_run_in_which_all_was_kept_passes_with_exit_code_0() -> None:
    judgement = judge(kept())
    assert {answer.verdict for answer in judgement.answers} == {Verdict.PASS}
    assert (judgement.exit_code, judgement.reasons) == (0, ())
    assert judgement.line == "PASS: 14 questions answered as expected"


def test_the_record_comes_back_from_its_json_form_with_the_same_verdict() -> None:
    record = kept()
    again = Record.model_validate_json(record.model_dump_json())
    assert judge(again).to_json() == judge(record).to_json()


# Evictions


@pytest.mark.parametrize("cohort", ["slow", "stalled"])
def test_a_client_that_is_never_evicted_fails(cohort: str) -> None:
    record = kept()
    leave_alone(record, f"{cohort}-1")
    found = answer(record, f"evicted.{cohort}")
    assert (found.verdict, found.reason) == (
        Verdict.FAIL,
        f"{cohort} clients were never evicted",
    )


def test_an_eviction_after_the_limit_fails() -> None:
    record = kept()
    leave_alone(record, "stalled-1")
    late = EvictionRecord(client="stalled-1", reason="send_timeout", at=FAULTS + 7.2, gone_at=15.5)
    record.server.evictions.append(late)
    found = answer(record, "evicted.stalled")
    assert found.reason == "stalled clients were evicted too late: after 7.2 s, 6.0 s were allowed"


def test_a_lagging_client_that_the_server_drops_in_place_of_the_manager_fails() -> None:
    record = kept()
    record.server.evictions = [one for one in record.server.evictions if one.client != "stalled-1"]
    found = answer(record, "evicted.stalled")
    assert found.verdict is Verdict.FAIL
    assert "dropped by the server, not for lagging" in found.reason


def test_an_eviction_for_another_reason_than_lag_fails() -> None:
    record = kept()
    record.server.evictions[0].reason = "no_pong"
    assert "dropped by no_pong" in answer(record, "evicted.slow").reason


def test_a_run_too_short_to_fill_the_pipe_is_inconclusive_with_exit_code_3() -> None:
    record = kept()
    leave_alone(record, "slow-1", "stalled-1")
    record.publishing = (START, FAULTS + 2.0)
    judgement = judge(record)
    assert judgement.exit_code == 3
    assert "events came for only 2.0 s after stalled clients stopped reading" in judgement.line
    assert "try --duration 10" in judgement.line


@pytest.mark.parametrize(
    ("until", "verdict"), [(FAULTS + 2.0, Verdict.INCONCLUSIVE), (END, Verdict.FAIL)]
)
@pytest.mark.parametrize("text", ["evicted.stalled.fraction == 1", "evicted.stalled.max < 5"])
def test_a_threshold_on_evictions_is_held_against_no_run_that_was_too_short(
    text: str, until: float, verdict: Verdict
) -> None:
    record = kept(SCENARIO.changed(thresholds=(text,)))
    leave_alone(record, "stalled-1")
    record.publishing = (START, until)
    found = answer(record, text)
    assert found.verdict is verdict
    assert ("the run was too short for that" in found.reason) is (until < END)


def test_who_was_evicted_in_a_short_run_was_evicted_all_the_same() -> None:
    record = kept()
    record.publishing = (START, FAULTS + 4.5)
    assert answer(record, "evicted.stalled").verdict is Verdict.PASS


def test_a_dead_client_that_stays_in_the_pool_fails() -> None:
    record = kept()
    leave_alone(record, "dead-1")
    assert answer(record, "evicted.dead").reason == "dead clients were never evicted"


def test_the_end_of_its_endpoint_takes_a_dead_client_out_of_the_pool() -> None:
    assert "endpoint ended x1" in answer(kept(), "evicted.dead").seen


def test_a_manager_that_tells_no_reasons_is_judged_by_its_pool() -> None:
    record = kept()
    record.server.offers_evictions = False
    record.server.evictions = []
    found = answer(record, "evicted.stalled")
    assert found.verdict is Verdict.PASS
    assert "the manager gives no reasons" in found.seen


def test_the_expectation_shows_the_computed_bytes_of_the_pipe() -> None:
    assert "106 496 bytes fill the pipe in 3.5 s" in answer(kept(), "evicted.stalled").expected


def test_a_cohort_without_clients_raises_no_question() -> None:
    record = kept(SCENARIO.changed(clients={"slow": 0}))
    record.results.clients = [one for one in record.results.clients if one.cohort != "slow"]
    assert "evicted.slow" not in [answer.key for answer in judge(record).answers]


# From outside


def outside() -> Record:
    """Return the record of a run against a server that tells nothing."""
    record = kept()
    record.server = ServerRecord(url="ws://there/ws")
    record.publisher = None
    for name in ("slow-1", "stalled-1"):
        of(record, name).released = False
    return record


def test_from_outside_a_found_end_is_an_eviction_at_an_unknown_time() -> None:
    record = outside()
    of(record, "stalled-1").closed_at = 24.0
    found = answer(record, "evicted.stalled")
    assert found.verdict is Verdict.PASS
    assert "when and why cannot be seen" in found.seen


def test_from_outside_a_short_run_is_inconclusive() -> None:
    assert answer(outside(), "evicted.stalled").verdict is Verdict.INCONCLUSIVE


def test_from_outside_who_still_stands_after_reading_again_was_never_evicted() -> None:
    record = outside()
    record.publishing = (START, 1_000.0)
    record.ended_at = 40.0
    of(record, "stalled-1").looked_again = True
    assert answer(record, "evicted.stalled").reason == "stalled clients were never evicted"


def test_from_outside_a_slow_reader_that_has_not_read_that_far_tells_nothing() -> None:
    record = outside()
    record.publishing = (START, 1_000.0)
    record.ended_at = 40.0
    assert answer(record, "evicted.slow").verdict is Verdict.NOT_OFFERED


@pytest.mark.parametrize("key", ["evicted.dead", "publisher", "zombies"])
def test_what_cannot_be_seen_from_outside_is_not_offered(key: str) -> None:
    assert answer(outside(), key).verdict is Verdict.NOT_OFFERED


def test_when_somebody_else_publishes_the_rate_is_what_was_seen() -> None:
    record = outside()
    record.server.tuned = True
    for name in ("healthy-1", "healthy-2"):
        of(record, name).received = 100
        of(record, name).received_bytes = 30_000
    found = answer(record, "evicted.slow")
    # Over 23.5 s that is a rate below the 1 000 bytes/s above which a slow reader falls behind.
    for name in ("healthy-1", "healthy-2"):
        of(record, name).received_bytes = 15_000
    assert "fill the pipe in" in found.expected
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "655 bytes/s are too few" in answer(record, "evicted.slow").reason


# The publisher


def test_a_publisher_that_was_blocked_to_the_end_fails_and_says_for_how_long() -> None:
    record = kept()
    assert record.publisher is not None
    record.publisher.longest = 21.4
    record.publisher.blocks = [Block(at=9.0, seconds=21.4, returned=False)]
    assert answer(record, BLOCK).reason == "the publisher was blocked for 21 s (asked: < 1)"


def test_a_publication_that_never_returned_fails_where_no_threshold_says_so() -> None:
    record = kept(SCENARIO.changed(thresholds=(LATENCY,)))
    assert record.publisher is not None
    record.publisher.longest = 21.4
    record.publisher.blocks = [Block(at=9.0, seconds=21.4, returned=False)]
    reason = answer(record, "publisher").reason
    assert reason == "the publisher was blocked for 21 s, until the run ended"


def test_a_refused_publication_fails_with_the_answer() -> None:
    record = kept()
    assert record.publisher is not None
    record.publisher.refusals = {"500: boom": 3}
    assert answer(record, "publisher").reason == "3 events were refused with 500: boom"


# The healthy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gaps": 3}, "healthy clients missed up to 3 of 2 000 events"),
        ({"expected": 166}, "healthy clients missed up to 1 834 of 2 000 events"),
        ({"first": 4}, "healthy clients missed up to 4 of 2 000 events"),
        ({"first": None, "expected": 0}, "healthy clients missed up to 2 000 of 2 000 events"),
        ({"duplicates": 2}, "healthy clients got 2 events twice"),
        ({"disordered": 5}, "healthy clients got 5 events out of order"),
    ],
)
def test_what_a_healthy_client_did_not_get_once_and_in_order_fails(
    changes: dict[str, Any], reason: str
) -> None:
    record = kept()
    record.results.clients[1] = client("healthy-2", **changes)
    found = answer(record, "healthy.complete")
    assert (found.verdict, found.reason) == (Verdict.FAIL, reason)


def test_of_a_client_that_came_late_only_what_followed_its_first_event_is_asked() -> None:
    record = kept()
    record.results.clients[1] = client("healthy-2", connected_at=START + 1, first=120)
    assert answer(record, "healthy.complete").verdict is Verdict.PASS


def test_of_a_client_that_came_late_and_got_nothing_everything_since_is_missed() -> None:
    record = kept()
    record.results.clients[1] = client(
        "healthy-2", connected_at=START + 9, first=None, expected=0, received=0
    )
    assert answer(record, "healthy.complete").reason == (
        "healthy clients missed up to 1 000 of 2 000 events"
    )


def test_a_message_after_the_close_fails() -> None:
    record = kept()
    of(record, "healthy-2").after_close = 2
    assert "got 2 messages after the close" in answer(record, "healthy.complete").reason


def test_a_run_in_which_nothing_was_seen_is_inconclusive() -> None:
    record = outside()
    for name in ("healthy-1", "healthy-2"):
        index = int(name[-1]) - 1
        record.results.clients[index] = client(name, first=None, expected=0, received=0)
    record.results.series = {}
    assert answer(record, "healthy.complete").reason == "no event was seen"
    assert answer(record, LATENCY).verdict is Verdict.INCONCLUSIVE


def test_an_evicted_healthy_client_fails_by_name_reason_and_time() -> None:
    record = kept()
    record.server.evictions.append(
        EvictionRecord(client="healthy-2", reason="send_timeout", at=9.5, gone_at=9.9)
    )
    assert answer(record, "healthy.spared").reason == (
        "a healthy client was dropped: healthy-2 (send_timeout, 9.5 s into the run)"
    )


def test_a_healthy_client_that_found_itself_closed_fails_also_without_the_servers_word() -> None:
    record = kept()
    of(record, "healthy-1").closed_at = 9.5
    of(record, "healthy-1").closed_code = 1006
    assert "closed with 1006" in answer(record, "healthy.spared").reason


def test_who_is_evicted_before_it_turned_faulty_was_healthy() -> None:
    record = kept()
    record.server.evictions[1].at = FAULTS - 3
    assert "before it turned faulty" in answer(record, "healthy.spared").reason


def test_an_eviction_while_the_generator_stood_still_proves_nothing() -> None:
    record = kept()
    record.server.evictions.append(
        EvictionRecord(client="healthy-2", reason="send_timeout", at=9.5, gone_at=9.9)
    )
    record.results.generator.lag.record(0.9)
    assert answer(record, "healthy.spared").verdict is Verdict.INCONCLUSIVE


def test_a_p99_above_the_limit_fails() -> None:
    record = kept()
    record.results.series["healthy"][10] = latencies(0.9)
    assert answer(record, LATENCY).reason == (
        "the p99 of the healthy latency was 900 ms (asked: < 0.25)"
    )


def test_events_that_never_came_are_later_than_any_that_did() -> None:
    record = kept()
    record.results.clients[1] = client("healthy-2", expected=1_000)
    found = answer(record, LATENCY)
    assert found.verdict is Verdict.FAIL
    assert found.seen.startswith("never; p50 2.0 ms, p95 never")


def test_clocks_that_differ_make_latency_inconclusive() -> None:
    record = kept()
    record.results.series["healthy"] = {second: latencies(-0.5) for second in range(3, 23)}
    assert "the clocks" in answer(record, LATENCY).reason


def test_a_p99_that_rises_with_the_faults_fails() -> None:
    record = kept()
    for second in range(12, 15):
        record.results.series["healthy"][second] = latencies(0.2)
    assert answer(record, BLAST).reason == (
        "the p99 of the healthy latency in the window faults was 200 ms"
        " (asked: <= max(5 * healthy.latency.p99[baseline], 0.05), which is 50 ms)"
    )


def test_a_rise_from_two_to_twenty_milliseconds_is_noise() -> None:
    record = kept()
    for second in range(12, 15):
        record.results.series["healthy"][second] = latencies(0.02)
    assert answer(record, BLAST).verdict is Verdict.PASS


def test_too_few_pushes_to_compare_are_inconclusive() -> None:
    record = kept()
    record.results.series["healthy"] = {20: latencies(0.002)}
    assert "only 0 pushes were timed in the window baseline" in answer(record, BLAST).reason


# The server's record against what the clients saw


def test_a_close_for_a_policy_without_an_eviction_on_record_is_a_contradiction() -> None:
    record = kept()
    of(record, "healthy-1").closed_at = 9.5
    of(record, "healthy-1").closed_code = 1013
    assert answer(record, "truth").reason == (
        "the server's record and the clients contradict each other:"
        " healthy-1: closed with 1013, and no eviction is on record"
    )


def test_another_code_than_the_one_on_record_is_a_contradiction() -> None:
    record = kept()
    of(record, "stalled-1").released = False
    of(record, "stalled-1").closed_at = 24.0
    of(record, "stalled-1").closed_code = 1008
    assert "evicted with 1013, and it saw 1008" in answer(record, "truth").reason


def test_an_evicted_reader_whose_connection_never_ended_is_a_contradiction() -> None:
    record = kept()
    record.server.evictions.append(EvictionRecord(client="healthy-2", reason="no_pong", at=9.5))
    found = answer(record, "truth")
    assert found.verdict is Verdict.FAIL
    assert "evicted for no_pong, and its connection never ended" in found.seen


def test_a_client_that_does_not_read_cannot_contradict() -> None:
    record = kept()
    of(record, "stalled-1").released = False
    assert answer(record, "truth").verdict is Verdict.PASS


def told(record: Record, *, published: int, delivered: int) -> Record:
    record.server.started_here = True
    record.server.samples[-1].published = published
    record.server.samples[-1].delivered = delivered
    return record


def test_counters_that_fit_what_came_agree() -> None:
    record = told(kept(), published=DUE, delivered=2 * DUE + 1_500)
    assert answer(record, "truth").verdict is Verdict.PASS


def test_fewer_events_on_record_than_were_accepted_are_a_contradiction() -> None:
    record = told(kept(), published=DUE - 1, delivered=2 * DUE + 1_500)
    assert "it counts 1 999 events and accepted 2 000" in answer(record, "truth").reason


def test_fewer_deliveries_on_record_than_were_received_are_a_contradiction() -> None:
    record = told(kept(), published=DUE, delivered=DUE)
    assert "it counts 2 000 deliveries, 5 500 were received" in answer(record, "truth").reason


def test_counters_of_a_run_that_was_cut_short_are_not_compared() -> None:
    record = told(kept(), published=DUE - 1, delivered=DUE)
    record.interrupted_at = 15.0
    assert answer(record, "truth").verdict is Verdict.PASS


def test_without_a_record_of_the_servers_there_is_nothing_to_compare() -> None:
    assert "truth" not in [answer.key for answer in judge(outside()).answers]


# A machine that is busy with something else


def busy(record: Record) -> Record:
    """Let the server have waited for a core for 40 % of the time."""
    samples = [
        ServerSample(at=at / 4, connections=2, clients=2, closing=0, waited=at / 10)
        for at in range(97)
    ]
    record.server.samples = samples
    return record


def test_what_came_late_on_a_busy_machine_is_nobodys_fault() -> None:
    record = busy(kept())
    record.results.series["healthy"][10] = latencies(0.9)
    found = answer(record, LATENCY)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "but the machine had no core free for the server (40% of the time)" in found.reason


def test_what_was_in_time_on_a_busy_machine_was_in_time() -> None:
    assert judge(busy(kept())).verdict is Verdict.PASS


def test_a_late_eviction_on_a_busy_machine_leaves_the_question_open() -> None:
    record = busy(kept())
    leave_alone(record, "stalled-1")
    late = EvictionRecord(client="stalled-1", reason="send_timeout", at=FAULTS + 7.2, gone_at=15.5)
    record.server.evictions.append(late)
    assert answer(record, "evicted.stalled").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("changes", [{"gaps": 3}, {"duplicates": 1}, {"disordered": 2}])
def test_what_was_lost_on_a_busy_machine_was_lost_all_the_same(changes: dict[str, Any]) -> None:
    record = busy(kept())
    record.results.clients[1] = client("healthy-2", **changes)
    assert answer(record, "healthy.complete").verdict is Verdict.FAIL


def test_a_client_that_is_never_evicted_stays_so_on_a_busy_machine() -> None:
    record = busy(kept())
    leave_alone(record, "stalled-1")
    assert answer(record, "evicted.stalled").verdict is Verdict.FAIL


# Heartbeats


def silent(*, manager: str = "flock_ws.manager:WebSocketManager") -> Record:
    """Return a run with a client that came to answer no ping, and was not dropped for it."""
    server = {"heartbeat_interval": 1.0, "pong_timeout": 2.0}
    cohorts = (*SCENARIO.cohorts, Cohort(name="never_pongs", user="never_pongs", count=1))
    record = kept(SCENARIO.changed(cohorts=cohorts, server=server))
    record.server.manager, record.server.started_here = manager, True
    record.results.clients.append(client("never_pongs-1"))
    return record


def test_a_client_that_answers_no_ping_and_stays_fails() -> None:
    found = answer(silent(), "evicted.never_pongs")
    assert found.reason == "never_pongs clients were never evicted"
    assert "heartbeat interval 1 s, pong timeout 2 s" in found.expected


def test_a_foreign_manager_that_pings_nobody_cannot_tell() -> None:
    found = answer(silent(manager="theirs:Manager"), "evicted.never_pongs")
    assert (found.verdict, found.seen) == (Verdict.NOT_OFFERED, "no ping was seen")


def test_a_foreign_manager_that_pings_is_held_to_it() -> None:
    record = silent(manager="theirs:Manager")
    record.results.ping_intervals = latencies(1.0)
    assert answer(record, "evicted.never_pongs").verdict is Verdict.FAIL


def test_a_server_that_was_there_already_is_not_held_to_the_scenarios_heartbeat() -> None:
    record = silent()
    record.server.started_here = False
    assert answer(record, "evicted.never_pongs").verdict is Verdict.NOT_OFFERED


def test_a_keepalive_that_drops_them_in_place_of_the_manager_fails() -> None:
    record = silent()
    left = PresenceRecord(client="never_pongs-1", seen_at=1.0, gone_at=FAULTS + 3)
    record.server.presences.append(left)
    reason = answer(record, "evicted.never_pongs").reason
    assert reason == "never_pongs clients were dropped by the server, not for their missing pongs"


# What is left


def test_an_evicted_client_whose_connection_stays_is_a_zombie() -> None:
    record = kept()
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = None
    assert answer(record, "zombies").reason == (
        "1 evicted clients still had their connection at the end"
    )


def test_a_connection_that_goes_late_fails() -> None:
    record = kept()
    record.server.evictions[1].gone_at = LEFT["stalled"] + 5
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = LEFT["stalled"] + 5
    assert "stayed for 5.0 s" in answer(record, "zombies").reason


def test_an_eviction_just_before_the_end_leaves_the_question_open() -> None:
    record = kept()
    record.server.evictions[1].at = 23.5
    record.server.evictions[1].gone_at = None
    stays = next(one for one in record.server.presences if one.client == "stalled-1")
    stays.gone_at = None
    assert answer(record, "zombies").verdict is Verdict.INCONCLUSIVE


# The run itself


def test_a_server_that_died_is_the_first_reason_and_takes_its_consequences_with_it() -> None:
    record = kept()
    record.server.died_at, record.server.death = 12.0, "its process ended with signal 9"
    record.publishing = (START, 12.0)
    assert record.publisher is not None
    record.publisher.refusals = {"ConnectionRefusedError": 4}
    leave_alone(record, "slow-1", "stalled-1")
    for one in record.results.clients[:2]:
        one.expected, one.closed_at = 900, 12.0
    judgement = judge(record)
    assert judgement.exit_code == 1
    assert judgement.reasons == (
        "the server died 12 s into the run: its process ended with signal 9",
    )


def test_a_client_that_never_connected_makes_the_run_inconclusive() -> None:
    record = kept()
    record.results.clients[1] = ClientRecord(name="healthy-2", cohort="healthy", error="refused")
    assert answer(record, "run.load").reason == "1 of 5 clients never connected: refused"


def test_an_interrupted_run_is_inconclusive_and_says_when() -> None:
    record = kept()
    record.interrupted_at = 15.0
    assert judge(record).exit_code == 3
    assert "interrupted 15 s into it" in judge(record).line


def test_what_was_due_when_a_run_was_cut_short_is_not_missed() -> None:
    record = kept()
    record.interrupted_at = 15.0
    assert record.publisher is not None
    record.publisher.due = DUE + 1
    assert answer(record, "healthy.complete").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lag": latencies(0.3)}, "the load generator was the bottleneck: its loop lagged 300 ms"),
        ({"cpu": 0.97}, "the load generator was the bottleneck: it used 97% of a core"),
        ({"error": "it was killed"}, "the load generator failed: it was killed"),
    ],
)
def test_a_generator_in_trouble_withdraws_what_it_measured(
    changes: dict[str, Any], reason: str
) -> None:
    record = kept()
    record.results.generator = record.results.generator.model_copy(update=changes)
    record.results.series["healthy"][10] = latencies(0.9)
    judgement = judge(record)
    assert answer(record, LATENCY).verdict is Verdict.INCONCLUSIVE
    assert judgement.exit_code == 3
    assert reason in judgement.line


def test_a_late_publisher_of_our_own_withdraws_latency_too() -> None:
    record = kept()
    assert record.publisher is not None
    record.publisher.late = 0.4
    assert "the publisher's own timer was 400 ms late" in answer(record, "run.generator").reason


# Together


def test_a_broken_promise_beats_an_open_question() -> None:
    record = kept()
    leave_alone(record, "slow-1", "stalled-1")
    record.publishing = (START, FAULTS + 2.0)
    record.results.clients[1] = client("healthy-2", duplicates=1)
    judgement = judge(record)
    assert (judgement.exit_code, judgement.reasons) == (
        1,
        ("healthy clients got 1 events twice",),
    )


def test_a_manager_that_waits_for_all_gives_its_reasons_in_order_of_weight() -> None:
    record = kept()
    leave_alone(record, "slow-1", "stalled-1")
    assert record.publisher is not None
    record.publisher.longest = 12.0
    record.publisher.blocks = [Block(at=11.0, seconds=12.0, returned=False)]
    for index in (0, 1):
        record.results.clients[index] = client(f"healthy-{index + 1}", expected=600)
    assert judge(record).line == (
        "FAIL: stalled and slow clients were never evicted;"
        " the publisher was blocked for 12 s (asked: < 1);"
        " healthy clients missed up to 1 400 of 2 000 events;"
        " healthy.latency.p99 was never (asked: < 0.25); and 1 more"
    )


def test_what_is_not_offered_is_said_beside_a_pass() -> None:
    offered = Answer(key="a", question="?", expected="", seen="", verdict=Verdict.PASS)
    absent = Answer(key="b", question="?", expected="", seen="", verdict=Verdict.NOT_OFFERED)
    judgement = Judgement((offered, absent))
    assert judgement.line == (
        "PASS: 1 questions answered as expected, 1 not offered by this server"
    )
