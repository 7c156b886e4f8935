"""A run as a JSON document, ``run.json``, with a JSON Schema that comes with the package."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pydantic import ValidationError

from loadtests.answers import Answer, Verdict
from loadtests.errors import LoadTestError
from loadtests.record import Record
from loadtests.verdict import Judgement

__all__ = ["FORMAT", "SCHEMA", "Run", "make_schema", "parse", "render", "schema"]

FORMAT = "flock-ws-run/1"
"""Names the form of ``run.json``."""

SCHEMA = "run.schema.json"
"""The file beside this one that describes a document; `make_schema` says what it must hold."""

_HEAD = ("verdict", "exit_code", "line", "reasons", "answers")


@dataclass(frozen=True, slots=True)
class Run:
    """What was recorded, and how it was judged when it ended."""

    record: Record
    judgement: Judgement


def render(run: Run) -> str:
    """Return the document, indented, in ASCII, with a line break at its end."""
    form = {
        "format": FORMAT,
        **run.judgement.to_json(),
        "record": run.record.model_dump(mode="json"),
    }
    return json.dumps(form, indent=1) + "\n"


def parse(text: str) -> Run:
    """Read a run back. Its answers are those of the document: nothing is judged anew.

    Raises:
        LoadTestError: it is no document of ours, or of another format.
    """
    try:
        form = json.loads(text)
    except ValueError as error:
        raise LoadTestError(f"expected JSON, as `flock-ws load` writes it: {error}") from None
    seen = form.get("format") if isinstance(form, dict) else None
    if seen != FORMAT:
        raise LoadTestError(
            f"expected the record of a load test in the format {FORMAT!r}, and its format is"
            f" {seen!r}"
        )
    try:
        answers = tuple(
            Answer(**{**answer, "verdict": Verdict(answer["verdict"])})
            for answer in form["answers"]
        )
        record = Record.model_validate(form["record"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LoadTestError(
            f"the record does not fit: {where}: {first['msg']}; it may come from another version"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise LoadTestError(f"the answers do not fit: {type(error).__name__}: {error}") from None
    return Run(record, Judgement(answers))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document."""
    text = resources.files("loadtests.report").joinpath(SCHEMA).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def make_schema() -> str:
    """Return the text that the schema's file must hold: the record's part follows its model."""
    record = Record.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = record.pop("$defs", {})
    text: dict[str, Any] = {"type": "string"}
    verdicts = [verdict.value for verdict in Verdict]
    fields = dict.fromkeys(("key", "question", "expected", "seen", "reason"), text)
    answer = {
        "description": "One question about the run.",
        "type": "object",
        "required": [*fields, "verdict"],
        "properties": {**fields, "verdict": {"enum": verdicts}},
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{FORMAT}",
        "title": "What a load test recorded, and how it was judged",
        "type": "object",
        "required": ["format", *_HEAD, "record"],
        "properties": {
            "format": {"const": FORMAT},
            "verdict": {"enum": [one for one in verdicts if one != Verdict.NOT_OFFERED]},
            "exit_code": {"enum": [0, 1, 3]},
            "line": {"description": "The verdict and its first reasons.", **text},
            "reasons": {"type": "array", "items": text},
            "answers": {"type": "array", "items": {"$ref": "#/$defs/Answer"}},
            "record": {"$ref": "#/$defs/Record"},
        },
        "$defs": {"Answer": answer, "Record": record, **definitions},
    }
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(make_schema())
