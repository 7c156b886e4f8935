import json
from typing import Any

import pytest

from loadtests.readings import read_history
from loadtests.record import HistoryReading


def reading(answer: object, *, status: int = 200, run_id: str | None = "r") -> HistoryReading:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_history(
        body, client="one", at=1.0, status=status, seconds=0.5, known=4, run_id=run_id
    )


def events(*numbers: int, run_id: str = "r") -> list[dict[str, Any]]:
    return [{"run_id": run_id, "sequence": number} for number in numbers]


def test_a_page_is_counted_and_its_newest_event_named() -> None:
    seen = reading({"events": events(3, 4, 5), "total": 3})
    assert (seen.total, seen.events, seen.newest, seen.whole) == (3, 3, 5, True)
    assert (seen.client, seen.at, seen.seconds, seen.known) == ("one", 1.0, 0.5, 4)


def test_a_bare_list_will_do() -> None:
    assert reading(events(1, 2)).newest == 2


def test_a_hole_in_the_numbers_is_seen() -> None:
    assert not reading({"events": events(3, 5)}).whole


def test_events_of_others_count_for_the_size_only() -> None:
    seen = reading({"events": [*events(8), *events(1, 2, run_id="other")]})
    assert (seen.total, seen.events, seen.newest) == (3, 1, 8)


def test_without_a_run_the_newest_events_run_is_looked_at() -> None:
    seen = reading({"events": [*events(8), *events(1, 2, run_id="other")]}, run_id=None)
    assert (seen.events, seen.newest) == (2, 2)


@pytest.mark.parametrize("answer", [b"no json", [], {}, {"events": 7}, 7, None])
def test_an_answer_without_events_is_empty(answer: object) -> None:
    seen = reading(answer)
    assert (seen.total, seen.newest, seen.status) == (0, None, 200)


def test_a_refusal_is_not_read() -> None:
    assert reading({"events": events(1)}, status=404).total == 0
