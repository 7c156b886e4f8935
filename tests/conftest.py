"""What tests of several folders share."""

import gc
from collections.abc import Iterator

import pytest

from tests import chromium
from tests.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """One nursery for all tests of a process."""
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    """One browser for all tests of a process."""
    if chromium.CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with chromium.browsing(patience=30.0) as browser:
        yield browser


@pytest.fixture(scope="module")
def spared() -> None:
    """Let the collector of garbage leave alone what the files before have left behind.

    For files whose checks collect garbage again and again: at each failure, and for leaks.
    """
    gc.collect()
    gc.freeze()
