import io
from typing import Any

import pytest

from loadtests.answers import Answer, Verdict
from loadtests.catalogue import built_in
from loadtests.live import Progress
from loadtests.metrics import METRICS
from loadtests.record import ServerRecord
from loadtests.run import Begun
from loadtests.terminal import Terminal
from loadtests.verdict import Judgement

STORM = built_in("storm")
HEADS = {"", "clients", "events", "faults", "pipe"}


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def judgement(verdict: Verdict, reason: str = "") -> Judgement:
    answer = Answer(
        key="healthy.spared",
        question="Was a healthy client ever evicted?",
        expected="none",
        seen="0 of 40 [sic]",
        verdict=verdict,
        reason=reason,
    )
    return Judgement((answer,))


def begun(*, publishing: bool = True) -> Begun:
    server = ServerRecord(url="ws://127.0.0.1:1/ws", manager="m:M", started_here=True, tuned=True)
    return Begun(scenario=STORM, server=server, publishing=publishing)


def progress(**changes: Any) -> Progress:
    fields: dict[str, Any] = {
        "time": 12.3,
        "clients": 40,
        "asked": 55,
        "published": 900,
        "received": 35_992,
        "evicted": 10,
        "p99": 0.0031,
        "blocked": 0.0,
    }
    return Progress(**(fields | changes))


def test_the_table_shows_question_expectation_sight_and_verdict() -> None:
    stream = io.StringIO()
    Terminal(stream).judgement(judgement(Verdict.PASS))
    text = stream.getvalue()
    for part in ("Was a healthy client ever", "none", "0 of 40 [sic]", "PASS"):
        assert part in text


def test_the_last_line_is_the_verdict_with_its_reason() -> None:
    stream = io.StringIO()
    Terminal(stream).judgement(judgement(Verdict.FAIL, "a healthy client was dropped: healthy-3"))
    assert stream.getvalue().splitlines()[-1] == "FAIL: a healthy client was dropped: healthy-3"


def test_what_is_no_terminal_gets_no_escape_codes() -> None:
    stream = io.StringIO()
    Terminal(stream).judgement(judgement(Verdict.FAIL, "x"))
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Tty()
    Terminal(stream).judgement(judgement(Verdict.FAIL, "x"))
    assert "\x1b[1;31m" in stream.getvalue()


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Tty()
    Terminal(stream).judgement(judgement(Verdict.FAIL, "x"))
    assert "\x1b" not in stream.getvalue()


def test_the_head_says_what_is_about_to_happen_and_how_much_fills_the_pipe() -> None:
    stream = io.StringIO()
    Terminal(stream).begun(begun())
    text = stream.getvalue()
    assert "40 healthy, 5 slow, 5 stalled" in text
    assert "absorbs 106 496 bytes" in text


def test_what_is_too_long_for_a_line_goes_on_below_itself() -> None:
    stream = io.StringIO()
    Terminal(stream, width=60).begun(begun())
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert len(lines) > 8
    assert all(line[:9].strip() in {"scenario", "server", *HEADS} for line in lines)


def test_a_run_that_only_listens_promises_no_rate() -> None:
    stream = io.StringIO()
    Terminal(stream).begun(begun(publishing=False))
    assert "not published by this run" in stream.getvalue()
    assert "at this rate" not in stream.getvalue()


def test_progress_is_one_line() -> None:
    stream = io.StringIO()
    Terminal(stream).progress(progress())
    assert stream.getvalue() == (
        "  12 s  clients 40/55  published 900  received 35 992  evicted 10  p99 3.1 ms\n"
    )


def test_progress_tells_of_a_blocked_publisher() -> None:
    stream = io.StringIO()
    Terminal(stream).progress(progress(blocked=7.25))
    assert "publisher blocked for 7.2 s" in stream.getvalue()


def test_progress_leaves_out_what_is_not_known() -> None:
    stream = io.StringIO()
    Terminal(stream).progress(progress(published=None, evicted=None, p99=0.0))
    assert stream.getvalue() == "  12 s  clients 40/55  received 35 992  p99 -\n"


def test_between_two_lines_of_progress_there_are_three_seconds() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for step in range(14):
        terminal.progress(progress(time=step / 2))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["0", "3", "6"]


def test_what_happens_is_told_at_once() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.progress(progress(time=1.0))
    terminal.progress(progress(time=1.1, note="publishing begins"))
    assert stream.getvalue().splitlines()[-1] == "   1 s  publishing begins"


def test_on_a_terminal_progress_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Tty()
    terminal = Terminal(stream)
    with terminal.watching(STORM):
        terminal.progress(progress())
        terminal.progress(progress(time=13.0))
    assert "\x1b[1A" in stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "name", "value"),
    [(io.StringIO(), "TERM", "xterm-256color"), (Tty(), "NO_COLOR", "1"), (Tty(), "TERM", "dumb")],
)
def test_elsewhere_progress_stays_lines(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, name: str, value: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, value)
    terminal = Terminal(stream)
    with terminal.watching(STORM):
        terminal.progress(progress())
    assert stream.getvalue().startswith("  12 s  clients 40/55")
    assert "\x1b" not in stream.getvalue()


def test_the_list_names_each_scenario_and_what_it_proves() -> None:
    stream = io.StringIO()
    Terminal(stream).scenarios([STORM])
    assert STORM.proves in stream.getvalue()
    assert "40 healthy, 5 slow" in stream.getvalue()


def test_the_list_of_metrics_names_each_with_what_it_is() -> None:
    stream = io.StringIO()
    Terminal(stream).metrics(METRICS)
    told = stream.getvalue()
    assert all(metric.name in told for metric in METRICS)
    assert "<cohort>.latency.p99[window]" in told
