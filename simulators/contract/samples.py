"""Bodies for an application's routes, made from its OpenAPI schema, with a place for a text."""

import json
import re
from collections.abc import Mapping
from typing import Any

from simulators.contract.causes import PLACE, Cause

__all__ = ["LIKELY", "causes_of", "likely_causes", "sounds_like_it"]

_DEEPEST = 8
_FORMATS = {
    "date-time": "2026-01-01T09:00:00Z",
    "date": "2026-01-01",
    "time": "09:00:00",
    "uuid": "6f1c1c9e-6f0e-4a51-9c0d-0d9f5d3c2b1a",
    "email": "someone@example.com",
    "uri": "http://example.com/",
}
_PLAIN: dict[str, Any] = {"boolean": False, "null": None}
_SOUNDS = re.compile(
    r"publish|broadcast|event|message|notif|send|push|emit|announce|alert|chat", re.IGNORECASE
)

LIKELY = json.dumps(
    {
        **dict.fromkeys(("message", "text", "content", "data", "msg", "body", "payload"), PLACE),
        "type": "message",
        **dict.fromkeys(("user", "username", "sender", "name"), "flock"),
    }
)
"""A JSON message that most chats find their text in."""


def likely_causes() -> list[Cause]:
    """Return what a client of a chat would say: plain text, and JSON."""
    return [Cause(kind="say", template=PLACE), Cause(kind="say", template=LIKELY)]


def sounds_like_it(path: str) -> bool:
    """Whether the path of a route sounds as if it published something."""
    return _SOUNDS.search(path) is not None and "{" not in path


def causes_of(schema: Mapping[str, Any]) -> list[Cause]:
    """Return requests that may publish, from an OpenAPI schema: routes whose paths sound like it.

    Nothing is asked for that takes a parameter in its path or its query.
    """
    found = []
    for path, methods in schema.get("paths", {}).items():
        if not sounds_like_it(path):
            continue
        for method in ("post", "put"):
            operation = methods.get(method)
            if operation is None:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("schema")
            needed = [one for one in operation.get("parameters", ()) if one.get("required")]
            if body is not None and not needed:
                template = json.dumps(_sample(body, schema, depth=0))
                if PLACE in template:
                    found.append(
                        Cause(kind="publish", template=template, method=method.upper(), path=path)
                    )
            elif body is None and len(needed) == 1 and needed[0].get("in") == "query":
                target = f"{path}?{needed[0]['name']}={PLACE}"
                found.append(Cause(kind="publish", template="", method=method.upper(), path=target))
    return found


def _sample(  # noqa: PLR0911  # one for each thing that a schema may be
    schema: Any, root: Mapping[str, Any], *, depth: int
) -> Any:
    """Return a value that a schema takes, with the place in every free text."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return PLACE
    if "$ref" in schema:
        return _sample(_resolved(schema["$ref"], root), root, depth=depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _sample(choices[0], root, depth=depth + 1)
    if schema.get("allOf"):
        return _sample(schema["allOf"][0], root, depth=depth + 1)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, root, depth=depth)
    if kind == "array":
        return [_sample(schema.get("items", {}), root, depth=depth + 1)]
    if kind in {"integer", "number"}:
        return max(1, int(schema.get("minimum", 1)))
    if kind in _PLAIN:
        return _PLAIN[kind]
    return _FORMATS.get(str(schema.get("format")), PLACE)


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    made = {name: _sample(properties[name], root, depth=depth + 1) for name in required}
    if PLACE not in json.dumps(made):
        made |= {
            name: _sample(inner, root, depth=depth + 1)
            for name, inner in properties.items()
            if name not in made
        }
    return made or {"text": PLACE}


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found
