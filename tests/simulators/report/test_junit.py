import dataclasses
from xml.etree import ElementTree as ET

from simulators.contract.results import Report
from simulators.report import junit


def parsed(*reports: Report) -> ET.Element:
    return ET.fromstring(junit.render(reports).encode())  # noqa: S314  # our own text


def case(root: ET.Element, name: str) -> ET.Element:
    found = root.find(f".//testcase[@name='{name}']")
    assert found is not None
    return found


def test_each_manager_is_a_suite_and_each_check_a_case(tutorial: Report, good: Report) -> None:
    root = parsed(tutorial, good)
    assert [len(suite.findall("testcase")) for suite in root] == [10, 10]


def test_the_counts_are_those_of_the_cases(tutorial: Report, good: Report) -> None:
    root = parsed(tutorial, good)
    for counted in (root, *root):
        assert counted.get("failures") == str(len(counted.findall(".//failure")))
        assert counted.get("skipped") == str(len(counted.findall(".//skipped")))
        assert counted.get("tests") == str(len(counted.findall(".//testcase")))


def test_a_broken_promise_is_a_failure_with_its_evidence_and_cure(tutorial: Report) -> None:
    failure = case(parsed(tutorial), "delivery.a_stalled_client_delays_nobody").find("failure")
    assert failure is not None
    assert failure.get("type") == "MUST"
    assert str(failure.get("message")).startswith("alice got event 3 after 1.00 s")
    text = failure.text or ""
    assert "mend:  Give each send a deadline" in text
    assert "############" in text
    assert "--seed 7" in text


def test_a_broken_should_is_no_failure_and_says_how_to_mend_it(tutorial: Report) -> None:
    weak = [
        one for one in tutorial.results if one.level == "SHOULD" and one.broken and not one.stale
    ]
    suite = parsed(tutorial)
    assert weak
    for result in weak:
        skipped = case(suite, result.check_id).find("skipped")
        assert skipped is not None
        assert str(skipped.get("message")).startswith("SHOULD broken: ")
        assert f"mend:  {result.mend}" in (skipped.text or "")


def test_a_report_that_passes_has_no_failure(good: Report, tutorial: Report) -> None:
    advice = [one for one in tutorial.results if one.level == "SHOULD" and not one.stale]
    report = dataclasses.replace(good, results=(*good.results[:1], *advice))
    assert report.verdict == "pass"
    assert parsed(report).get("failures") == "0"


def test_a_check_that_found_nothing_out_is_skipped_with_the_reason(tutorial: Report) -> None:
    root = parsed(tutorial)
    messages = {
        name: case(root, name).find("skipped")
        for name in ("heartbeat.jitter", "history.cap_is_exact", "shutdown.is_bounded")
    }
    assert {
        name: found.get("message") for name, found in messages.items() if found is not None
    } == {
        "heartbeat.jitter": "unknown: The heartbeat was never late enough to see jitter.",
        "history.cap_is_exact": "not offered: It has no history.",
        "shutdown.is_bounded": "failed as expected: ticket 12: we kill the process anyway",
    }


def test_an_expected_failure_that_passed_is_a_failure(tutorial: Report) -> None:
    failure = case(parsed(tutorial), "heartbeat.form").find("failure")
    assert failure is not None
    assert "expected to fail (our pings are text), and passed" in str(failure.get("message"))


def test_the_seed_and_the_profile_are_properties(tutorial: Report) -> None:
    properties = {one.get("name"): one.get("value") for one in parsed(tutorial).iter("property")}
    assert properties["seed"] == "7"
    assert properties["profile.send_timeout"] == "0.5"


def test_what_xml_forbids_is_spelled_out(tutorial: Report) -> None:
    odd = dataclasses.replace(tutorial.results[1], message="\x00\ud800 <&>")
    root = parsed(dataclasses.replace(tutorial, results=(odd,)))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == r"\x00\ud800 <&>"


def test_the_same_results_give_the_same_bytes(tutorial: Report) -> None:
    assert junit.render([tutorial]) == junit.render([tutorial])
