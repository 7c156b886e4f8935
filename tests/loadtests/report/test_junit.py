from xml.etree import ElementTree as ET

from loadtests.report import junit
from loadtests.report.documents import Run


def cases(text: str) -> dict[str, str]:
    """Return each case with what it holds."""
    root = ET.fromstring(text)  # noqa: S314 - our own text
    return {
        case.attrib["name"]: " ".join(child.tag for child in case) for case in root.iter("testcase")
    }


def test_each_question_is_a_case_and_its_verdict_what_it_holds(broken: Run) -> None:
    assert cases(junit.render([broken])) == {
        "evicted.stalled": "failure",
        "run.load": "error",
        "healthy.spared": "",
        "zombies": "skipped",
    }


def test_the_counts_of_a_suite_agree_with_its_cases(kept: Run, broken: Run) -> None:
    root = ET.fromstring(junit.render([kept, broken]))  # noqa: S314 - our own text
    told = [root.attrib[name] for name in ("tests", "failures", "errors", "skipped")]
    assert told == ["6", "1", "1", "2"]
    assert [suite.attrib["tests"] for suite in root] == ["2", "4"]


def test_a_failure_says_what_was_expected_what_was_seen_and_how_to_repeat_it(broken: Run) -> None:
    root = ET.fromstring(junit.render([broken]))  # noqa: S314 - our own text
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert "expected: all\nseen:     0 of 2\n" in failure.text
    assert "again:    flock-ws load --manager" in failure.text
