"""Metrics by their names, and their numbers in words."""

import math
from typing import Any

import pytest

from loadtests import lookup
from loadtests.catalogue import built_in
from loadtests.metrics import METRICS
from loadtests.thresholds import Reference


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_every_metric_can_be_asked_for_in_the_storm(name: str) -> None:
    name = name.replace("<cohort>", "healthy").replace("<code>", "1000")
    assert lookup.check(Reference(name), built_in("storm")).unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12 ms"),
        (2.5, "s", "2.5 s"),
        (math.inf, "s", "never"),
        (0.995, "share", "99.5%"),
        (1.0, "share", "100%"),
        (1234567.0, "bytes", "1 234 567 bytes"),
        (3.0, "count", "3"),
        (0.1234, "per second", "0.123 per second"),
        (math.inf, "count", "without limit"),
        (math.nan, "s", "no number"),
    ],
)
def test_a_number_is_written_with_its_unit(value: float, unit: Any, text: str) -> None:
    assert lookup.written(value, unit) == text
