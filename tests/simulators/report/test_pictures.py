import dataclasses

import pytest

from simulators.contract.results import Evidence, Lane
from simulators.report.pictures import Picture, seconds, states_in


def test_clients_that_went_through_the_same_share_a_track(crowd: Evidence) -> None:
    picture = Picture.of(crowd, tracks=10)
    assert [track.name for track in picture.tracks] == ["client-0 and 97 alike", "bob", "carl"]


def test_those_to_whom_nothing_happened_are_left_out_first(crowd: Evidence) -> None:
    picture = Picture.of(crowd, tracks=2)
    assert [track.client for track in picture.tracks] == ["bob", "carl"]
    assert picture.captions == ("200 broadcasts", "98 more clients not drawn")


def test_two_clients_of_one_name_keep_their_own_fates() -> None:
    lanes = (
        Lane("bob", "", ((0.0, 1.0, "stalled"),)),
        Lane("bob", "", ((0.0, 1.0, "dead"),)),
    )
    picture = Picture.of(Evidence(lanes=lanes, ends_at=1.0), tracks=5)
    assert picture.moments == [(0.0, "bob: stalled"), (0.0, "bob: dead")]


def test_moments_are_told_in_order_of_time(stall: Evidence) -> None:
    moments = Picture.of(stall, tracks=9).moments
    assert [time for time, _what in moments] == sorted(time for time, _what in moments)
    assert (0.6, "erin: close(1013) called") in moments


def test_to_be_healthy_from_the_start_is_no_moment(stall: Evidence) -> None:
    assert not [what for _time, what in Picture.of(stall, tracks=9).moments if "healthy" in what]


def test_more_moments_than_a_reader_can_follow_are_counted(stall: Evidence) -> None:
    lane = Lane("bob", "", (), tuple((n / 100, "ping") for n in range(100)))
    moments = Picture.of(dataclasses.replace(stall, lanes=(lane,)), tracks=1).moments
    assert moments[-1] == (0.6, "and 40 more until the end")


def test_a_short_stall_among_thousands_of_spans_is_still_seen() -> None:
    flips = ("healthy", "lagging")
    spans = tuple((n / 1000, (n + 1) / 1000, flips[n % 2]) for n in range(3000))
    spans = (*spans[:1500], (1.5, 1.501, "stalled"), *spans[1501:])
    picture = Picture.of(Evidence(lanes=(Lane("bob", "", spans),), ends_at=3.0), tracks=1)
    drawn = picture.tracks[0].spans
    assert [state for *_place, state in drawn].count("stalled") == 1
    assert len(drawn) < 10


def test_states_stand_from_harmless_to_bad(stall: Evidence) -> None:
    names = ["healthy", "lagging", "stalled", "dead", "evicted", "zombie"]
    assert states_in([stall]) == names
    assert list(Picture.of(stall, tracks=9).states) == names


@pytest.mark.parametrize(
    ("time", "words"),
    [(0.0, "0 s"), (0.5, "0.5 s"), (0.0025, "2.5 ms"), (120.0, "120 s"), (1.23456, "1.235 s")],
)
def test_times_are_written_as_they_are_read(time: float, words: str) -> None:
    assert seconds(time) == words
