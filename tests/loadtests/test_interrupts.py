"""What a signal does before, in and after the end of a run."""

import os
import signal
from collections.abc import Iterator

import pytest

from loadtests.interrupts import Interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="raises signals as POSIX does")


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    with Interrupts() as interrupts:
        yield interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_a_run(interrupts: Interrupts, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert interrupts.count == 1


def test_a_run_that_ends_by_itself_does_not_lose_its_report(interrupts: Interrupts) -> None:
    interrupts.end()
    signal.raise_signal(signal.SIGINT)
    assert interrupts.count == 1


def test_the_second_signal_interrupts_wherever_it_comes(interrupts: Interrupts) -> None:
    interrupts.end()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_the_handlers_from_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
