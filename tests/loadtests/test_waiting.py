import os
import sys

import pytest

from loadtests.waiting import waited

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@LINUX
def test_the_wait_of_this_thread_never_shrinks() -> None:
    before, after = waited(), waited()
    assert before is not None
    assert after is not None
    assert 0 <= before <= after


@LINUX
def test_the_wait_of_a_process_is_known() -> None:
    assert waited(os.getpid()) is not None


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert waited(2**30) is None
