import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flock_ws import paging
from flock_ws.events import StreamingOutputEvent


def streamed(sequence: int, *, run_id: str = "r") -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        agent_name="writer",
        run_id=run_id,
        output_type="log",
        content="text",
        sequence=sequence,
    )


def written(head: dict[str, Any], events: list[Any]) -> Any:
    async def collect() -> list[str]:
        return [piece async for piece in paging.write_page(head, events)]

    return json.loads("".join(asyncio.run(collect())))


def test_a_marked_event_is_found_again() -> None:
    events = [streamed(number) for number in range(5)]
    assert paging.position(events, paging.mark(events, 3)) == 3


def test_a_mark_moves_with_its_event_when_old_ones_are_forgotten() -> None:
    events = [streamed(number) for number in range(5)]
    assert paging.position(events[2:], paging.mark(events, 3)) == 1


def test_a_mark_stays_with_its_event_when_new_ones_come() -> None:
    events = [streamed(number) for number in range(5)]
    name = paging.mark(events, 3)
    assert paging.position([*events, streamed(5), streamed(6)], name) == 3


def test_equal_sequences_of_two_runs_are_told_apart() -> None:
    events = [streamed(0, run_id="a"), streamed(0, run_id="b"), streamed(0, run_id="c")]
    assert paging.position(events, paging.mark(events, 1)) == 1


def test_events_that_are_all_alike_are_counted() -> None:
    events = [streamed(0)] * 5
    assert [paging.position(events, paging.mark(events, at)) for at in range(5)] == [0, 1, 2, 3, 4]


def test_a_forgotten_mark_stands_at_the_old_end() -> None:
    events = [streamed(number) for number in range(5)]
    assert paging.position(events[4:], paging.mark(events, 3)) == 0


def test_a_mark_fits_into_an_address() -> None:
    name = paging.mark([streamed(0, run_id="é/?&=+ \ud83d\ude00")], 0)
    assert name.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("name", ["", "nonsense", "WzFd", "é", "W10", "WyJ4IiwxLDIsM10"])
def test_what_is_no_mark_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no mark"):
        paging.position([streamed(0)], name)


def test_events_that_are_dictionaries_are_paged_too() -> None:
    events = [{"sequence": number} for number in range(5)]
    assert paging.position(events, paging.mark(events, 3)) == 3


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 600])
def test_a_page_of_any_length_is_one_json_object(count: int) -> None:
    page = written({"total": count}, [streamed(number) for number in range(count)])
    assert (page["total"], [event["sequence"] for event in page["events"]]) == (
        count,
        list(range(count)),
    )


def test_a_page_of_dictionaries_is_written_as_they_are() -> None:
    assert written({}, [{"a": 1}])["events"] == [{"a": 1}]
