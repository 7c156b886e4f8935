"""The dashboard for Grafana, against the instruments and the classic model of a dashboard.

It was never opened in Grafana here. What its schema says of the parts that we use is held instead:
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flock_ws.instruments import INSTRUMENTS

FILE = Path(__file__).parents[2] / "docs" / "grafana" / "flock-ws.json"
BOARD = json.loads(FILE.read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's own: the interval that fits the scrapes and the width of the panel.
BUILT_IN = {"__rate_interval"}
# What prometheus_client itself tells of a process.
PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
}


def asked() -> set[str]:
    text = " ".join(target["expr"] for target in TARGETS)
    return set(re.findall(r"\b(?:flock_ws|process)_[a-z_]+", text))


def named(panel: dict[str, Any]) -> str:
    return str(panel["title"])


# What it asks for


def test_it_asks_for_nothing_that_is_not_there() -> None:
    assert asked() <= {one.prometheus for one in INSTRUMENTS} | PROCESS


def test_it_shows_every_instrument() -> None:
    assert {one.prometheus for one in INSTRUMENTS} <= asked()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_a_counter_is_shown_as_its_growth_and_a_gauge_as_it_is(target: dict[str, Any]) -> None:
    grows = re.search(r"\b(rate|increase)\(", target["expr"]) is not None
    assert grows == ("_total{" in target["expr"])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_what_it_asks_is_about_the_servers_that_were_chosen(target: dict[str, Any]) -> None:
    asked_of = re.findall(r"[a-z_]+\{(.*?)\}", target["expr"])
    assert asked_of == ['job="$job", instance=~"$instance"']


@pytest.mark.parametrize("panel", PANELS, ids=named)
def test_two_servers_have_a_line_each_unless_they_are_added_up(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        summed = re.match(r"(sum|max)\b", target["expr"]) is not None
        assert summed or "{{instance}}" in target["legendFormat"]


# What Grafana makes of it


def test_its_schema_is_the_classic_one() -> None:
    # 39 came with Grafana 10.4; newer ones migrate it.
    assert BOARD["schemaVersion"] == 39
    assert BOARD.keys() >= {"title", "uid", "time", "templating", "panels"}
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", BOARD["uid"])
    assert "id" not in BOARD, "the id is of one installation"


def test_its_variables_are_the_data_source_and_what_depends_on_it() -> None:
    variables = BOARD["templating"]["list"]
    assert [one["name"] for one in variables] == ["datasource", "job", "instance"]
    assert (variables[0]["type"], variables[0]["query"]) == ("datasource", "prometheus")
    for one in variables[1:]:
        assert (one["type"], one["datasource"]) == ("query", SOURCE)
        assert one["query"]["query"] == one["definition"]
        assert re.match(r"label_values\(flock_ws_clients\b", one["definition"])


def test_every_variable_that_is_used_is_there() -> None:
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"])))
    assert used == {one["name"] for one in BOARD["templating"]["list"]} | BUILT_IN


@pytest.mark.parametrize("panel", PANELS, ids=named)
def test_a_panel_has_what_its_kind_needs(panel: dict[str, Any]) -> None:
    assert panel["type"] in {"stat", "timeseries"}
    assert panel["datasource"] == SOURCE
    assert [target["datasource"] for target in panel["targets"]] == [SOURCE] * len(panel["targets"])
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == list("ABCDEFGH"[: len(letters)])
    assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "s", "bytes", "ops", "percentunit"}
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [{"value": None}])
    assert steps[0]["value"] is None, "the first step begins at minus infinity"
    needed = {"stat": {"reduceOptions"}, "timeseries": {"legend", "tooltip"}}
    assert panel["options"].keys() >= needed[panel["type"]]


def test_panels_lie_beside_each_other_on_a_grid_of_24_columns() -> None:
    assert max(Counter(panel["id"] for panel in BOARD["panels"]).values()) == 1
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = Counter(
        cell
        for place in places
        for cell in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    )
    assert max(cells.values()) == 1
