"""The report as JUnit XML, for continuous integration that shows tests."""

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from simulators.contract.results import Report, Result
from simulators.report.outcomes import (
    MENDING,
    Outcome,
    area,
    defect_names,
    outcome,
    repeat,
)
from simulators.report.printable import printable, shortened
from simulators.report.strips import strips

__all__ = ["render"]

_WIDTH = 100
_TRACKS = 12
_MESSAGE = 300
# What fails the build: these decide the verdict, advice does not.
_FAILURES = (Outcome.BROKEN, Outcome.SURPRISE)


def render(reports: Sequence[Report], *, options: Sequence[str] = ()) -> str:
    """Return the XML: a test suite for each manager, a test case for each check.

    Only what decides the verdict is a failure: a broken MUST, and an expected failure that passed.
    A broken SHOULD is skipped and says so, with the same text; so is, with the reason as its
    message, whatever came to no verdict, was not offered or failed as expected. It holds no date,
    so that the same results give the same bytes.

    Args:
        reports: one for each manager.
        options: what else was typed; it goes into the commands that repeat a check.
    """
    suites = [_suite(report, options) for report in reports]
    root = ET.Element("testsuites", {"name": "flock-ws contract"})
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", f"{sum(report.elapsed for report in reports):.3f}")
    root.extend(suites)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(report: Report, options: Sequence[str]) -> ET.Element:
    counts = Counter(map(outcome, report.results))
    failures = sum(counts[one] for one in _FAILURES)
    suite = ET.Element(
        "testsuite",
        {
            "name": printable(report.manager),
            "tests": str(len(report.results)),
            "failures": str(failures),
            "errors": "0",
            "skipped": str(len(report.results) - failures - counts[Outcome.KEPT]),
            "time": f"{report.elapsed:.3f}",
        },
    )
    properties = ET.SubElement(suite, "properties")
    known = {"verdict": report.verdict, "seed": report.seed, "adapter": report.adapter}
    known |= {f"profile.{name}": value for name, value in report.profile.items()}
    known |= {f"version.{name}": number for name, number in report.versions.items()}
    for name, value in known.items():
        about = {"name": printable(name), "value": printable(value)}
        ET.SubElement(properties, "property", about)
    suite.extend(_case(report, result, options) for result in report.results)
    return suite


def _case(report: Report, result: Result, options: Sequence[str]) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": printable(f"{report.manager}.{area(result.check_id)}"),
            "name": printable(result.check_id),
        },
    )
    one = outcome(result)
    if one in _FAILURES:
        about = _message(result, one)
        failure = ET.SubElement(case, "failure", {"type": result.level, "message": about})
        failure.text = printable("\n".join(_text(report, result, options)))
    elif one is not Outcome.KEPT:
        about = _message(result, one)
        skipped = ET.SubElement(case, "skipped", {"type": one.meaning, "message": about})
        if one in MENDING:
            skipped.text = printable("\n".join(_text(report, result, options)))
    return case


def _message(result: Result, one: Outcome) -> str:
    said = result.expected if one is Outcome.EXPECTED else result.message
    meaning = "" if one in _FAILURES else f"{one.meaning}: "
    return printable(shortened(f"{meaning}{said}", width=_MESSAGE))


def _text(report: Report, result: Result, options: Sequence[str]) -> list[str]:
    lines = [result.message]
    if result.evidence is not None:
        picture = strips(result.evidence, width=_WIDTH, tracks=_TRACKS)
        lines += ["", *picture] if picture else []
        lines += ["", *result.evidence.lines] if result.evidence.lines else []
    lines += ["", f"why:   {result.why}"] if result.why else []
    lines += [f"mend:  {result.mend}"] if result.mend else []
    lines += [f"kind:  {defect_names(result)}"] if result.defects else []
    return [*lines, f"again: {repeat(report, result, options=options)}"]
