from loadtests.report.documents import Run
from loadtests.report.ledger import closes, entries


def test_the_ledger_has_a_line_for_each_cohort(kept: Run) -> None:
    found = {entry.cohort: entry for entry in entries(kept.record)}
    assert list(found) == ["healthy", "stalled", "dead"]
    healthy = found["healthy"]
    assert (healthy.clients, healthy.delivered, healthy.lost, healthy.dropped) == (3, 300, 0, 0)
    assert (found["stalled"].dropped, found["dead"].dropped) == (2, 1)


def test_of_the_healthy_the_tail_that_never_came_is_lost_too(broken: Run) -> None:
    broken.record.server.died_at = None
    healthy = entries(broken.record)[0]
    assert healthy.lost == 3 * 50


def test_what_who_misbehaves_did_not_read_is_not_lost(kept: Run) -> None:
    assert {entry.cohort: entry.lost for entry in entries(kept.record)}["stalled"] == 0


def test_closes_are_counted_as_seen_and_as_told(kept: Run) -> None:
    rows = [(row.cohort, row.code, row.by, row.seen, row.told) for row in closes(kept.record)]
    assert rows == [("stalled", 1013, "server", 0, 2), ("dead", 1006, "client", 1, None)]


def test_a_close_that_a_client_saw_is_not_told_twice(kept: Run) -> None:
    one = kept.record.results.clients[3]
    one.closed_at, one.closed_code, one.closed_reason = 8.0, 1013, "too slow"
    found = [row for row in closes(kept.record) if row.cohort == "stalled"]
    assert [(row.seen, row.told, row.reason) for row in found] == [(1, 2, "too slow")]
