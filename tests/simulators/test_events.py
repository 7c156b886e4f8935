"""The events that generators make, and the tapes that hold them."""

import itertools
import json
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flock_ws.events import (
    EVENT_KINDS,
    AgentActivatedEvent,
    AgentCompletedEvent,
    AgentErrorEvent,
    BatchItemAddedEvent,
    CorrelationGroupUpdatedEvent,
    DashboardEvent,
    MessagePublishedEvent,
    StreamingOutputEvent,
)
from simulators.errors import OptionError, SimulatorError
from simulators.events import (
    START,
    Tape,
    agent_run,
    agent_runs,
    numbered_events,
)


def texts(events: Any, count: int | None = None) -> list[str]:
    return [event.model_dump_json() for event in itertools.islice(events, count)]


@pytest.fixture(scope="module")
def tape() -> Tape:
    return Tape.of(seed=7, count=6_000, error_rate=0.2)


class TestOneRun:
    def test_it_goes_from_activation_through_output_and_message_to_completion(self) -> None:
        events = list(agent_run(seed=1, tokens=12))
        kinds = [type(event) for event in events]
        published = kinds.count(MessagePublishedEvent)

        assert kinds == [
            AgentActivatedEvent,
            *[StreamingOutputEvent] * 12,
            *[MessagePublishedEvent] * published,
            AgentCompletedEvent,
        ]
        assert published >= 1

    @pytest.mark.parametrize("tokens", [1, 2, 40])
    def test_its_output_is_numbered_without_a_gap_and_only_the_last_is_final(
        self, tokens: int
    ) -> None:
        output = [
            event
            for event in agent_run(seed=2, tokens=tokens)
            if isinstance(event, StreamingOutputEvent)
        ]

        assert [event.sequence for event in output] == list(range(tokens))
        assert [event.is_final for event in output] == [False] * (tokens - 1) + [True]
        assert output[-1].artifact_id is not None

    @pytest.mark.parametrize("seed", range(5))
    def test_one_that_fails_breaks_off_with_an_error_that_has_a_traceback(self, seed: int) -> None:
        events = list(agent_run(seed=seed, fails=True, agent_name="planner"))
        error = events[-1]

        assert isinstance(error, AgentErrorEvent)
        assert error.traceback.startswith("Traceback (most recent call last):\n")
        assert error.traceback.endswith(f"{error.error_type}: {error.error_message}\n")
        assert "planner.py" in error.traceback
        assert not any(isinstance(event, AgentCompletedEvent) for event in events)
        assert not any(isinstance(e, StreamingOutputEvent) and e.is_final for e in events)

    def test_everything_in_it_belongs_together(self) -> None:
        events = list(agent_run(seed=3, agent_name="me", correlation_id="c-1"))
        completed = events[-1]
        published = [event for event in events if isinstance(event, MessagePublishedEvent)]

        assert isinstance(completed, AgentCompletedEvent)
        assert completed.artifacts_produced == [event.artifact_id for event in published]
        assert {getattr(event, "agent_name", "me") for event in events} == {"me"}
        assert {getattr(event, "correlation_id", None) for event in events} == {"c-1"}
        assert len({getattr(event, "run_id", completed.run_id) for event in events}) == 1

    def test_its_duration_is_that_of_its_times(self) -> None:
        events = list(agent_run(seed=4))
        first, last = events[0], events[-1]

        assert isinstance(last, AgentCompletedEvent)
        took = (last.timestamp - first.timestamp) / timedelta(milliseconds=1)
        assert last.duration_ms == pytest.approx(took, abs=0.001)

    def test_times_follow_from_the_start_and_rise(self) -> None:
        start = datetime(2030, 5, 1, tzinfo=UTC)
        times = [event.timestamp for event in agent_run(seed=5, start=start)]

        assert times == sorted(times)
        assert start < times[0] < start + timedelta(seconds=1)

    def test_a_stamp_gives_the_times_when_asked(self) -> None:
        moment = datetime(2040, 1, 1, tzinfo=UTC)

        assert {event.timestamp for event in agent_run(stamp=lambda: moment)} == {moment}

    def test_a_run_without_output_is_refused(self) -> None:
        with pytest.raises(OptionError, match="tokens must be at least 1, not 0"):
            agent_run(tokens=0)


class TestManyRuns:
    def test_the_same_seed_gives_the_same_events(self) -> None:
        assert texts(agent_runs(seed=11), 500) == texts(agent_runs(seed=11), 500)
        assert texts(agent_run(seed=11)) == texts(agent_run(seed=11))

    def test_another_seed_gives_others(self) -> None:
        assert texts(agent_runs(seed=11), 5) != texts(agent_runs(seed=12), 5)

    def test_the_same_seed_gives_the_same_events_in_another_process(self) -> None:
        script = (
            "import itertools; from simulators.events import agent_runs\n"
            "for e in itertools.islice(agent_runs(seed=3), 200): print(ascii(e.model_dump_json()))"
        )
        printed = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout.splitlines()

        assert printed == [ascii(text) for text in texts(agent_runs(seed=3), 200)]

    def test_all_kinds_of_event_occur(self, tape: Tape) -> None:
        assert {type(event).__name__ for event in tape.events} == set(EVENT_KINDS)

    def test_runs_of_several_agents_are_interleaved_and_none_has_a_gap(self, tape: Tape) -> None:
        sequences: defaultdict[str, list[int]] = defaultdict(list)
        order: list[str] = []
        for event in tape.events:
            if isinstance(event, StreamingOutputEvent):
                sequences[event.run_id].append(event.sequence)
                order.append(event.agent_name)

        assert all(seen == list(range(len(seen))) for seen in sequences.values())
        assert len(set(order)) == 3
        assert sum(one != other for one, other in itertools.pairwise(order)) > len(order) / 2

    def test_times_rise_over_all_agents(self, tape: Tape) -> None:
        times = [event.timestamp for event in tape.events]

        assert times == sorted(times)
        assert times[0] > START

    @pytest.mark.parametrize(("rate", "failed"), [(0.0, {False}), (1.0, {True})])
    def test_the_error_rate_is_the_share_of_runs_that_fail(
        self, rate: float, failed: set[bool]
    ) -> None:
        ends = {
            isinstance(event, AgentErrorEvent)
            for event in itertools.islice(agent_runs(error_rate=rate), 1_000)
            if isinstance(event, AgentErrorEvent | AgentCompletedEvent)
        }

        assert ends == failed

    def test_text_is_not_all_ascii_and_output_is_not_all_tokens(self, tape: Tape) -> None:
        output = [event for event in tape.events if isinstance(event, StreamingOutputEvent)]

        assert {event.output_type for event in output} == {"llm_token", "log", "stdout", "stderr"}
        assert any(not event.content.isascii() for event in output)

    def test_batches_and_groups_fill_up(self, tape: Tape) -> None:
        batches = [event for event in tape.events if isinstance(event, BatchItemAddedEvent)]
        groups = [event for event in tape.events if isinstance(event, CorrelationGroupUpdatedEvent)]

        assert any(batch.items_remaining == 0 for batch in batches)
        assert all(group.is_complete == (not group.waiting_for) for group in groups)

    def test_more_agents_than_roles_get_numbered_names(self) -> None:
        names = {
            event.agent_name
            for event in itertools.islice(agent_runs(agents=10), 500)
            if isinstance(event, AgentActivatedEvent)
        }

        assert len(names) == 10

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"agents": 0}, "agents must be at least 1, not 0"),
            ({"error_rate": 1.5}, "error_rate must be from 0 to 1, not 1.5"),
            ({"tokens": -1}, "tokens must be at least 1, not -1"),
        ],
    )
    def test_impossible_options_are_named(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(OptionError, match=match):
            agent_runs(**options)


class TestFaker:
    def test_a_missing_faker_is_named_with_its_cure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "faker", None)

        with pytest.raises(SimulatorError, match=r"pip install 'flock-ws\[testing\]'"):
            agent_run()
        assert next(numbered_events()).sequence == 0

    def test_importing_the_module_does_not_import_faker(self) -> None:
        script = "import sys, simulators.events; sys.exit('faker' in sys.modules)"

        done = subprocess.run([sys.executable, "-c", script], check=False)  # noqa: S603 - the same
        assert done.returncode == 0


class TestNumberedEvents:
    def test_they_are_numbered_from_the_start_on(self) -> None:
        events = list(itertools.islice(numbered_events(start=5, run_id="r"), 4))

        assert [event.sequence for event in events] == [5, 6, 7, 8]
        assert {event.run_id for event in events} == {"r"}

    @pytest.mark.parametrize("size", [300, 1_000, 50_000])
    def test_they_are_about_as_long_as_asked_for(self, size: int) -> None:
        lengths = {len(text) for text in texts(numbered_events(size_bytes=size), 200)}

        assert all(abs(length - size) <= 10 for length in lengths)

    def test_they_carry_the_time_at_which_they_are_made(self) -> None:
        before = datetime.now(UTC)
        event = next(numbered_events())

        assert before <= event.timestamp <= datetime.now(UTC)

    def test_they_carry_another_time_when_asked(self) -> None:
        assert next(numbered_events(stamp=lambda: START)).timestamp == START


class TestTape:
    def test_it_plays_its_events_again_and_again(self) -> None:
        tape = Tape.of(seed=1, count=10)
        played = list(itertools.islice(tape.play(), 25))

        assert len(tape) == 10
        assert played == [*tape.events, *tape.events, *tape.events[:5]]

    def test_it_plays_more_than_100_000_events_a_second(self, tape: Tape) -> None:
        started = time.process_time()
        for _ in itertools.islice(tape.play(), 200_000):
            pass

        assert time.process_time() - started < 2.0

    def test_its_texts_are_its_events(self) -> None:
        tape = Tape.of(seed=1, count=50)

        assert list(tape.texts) == texts(tape.events)

    def test_it_records_what_there_is(self) -> None:
        events = list(agent_run(tokens=3))

        assert list(Tape.record(events, 1_000).events) == events
        assert list(Tape.record(events, 2).events) == events[:2]

    def test_an_empty_one_is_refused(self) -> None:
        with pytest.raises(OptionError, match="at least one event"):
            Tape([])

    def test_it_is_the_same_after_writing_and_reading(self, tape: Tape, tmp_path: Path) -> None:
        path = tmp_path / "tape.jsonl"
        tape.write(path)

        assert Tape.read(path).events == tape.events

    def test_a_line_names_the_kind_and_holds_the_event(self, tmp_path: Path) -> None:
        path = tmp_path / "tape.jsonl"
        event: DashboardEvent = next(numbered_events())
        Tape([event]).write(path)

        assert json.loads(path.read_text(encoding="utf-8")) == {
            "kind": "StreamingOutputEvent",
            "event": event.model_dump(mode="json"),
        }

    @pytest.mark.parametrize(
        ("line", "match"),
        [
            ("{", r'tape.jsonl:3: not JSON .*expected {"kind": "…", "event": {…}}'),
            ("[1]", r'tape.jsonl:3: expected {"kind": "…", "event": {…}}, not \[1\]'),
            ('{"event": {}}', r"tape.jsonl:3: expected"),
            ('{"kind": "X", "event": {}}', r"3: unknown kind 'X'; expected one of AgentActivated"),
            ('{"kind": "AgentErrorEvent", "event": 3}', r"3: not a AgentErrorEvent: event: Input"),
            (
                '{"kind": "StreamingOutputEvent", "event": {"sequence": "x"}}',
                r"3: not a StreamingOutputEvent: correlation_id: Field required; .*sequence: Input",
            ),
        ],
    )
    def test_a_malformed_line_is_named_with_what_was_expected(
        self, tmp_path: Path, line: str, match: str
    ) -> None:
        path = tmp_path / "tape.jsonl"
        Tape([next(numbered_events())]).write(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")

        with pytest.raises(SimulatorError, match=match):
            Tape.read(path)

    def test_a_file_without_events_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.jsonl"
        path.write_text("\n")

        with pytest.raises(SimulatorError, match=r"empty.jsonl: no events"):
            Tape.read(path)
