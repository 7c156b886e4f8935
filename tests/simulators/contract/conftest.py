"""Settings of the contract's tests."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def settled_heap() -> Iterator[None]:
    """Spare the garbage collector what was imported: each check that fails collects once."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
