import os
import sys

import pytest

from simulators.starvation import starved

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@LINUX
def test_the_wait_of_this_thread_never_shrinks() -> None:
    before, after = starved(), starved()
    assert before is not None
    assert after is not None
    assert 0 <= before <= after


@LINUX
def test_the_wait_of_a_process_is_known() -> None:
    assert starved(os.getpid()) is not None


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert starved(2**30) is None
