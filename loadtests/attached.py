"""Runs a module that ends with the process that started it, however that one ends.

``python -m loadtests.attached MODULE [ARGUMENT …]`` is ``python -m MODULE [ARGUMENT …]`` whose
standard input is a pipe: it ends when its other end does, which nobody but the parent holds. So
not even a parent that is killed leaves a server or a generator behind. The module itself reads
from the null device.

It imports as little as it can: locust patches what is imported after it. What the module will
import comes first, while nothing looks for garbage: that took a fifth of a start.
"""

import _thread
import gc
import importlib
import os
import runpy
import signal
import sys
from time import sleep

__all__ = ["main"]

_LEAVE_BY_FORCE_AFTER = 5.0
_PR_SET_PDEATHSIG = 1
# In the order in which each imports them itself; the command `flock-ws` sees to its own.
_IMPORTS = {
    "locust": ("locust.main", "loadtests.users"),
    "loadtests.hosting": ("uvicorn", "flock_ws.server"),
}


def main() -> None:
    """Become the module that the first argument names."""
    pipe = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Not by way of `threading`: this thread must stay a real one when gevent patches that.
    _thread.start_new_thread(_watch, (pipe,))
    _be_killed_with_parent()
    del sys.argv[0]
    _import_first(_IMPORTS.get(sys.argv[0], ()))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _import_first(names: tuple[str, ...]) -> None:
    gc.disable()
    for name in names:
        importlib.import_module(name)
    # It stays to the end, and no later collection, not even the last one, need look through it.
    gc.freeze()
    gc.enable()


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
