"""A browser for the tests that look at pages."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]

if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))
chromium: Any = importlib.import_module("chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests of a process."""
    if chromium.CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with chromium.browsing(patience=30.0) as browser:
        yield browser
