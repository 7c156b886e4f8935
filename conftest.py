"""Settings of this suite; nothing that users of the package need."""

import os

import pytest
from hypothesis import settings

# The same examples in every run: a suite that is green must stay green. To look for new ones:
# pytest --hypothesis-profile=search
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("suite")


@pytest.fixture
def patience() -> float:
    """Seconds that a test over real sockets waits for a condition before it fails.

    Generous, and only ever used up by a failure; FLOCK_PATIENCE scales it on slow machines.
    """
    return 15.0 * float(os.environ.get("FLOCK_PATIENCE", "1"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file: with several workers it must not be the one all wait for."""
    items.sort(key=lambda item: "loadtests/test_run.py" not in item.nodeid)
