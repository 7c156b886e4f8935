from xml.etree import ElementTree as ET

import pytest

from simulators.contract.results import Evidence, Lane
from simulators.report.lanes import drawn, key
from simulators.report.pictures import STATES, Picture

SVG = "{http://www.w3.org/2000/svg}"


def parsed(evidence: Evidence) -> ET.Element:
    text = drawn(Picture.of(evidence, tracks=9), title="What they went through", name="m1")
    return ET.fromstring(text)  # noqa: S314  # our own text


def classes(root: ET.Element) -> list[str]:
    return [name for element in root.iter() for name in element.get("class", "").split()]


def test_it_has_a_title_and_tells_what_it_shows(stall: Evidence) -> None:
    root = parsed(stall)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "What they went through"
    assert "0.6 s, erin: close(1013) called" in root.findtext(f"{SVG}desc", "")


def test_its_label_refers_to_its_own_ids(stall: Evidence) -> None:
    root = parsed(stall)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert root.get("aria-labelledby", "").split() == ids


def test_every_broadcast_is_a_tick(stall: Evidence) -> None:
    assert classes(parsed(stall)).count("tick") == 6


def test_broadcasts_beyond_counting_do_not_hide_the_lanes(crowd: Evidence) -> None:
    assert "lifeline" not in classes(parsed(crowd))


def test_every_state_has_a_form_of_its_own(stall: Evidence) -> None:
    assert {f"s-{state}" for state in STATES} <= set(classes(parsed(stall)))


def test_a_stretch_drawn_shorter_says_so(heartbeat: Evidence) -> None:
    titles = [title.text for title in parsed(heartbeat).iter(f"{SVG}title")]
    assert "119.8 s in which nothing happened, drawn shorter" in titles


def test_names_and_words_are_escaped() -> None:
    lane = Lane("<b>&", '"x"', ((0.0, 1.0, "<i>"),), ((0.5, "</svg>\x00"),))
    root = parsed(Evidence(lanes=(lane,), ends_at=1.0))
    drawn_with = {"svg", "g", "title", "desc", "text", "tspan", "rect", "line", "path"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= drawn_with


def test_everything_lies_within_the_width(stall: Evidence, heartbeat: Evidence) -> None:
    for root in (parsed(stall), parsed(heartbeat)):
        places = [
            float(element.get(name, "")[:-1])
            for element in root.iter()
            for name in ("x", "x1", "x2")
            if element.get(name, "").endswith("%")
        ]
        assert min(places) >= 0
        assert max(places) <= 100


@pytest.mark.parametrize("state", [*STATES, "confused"])
def test_the_key_names_a_state(state: str) -> None:
    assert f"<b>{state}</b>" in key([state])
