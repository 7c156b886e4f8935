import pytest

from loadtests.errors import ThresholdError
from loadtests.thresholds import Reference, Threshold, merged

VALUES = {"a.b": 3.0, "a.c[late]": 2.0}


def holds(text: str) -> bool:
    threshold = Threshold.parse(text)
    return threshold.holds(*threshold.values(lambda reference: VALUES[str(reference)]))


@pytest.mark.parametrize(
    "text",
    [
        "a.b < 4",
        "a.b <= 3",
        "a.b > 2.5",
        "a.b >= 3",
        "a.b == 3",
        "a.b != 2",
        "4 > a.b",
        "a.b < 2 * a.c[late]",
        "a.b - a.c[late] == 1",
        "a.b / a.c[late] == 1.5",
        "-a.b < +1",
        "a.b <= max(2 * a.c[late], 0.05)",
        "min(a.b, a.c[late]) == 2",
        "abs(a.c[late] - a.b) == 1",
        "a.b < 100_000",
        "a.b < 1e6",
    ],
)
def test_a_comparison_of_metrics_and_numbers_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("text", ["a.b < 3", "a.b > a.b", "a.b == 2", "a.b <= max(1, 2)"])
def test_a_comparison_that_is_wrong_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_a_division_by_zero_is_without_limit() -> None:
    assert holds("a.b / (a.b - 3) > 1_000")


def test_what_it_is_about_is_the_first_metric() -> None:
    threshold = Threshold.parse(
        "healthy.latency.p99[faults]  <=  5 * healthy.latency.p99[baseline]"
    )
    assert threshold.subject == Reference("healthy.latency.p99", "faults")
    assert threshold.references[1:] == (Reference("healthy.latency.p99", "baseline"),)
    assert threshold.text == "healthy.latency.p99[faults] <= 5 * healthy.latency.p99[baseline]"
    assert threshold.bound == "<= 5 * healthy.latency.p99[baseline]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is no expression"),
        ("a.b <", "it is no expression"),
        ("a.b", "it must be one comparison"),
        ("1 < a.b < 2", "it must be one comparison"),
        ("a.b < 1 and a.b > 0", "it must be one comparison"),
        ("a.b in a.c", "it must compare with < <= > >= == !="),
        ("1 < 2", "no metric is in it"),
        ("a.b ** 2 < 1", r"'a.b \*\* 2' is neither a metric"),
        ("a.b < True", "'True' is neither a metric"),
        ("a.b < 'soon'", "\"'soon'\" is neither a metric"),
        ("a.b[1] < 2", "'a.b.1.' is neither a metric"),
        ("__import__('os').system('x') < 1", "is neither a metric"),
        ("max() < a.b", r"'max\(\)' is neither a metric"),
        ("abs(a.b, 1) < 1", "abs takes one number"),
        ("pow(a.b, 2) < 1", "is neither a metric"),
        ("max(a.b, key=1) < 1", "is neither a metric"),
        ("a.b < 1" + "0" * 300, "is neither a metric"),
        ("a.b < " + "1 + " * 400 + "1", "longer than 500 characters"),
        ("a.b < " + "-" * 400 + "(", "it is no expression"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ThresholdError, match=message):
        Threshold.parse(text)


def test_a_given_threshold_takes_the_place_of_the_one_on_the_same_metric_and_window() -> None:
    own = ("a.b < 1", "a.b[late] < 2", "c.d < 3")
    assert merged(own, ("a.b < 9",)) == ("a.b[late] < 2", "c.d < 3", "a.b < 9")
    assert merged(own, ("a.b > 0", "a.b < 9")) == ("a.b[late] < 2", "c.d < 3", "a.b > 0", "a.b < 9")
    assert merged(own, ()) == own
