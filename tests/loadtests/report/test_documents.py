import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtests.errors import LoadTestError
from loadtests.report import documents
from loadtests.report.documents import Run


def form(run: Run) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(documents.render(run))
    return loaded


def test_a_document_gives_the_run_back(broken: Run) -> None:
    text = documents.render(broken)
    assert documents.render(documents.parse(text)) == text


def test_a_document_opens_with_the_verdict_for_whoever_reads_only_that(broken: Run) -> None:
    seen = form(broken)
    assert (seen["format"], seen["verdict"], seen["exit_code"]) == ("flock-ws-run/1", "FAIL", 1)


def test_the_answers_of_a_document_are_not_judged_anew(broken: Run) -> None:
    told = form(broken)
    told["answers"] = told["answers"][2:]
    assert documents.parse(json.dumps(told)).judgement.exit_code == 0


def test_the_schema_beside_it_is_that_of_the_record(kept: Run) -> None:
    # `make schema` writes it.
    assert documents.schema() == json.loads(documents.make_schema())
    Draft202012Validator.check_schema(documents.schema())
    assert not list(Draft202012Validator(documents.schema()).iter_errors(form(kept)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "MAYBE"),
        (("record", "server", "samples", 0, "at"), "soon"),
        (("answers", 0, "verdict"), None),
        (("record", "results", "clients", 0, "colour"), "red"),
    ],
)
def test_the_schema_refuses_what_is_none_of_ours(
    kept: Run, path: tuple[str | int, ...], value: object
) -> None:
    whole: Any = form(kept)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert list(Draft202012Validator(documents.schema()).iter_errors(whole))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "its format is None"),
        ('{"format": "flock-contract/1"}', "its format is 'flock-contract/1'"),
        ('{"format": "flock-ws-run/1"}', "the answers do not fit"),
        ('{"format": "flock-ws-run/1", "answers": [], "record": {}}', "the record does not fit"),
    ],
)
def test_what_is_no_run_is_refused_with_what_it_is(text: str, message: str) -> None:
    with pytest.raises(LoadTestError, match=message):
        documents.parse(text)
