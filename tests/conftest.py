"""What tests of several folders share."""

from collections.abc import Iterator

import pytest

from tests.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """One nursery for all tests of a process."""
    with Nursery() as nursery:
        yield nursery
