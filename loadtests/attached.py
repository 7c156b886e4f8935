"""Runs a module that ends with the process that started it, however that one ends.

``python -m loadtests.attached MODULE [ARGUMENT …]`` is ``python -m MODULE [ARGUMENT …]`` whose
standard input is a pipe: it ends when its other end does, which nobody but the parent holds. So
not even a parent that is killed leaves a server or a generator behind. The module itself reads
from the null device.

It imports as little as it can: locust patches what is imported after it.
"""

import _thread
import os
import runpy
import signal
import sys
from time import sleep

__all__ = ["main"]

_LEAVE_BY_FORCE_AFTER = 5.0
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the module that the first argument names."""
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Not by way of `threading`: this thread must stay a real one when gevent patches that.
    _thread.start_new_thread(_watch, (pipe,))
    _be_killed_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _watch(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(_LEAVE_BY_FORCE_AFTER)
    os._exit(1)


def _be_killed_with_parent() -> None:
    """Let the kernel do it too, for a process in which no thread gets a turn any more (Linux)."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - not there in every build, and only Linux needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
