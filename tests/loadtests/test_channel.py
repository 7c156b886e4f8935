"""From a generator to its run, over a real pipe."""

import os

import pytest

from loadtests import channel
from loadtests.channel import Channel, tell

LIMIT = 10.0


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Channel:
    listener = Channel()
    monkeypatch.setenv(channel.VARIABLE, str(listener.descriptor))
    return listener


def test_the_latest_of_each_kind_is_kept(listener: Channel) -> None:
    assert tell("progress", '{"n": 1}')
    assert tell("progress", '{"n": 2}')
    assert tell("results", "[]")
    listener.handed_over()
    listener.drain(LIMIT)
    assert listener.latest("progress") == '{"n": 2}'
    assert listener.latest("results") == "[]"
    assert listener.latest("other") is None


def test_a_text_larger_than_any_pipe_comes_whole(listener: Channel) -> None:
    tell("results", "x" * 3_000_000)
    listener.handed_over()
    listener.drain(LIMIT)
    assert listener.latest("results") == "x" * 3_000_000


def test_half_a_line_is_not_taken_for_a_text(listener: Channel) -> None:
    tell("progress", "whole")
    os.write(listener.descriptor, b'progress {"n":')
    listener.handed_over()
    listener.drain(LIMIT)
    assert listener.latest("progress") == "whole"


def test_without_a_listener_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(channel.VARIABLE, raising=False)
    assert not tell("progress", "{}")


def test_a_listener_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setenv(channel.VARIABLE, str(writing))
    assert not tell("progress", "{}")
    os.close(writing)


def test_who_waits_is_woken_by_the_text_or_by_the_end(listener: Channel) -> None:
    assert not listener.wait("results", 0)
    tell("results", "[]")
    assert listener.wait("results", LIMIT)
    listener.handed_over()
    assert not listener.wait("other", LIMIT)
