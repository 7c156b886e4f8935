import dataclasses
import json
import math
import re
from typing import Any

import pytest

from simulators.contract.results import Report
from simulators.errors import OptionError
from simulators.report import documents

DESCRIBING = {"$schema", "$id", "$defs", "title", "description"}
SCALAR = {"$ref", "type", "enum", "const", "anyOf", "pattern", "minimum"}
NESTED = {"required", "properties", "additionalProperties", "items", "prefixItems", "minItems"}
KNOWN = DESCRIBING | SCALAR | NESTED

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "null": type(None),
    "boolean": bool,
}


def faults(value: Any, rule: Any, schema: Any, at: str = "$") -> list[str]:
    """Validate by the words of JSON Schema that our schema uses; refuse any other."""
    if rule is False:
        return [f"{at}: one too many"]
    assert set(rule) <= KNOWN
    found = []
    if "$ref" in rule:
        found += faults(value, schema["$defs"][rule["$ref"].rpartition("/")[2]], schema, at)
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)
        for kind in kinds
    ):
        return [*found, f"{at}: {value!r} is no {kinds}"]
    if "enum" in rule and value not in rule["enum"]:
        found.append(f"{at}: {value!r} not in {rule['enum']}")
    if "const" in rule and value != rule["const"]:
        found.append(f"{at}: {value!r} is not {rule['const']!r}")
    if "pattern" in rule and not re.search(rule["pattern"], value):
        found.append(f"{at}: {value!r} does not match {rule['pattern']}")
    if "minimum" in rule and value < rule["minimum"]:
        found.append(f"{at}: {value!r} below {rule['minimum']}")
    if "anyOf" in rule and all(faults(value, one, schema, at) for one in rule["anyOf"]):
        found.append(f"{at}: none of anyOf")
    if isinstance(value, dict):
        found += [f"{at}: no {name}" for name in rule.get("required", ()) if name not in value]
        known = rule.get("properties", {})
        for name, inner in value.items():
            one = known.get(name, rule.get("additionalProperties", {}))
            found += faults(inner, one, schema, f"{at}.{name}")
    if isinstance(value, list):
        found += [f"{at}: too short"] if len(value) < rule.get("minItems", 0) else []
        first = rule.get("prefixItems", [])
        for index, inner in enumerate(value):
            one = first[index] if index < len(first) else rule.get("items", {})
            found += faults(inner, one, schema, f"{at}[{index}]")
    return found


def document(*reports: Report) -> Any:
    return json.loads(documents.render(reports))


def test_a_document_keeps_to_the_schema(tutorial: Report, good: Report, undecided: Report) -> None:
    schema = documents.schema()
    assert faults(document(tutorial, good, undecided), schema, schema) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (["format"], "flock-contract/0"),
        (["verdict"], "maybe"),
        (["reports", 0, "results", 0, "level"], "COULD"),
        (["reports", 0, "results", 0, "check_id"], "no area"),
        (["reports", 0, "results", 1, "evidence", "lanes", 0, "spans", 0], [0.0, 1.0]),
        (["reports", 0, "results", 1, "evidence", "lanes", 0, "spans", 0], [0.0, 1.0, "x", 1]),
        (["reports", 0, "results", 1, "surplus"], 1),
    ],
)
def test_the_schema_refuses_what_no_document_has(
    tutorial: Report, path: list[Any], wrong: Any
) -> None:
    whole = document(tutorial)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = wrong
    schema = documents.schema()
    assert faults(whole, schema, schema)


def test_the_schema_names_the_format_that_is_written() -> None:
    assert documents.schema()["properties"]["format"]["const"] == documents.DOCUMENT_FORMAT


def test_every_field_of_a_result_is_described(tutorial: Report) -> None:
    written = document(tutorial)["reports"][0]
    described = documents.schema()["$defs"]
    assert set(described["report"]["required"]) == set(written)
    assert set(described["result"]["required"]) == set(written["results"][0])


def test_reports_come_back_the_same(tutorial: Report, good: Report) -> None:
    assert documents.parse(documents.render([tutorial, good])) == (tutorial, good)


def test_the_verdict_on_all_stands_on_top(tutorial: Report, good: Report) -> None:
    assert document(good, tutorial)["verdict"] == "fail"


def test_a_profile_without_a_limit_is_null(good: Report) -> None:
    endless = dataclasses.replace(good, profile={"send_timeout": math.inf})
    assert document(endless)["reports"][0]["profile"] == {"send_timeout": None}


def test_half_a_surrogate_pair_can_be_written_to_a_file(good: Report) -> None:
    odd = dataclasses.replace(good, adapter="\ud83d")
    assert documents.render([odd]).isascii()
    assert documents.parse(documents.render([odd])) == (odd,)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "flock-contract/0"}'])
def test_what_is_no_document_of_ours_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="flock-contract/1"):
        documents.parse(text)
