import re
from pathlib import Path

import pytest

from flock_ws.instruments import INSTRUMENTS, Instrument, table

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_prometheus_names_are_those_that_opentelemetrys_own_rule_makes() -> None:
    names = {one.name: one.prometheus for one in INSTRUMENTS}
    assert names["flock_ws.lag.age"] == "flock_ws_lag_age_seconds"
    assert names["flock_ws.lag.size"] == "flock_ws_lag_size_bytes"
    assert names["flock_ws.evictions"] == "flock_ws_evictions_total"
    assert names["flock_ws.lag.messages"] == "flock_ws_lag_messages"


def test_no_two_instruments_share_a_name() -> None:
    assert len({one.prometheus for one in INSTRUMENTS}) == len(INSTRUMENTS)


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda one: one.name)
def test_a_name_keeps_to_the_conventions(one: Instrument) -> None:
    assert re.fullmatch(r"flock_ws(\.[a-z_]+)+", one.name)
    assert one.unit in {"By", "s"} or re.fullmatch(r"\{[a-z]+\}", one.unit)
    assert one.prometheus.endswith("_total") == (one.kind == "counter")
    assert one.help.endswith(".")
    assert one.label in {None, "reason"}


def test_the_page_holds_the_table() -> None:
    assert table() in PAGE.read_text(), "write it anew: python -m flock_ws.instruments"
