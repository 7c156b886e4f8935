"""The report as a JSON document, with a JSON Schema that comes with the package."""

import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

from simulators.contract.results import FORMAT, Report
from simulators.errors import OptionError
from simulators.report.outcomes import verdict

__all__ = ["DOCUMENT_FORMAT", "SCHEMA", "parse", "render", "schema"]

DOCUMENT_FORMAT = f"flock-contract/{FORMAT}"
SCHEMA = "contract.schema.json"
"""The file beside this one that describes a document."""


def render(reports: Sequence[Report]) -> str:
    """Return one JSON document for all reports, indented, in ASCII, with a line break at its end.

    Infinite numbers of a profile, which JSON does not have, become ``null``.
    """
    document = {
        "format": DOCUMENT_FORMAT,
        "verdict": verdict(reports),
        "reports": [_finite(report.as_dict()) for report in reports],
    }
    # ASCII: a message may hold half a surrogate pair, which no file takes.
    return json.dumps(document, indent=1, allow_nan=False, default=str) + "\n"


def parse(text: str) -> tuple[Report, ...]:
    """Read the reports back from a document.

    It does not validate against the schema.

    Raises:
        OptionError: it is no document of ours, or of another format.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise OptionError(f"expected a JSON document of {DOCUMENT_FORMAT}: {error}") from error
    seen = document.get("format") if isinstance(document, dict) else None
    if seen != DOCUMENT_FORMAT:
        raise OptionError(f"a document of format {seen!r}; this version reads {DOCUMENT_FORMAT!r}")
    return tuple(Report.from_dict(report) for report in document["reports"])


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document."""
    text = resources.files("simulators.report").joinpath(SCHEMA).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
