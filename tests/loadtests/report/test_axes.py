import re

from loadtests.report.axes import Axis
from loadtests.report.series import Shade


def test_a_moment_has_its_place_and_one_outside_is_at_the_edge() -> None:
    axis = Axis(10.0, 20.0)
    assert [axis.place(time) for time in (5.0, 10.0, 12.5, 20.0, 99.0)] == [0, 0, 25, 100, 100]


def test_a_run_without_length_has_an_axis_all_the_same() -> None:
    assert Axis(0.0, 0.0).place(0.5) == 50.0


def test_a_telephone_gets_fewer_labels_than_a_desk() -> None:
    text = "".join(Axis(0.0, 60.0).drawn(0))
    narrow, wide = re.split('<g class="wide">', text)
    assert 1 < narrow.count("<text") < wide.count("<text")


def test_names_of_windows_that_begin_together_do_not_cover_each_other() -> None:
    shades = [Shade(name=name, start=1.0, end=2.0) for name in ("a", "b", "c<")]
    text = "".join(Axis(0.0, 10.0).named(shades, top=0))
    assert len(set(re.findall(r' y="(\d+)"', text))) == 3
    assert "c&lt;" in text
