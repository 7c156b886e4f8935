"""What tests of several folders share."""

import gc

import pytest


@pytest.fixture(scope="module")
def spared() -> None:
    """Let the collector of garbage leave alone what the files before have left behind.

    For files whose checks collect garbage again and again: at each failure, and for leaks.
    """
    gc.collect()
    gc.freeze()
