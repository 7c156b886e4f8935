from loadtests.record import ReturnRecord
from loadtests.report import fates
from loadtests.report.documents import Run


def of(run: Run, name: str) -> fates.Fate:
    every = [fate for cohort in fates.fates(run.record).values() for fate in cohort]
    return next(fate for fate in every if fate.client == name)


def test_a_fate_runs_from_the_fault_to_the_eviction_and_the_end_of_the_socket(kept: Run) -> None:
    fate = of(kept, "stalled-1.t")
    assert (fate.faulty_at, fate.out_at, fate.gone_at) == (5.0, 8.0, 9.5)
    assert (fate.delay, fate.reason) == (3.0, "send_timeout")


def test_who_behaved_to_the_end_has_no_fate(kept: Run) -> None:
    assert set(fates.fates(kept.record)) == {"stalled", "dead"}


def test_who_was_dropped_without_a_fault_has_one(kept: Run) -> None:
    victim = kept.record.results.clients[0]
    victim.closed_at, victim.closed_code = 6.0, 1013
    fate = of(kept, victim.name)
    assert (fate.out_at, fate.reason, fate.delay) == (6.0, "closed with 1013", None)


def test_who_died_is_out_when_its_endpoint_ended(kept: Run) -> None:
    fate = of(kept, "dead-1.t")
    assert (fate.died, fate.delay, fate.reason) == (True, 0.25, "endpoint ended")


def test_the_worst_comes_first(kept: Run) -> None:
    assert [fate.client for fate in fates.fates(kept.record)["stalled"]] == [
        "stalled-2.t",
        "stalled-1.t",
    ]


def test_who_was_never_dropped_is_said_to_be(broken: Run) -> None:
    assert of(broken, "stalled-1.t").told.endswith("never dropped")
    assert "2 of them, 2 never dropped" in fates.drawn(broken.record)


def test_who_is_to_be_kept_was_not_forgotten(kept: Run) -> None:
    kept.record.scenario["cohorts"][1]["user"] = "pulsing"
    kept.record.server.evictions = []
    assert of(kept, "stalled-1.t").told.endswith("kept, as it should be")


def test_who_leaves_and_returns_was_not_dropped(kept: Run) -> None:
    one = kept.record.results.clients[3]
    one.returns = [ReturnRecord(dropped_at=5.0, back_at=6.0), ReturnRecord(dropped_at=8.0)]
    fate = of(kept, one.name)
    assert (fate.out_at, fate.away) == (None, ((5.0, 6.0), (8.0, 13.0)))
    assert "left 2 times by itself" in fate.told


def test_of_many_alike_the_drawing_shows_some_and_counts_the_rest(kept: Run) -> None:
    model = kept.record.results.clients[3]
    kept.record.results.clients += [
        model.model_copy(update={"name": f"stalled-{n}.t"}) for n in range(3, 33)
    ]
    assert "32 of them" in fates.drawn(kept.record)
    assert "22 more not drawn" in fates.drawn(kept.record)
