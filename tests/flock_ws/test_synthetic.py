import asyncio
from typing import Any

import pytest

from flock_ws.events import StreamingOutputEvent
from flock_ws.synthetic import AGENT, publish_steadily
from simulators.clock import SimLoop


class Recorder:
    """Notes when each event was published, and may take its time over some."""

    def __init__(self, *, pauses: dict[int, float] | None = None) -> None:
        self.events: list[StreamingOutputEvent] = []
        self.times: list[float] = []
        self._pauses = pauses or {}

    async def broadcast(self, event: StreamingOutputEvent) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._pauses.get(event.sequence, 0))


def published(manager: Any, *, rate: float, seconds: float) -> None:
    async def work() -> None:
        task = asyncio.create_task(publish_steadily(manager, rate=rate))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait({task})

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(work())


def test_the_rate_does_not_drift() -> None:
    recorder = Recorder()
    published(recorder, rate=7, seconds=99.99)
    assert len(recorder.times) == 700
    assert recorder.times == pytest.approx([number / 7 for number in range(700)])


def test_the_sequence_runs_from_zero_within_one_run() -> None:
    recorder = Recorder()
    published(recorder, rate=10, seconds=0.95)
    assert [event.sequence for event in recorder.events] == list(range(10))
    assert {event.agent_name for event in recorder.events} == {AGENT}
    assert len({event.run_id for event in recorder.events}) == 1


def test_an_event_has_three_hundred_bytes() -> None:
    recorder = Recorder()
    published(recorder, rate=10, seconds=0.95)
    assert all(280 <= len(event.model_dump_json()) <= 320 for event in recorder.events)


def test_a_short_delay_is_made_up_for() -> None:
    recorder = Recorder(pauses={5: 0.5})
    published(recorder, rate=10, seconds=9.95)
    assert [event.sequence for event in recorder.events] == list(range(100))


def test_what_a_long_delay_left_out_is_no_hole_in_the_sequence() -> None:
    recorder = Recorder(pauses={5: 5.0})
    published(recorder, rate=10, seconds=9.95)
    assert [event.sequence for event in recorder.events] == list(range(len(recorder.events)))
    assert 55 <= len(recorder.events) <= 65


def test_a_failing_manager_is_logged_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Recorder):
        async def broadcast(self, event: StreamingOutputEvent) -> None:
            await super().broadcast(event)
            raise OSError("broken")

    recorder = Failing()
    published(recorder, rate=10, seconds=0.95)
    assert (len(recorder.events), len(caplog.records)) == (10, 1)
