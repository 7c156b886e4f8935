"""Settings of this suite; nothing that users of the package need."""

import gc
import os
import signal

import pytest
from hypothesis import given, settings, strategies

# The same examples in every run: a suite that is green must stay green. To look for new ones:
# pytest --hypothesis-profile=search
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("suite")

# A shell's job in the background ignores Ctrl-C, and so would every process that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def patience() -> float:
    """Seconds that a test over real sockets waits for a condition before it fails.

    Generous, and only ever used up by a failure; FLOCK_PATIENCE scales it on slow machines.
    """
    return 15.0 * float(os.environ.get("FLOCK_PATIENCE", "1"))


# With several workers none of these must be the one that all wait for at the end.
LONGEST = (
    "loadtests/test_conditions.py",
    "loadtests/test_run.py",
    "flock_ws/test_security.py",
    "flock_ws/test_page_in_a_browser.py",
    "test_wheel.py",
    "test_contract_kit_correct.py",
    "loadtests/test_users.py",
    "flock_ws/test_server.py",
    "contract/test_tcp_runner.py",
    "contract/test_blackbox.py",
    "loadtests/test_distributed.py",
    "test_contract_kit_sockets.py",
    "test_contract_kit_faulty.py",
    "contract/test_runner.py",
    "flock_ws/test_servers.py",
    "contract/test_streams.py",
    "loadtests/test_foreign.py",
    "loadtests/test_web.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""

    def place(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0]
        return next((n for n, name in enumerate(LONGEST) if file.endswith(name)), len(LONGEST))

    items.sort(key=place)


@given(strategies.none())
def remember_hypothesis(_: None) -> None:
    """Let hypothesis make its generator of randomness: it does not find one that is frozen."""


def pytest_collection_finish() -> None:
    """Let the collector of garbage leave alone what stays to the end: it is most of what there is.

    Tests that look for leaks collect garbage again and again.
    """
    remember_hypothesis()
    gc.collect()
    gc.freeze()
