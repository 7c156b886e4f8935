"""The limit of open files, in processes of their own: it cannot be raised back."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

SCRIPT = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from loadtests.descriptors import ensure_descriptors
from loadtests.errors import LoadTestError
try:
    print(ensure_descriptors(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except LoadTestError as error:
    print(error)
"""


def ask(soft: int, hard: int, clients: int) -> str:
    words = [str(number) for number in (soft, hard, clients)]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_limit_that_is_enough_stays() -> None:
    assert ask(400, 500, 200) == "400 400"


def test_a_soft_limit_that_is_too_low_is_raised_to_the_hard_one() -> None:
    assert ask(200, 500, 300) == "500 500"


def test_a_hard_limit_that_is_too_low_is_named_with_what_is_needed() -> None:
    assert ask(200, 250, 1_000) == (
        "too few file descriptors: 1000 sockets take about 1128, and the hard limit of open files"
        " is 250: raise it (ulimit -Hn), or take fewer clients"
    )
