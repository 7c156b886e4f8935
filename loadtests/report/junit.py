"""A run as JUnit XML, for continuous integration that shows tests."""

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from loadtests.answers import Answer, Verdict
from loadtests.report.documents import Run
from simulators.report.printable import printable, shortened

__all__ = ["render"]

_MESSAGE = 300


def render(runs: Sequence[Run]) -> str:
    """Return the XML: a test suite for each run, a test case for each question.

    A FAIL is a failure. INCONCLUSIVE is an error: the question was asked and the run could not
    answer it, which must not look green, and is not the manager's fault either. What the server
    does not offer is skipped. The same runs give the same bytes.
    """
    suites = [_suite(run) for run in runs]
    root = ET.Element("testsuites", {"name": "flock-ws load"})
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", f"{sum(run.record.ended_at for run in runs):.3f}")
    root.extend(suites)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(run: Run) -> ET.Element:
    record, answers = run.record, run.judgement.answers
    counts = Counter(answer.verdict for answer in answers)
    name = f"load.{record.scenario.get('name', '')}"
    suite = ET.Element(
        "testsuite",
        {
            "name": printable(name),
            "tests": str(len(answers)),
            "failures": str(counts[Verdict.FAIL]),
            "errors": str(counts[Verdict.INCONCLUSIVE]),
            "skipped": str(counts[Verdict.NOT_OFFERED]),
            "time": f"{record.ended_at:.3f}",
        },
    )
    if record.began:
        suite.set("timestamp", printable(record.began))
    properties = ET.SubElement(suite, "properties")
    known = {
        "verdict": run.judgement.verdict.value,
        "line": run.judgement.line,
        "command": record.command,
        "manager": record.server.manager or "",
        "server": record.server.url,
    }
    for key, value in known.items():
        about = {"name": key, "value": printable(value)}
        ET.SubElement(properties, "property", about)
    suite.extend(_case(name, answer, record.command) for answer in answers)
    return suite


def _case(suite: str, answer: Answer, command: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": printable(suite), "name": printable(answer.key)})
    kinds = {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error"}
    if answer.verdict in kinds:
        message = printable(shortened(answer.reason or answer.seen, width=_MESSAGE))
        about = {"type": answer.verdict.value, "message": message}
        found = ET.SubElement(case, kinds[answer.verdict], about)
        told = [answer.question, f"expected: {answer.expected}", f"seen:     {answer.seen}"]
        told += [f"why:      {answer.reason}"] if answer.reason else []
        told += [f"again:    {command}"] if command else []
        found.text = printable("\n".join(told))
    elif answer.verdict is Verdict.NOT_OFFERED:
        message = printable(shortened(answer.seen, width=_MESSAGE))
        ET.SubElement(case, "skipped", {"message": message})
    return case
