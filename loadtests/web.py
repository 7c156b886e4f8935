"""The tab in locust's web UI: charts of the run, its report, and a table among locust's own.

It runs in locust's process and serves what the run writes to its `loadtests.board`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests.board import LIVE, REPORT_FILE, STOP, VARIABLE
from loadtests.channel import tell
from loadtests.live import STATES
from loadtests.report import watching

__all__ = ["PAGE", "REPORT", "install", "rows"]

PAGE = "/flock"
"""The charts."""

REPORT = "/flock/report"
"""The report, once the run is over."""

_SOURCE = "/flock/live.json"
_KEY = "flock"
_LINK = (
    '<a href="/flock" style="position:fixed;right:1rem;bottom:1rem;z-index:9999;'
    "padding:.5rem .9rem;border-radius:.4rem;background:#1b6e4a;color:#fff;"
    'font:600 14px system-ui,sans-serif;text-decoration:none">charts of this load test</a>'
)


def install(environment: Any) -> None:
    """Add the pages to a locust environment; nothing without a board or a web UI."""
    folder = os.environ.get(VARIABLE)
    if folder is None or environment.web_ui is None:
        return
    # Flask comes with locust, and is slow to import: only where its pages are served.
    from flask import request  # noqa: PLC0415 - see above

    app, board = environment.web_ui.app, Path(folder)
    columns = [{"key": name, "title": name} for name in ("cohort", *STATES)]
    environment.web_ui.template_args.update(
        {
            "extended_tabs": [{"title": "Cohorts", "key": _KEY}],
            "extended_tables": [{"key": _KEY, "structure": columns}],
        }
    )

    def page() -> str:
        return watching.render(source=_SOURCE, report=REPORT, home="/", states=STATES)

    def source() -> Any:
        return app.response_class(_text(board / LIVE) or "{}", mimetype="application/json")

    def report() -> Any:
        return _text(board / REPORT_FILE) or ("the run is not over", 404)

    for path, view in ((PAGE, page), (_SOURCE, source), (REPORT, report)):
        app.add_url_rule(path, f"{_KEY}_{view.__name__}", view)

    @app.before_request  # type: ignore[untyped-decorator]  # what locust hands out has no types
    def _one_run() -> Any:
        over = _told(board).get("over")
        if request.path == "/swarm" and over:
            message = "this run is over: start flock-ws load --web again for another"
            return {"success": False, "message": message, "host": environment.host}
        if request.path == "/stop" and request.full_path != STOP and not over:
            tell("stop", "asked")
            return {"success": True, "message": "the run comes to its end"}
        return None

    @app.after_request  # type: ignore[untyped-decorator]  # the same
    def _extend(response: Any) -> Any:
        if request.path == "/stats/requests" and response.is_json:
            form = response.get_json()
            form["extended_stats"] = [{"key": _KEY, "data": rows(_told(board))}]
            response.set_data(json.dumps(form))
        elif request.path == "/" and response.mimetype == "text/html":
            response.set_data(response.get_data(as_text=True).replace("</body>", f"{_LINK}</body>"))
        return response


def rows(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table: a cohort each."""
    return [{"cohort": name, **states} for name, states in told.get("cohorts", {}).items()]


def _told(board: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_text(board / LIVE) or "{}")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
