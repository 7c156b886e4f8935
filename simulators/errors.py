"""The root of everything that this package raises, and the errors that several modules share.

Others are where they are raised: `simulators.faults.BehaviourError`, an `OptionError`;
`simulators.tcp.handshake.ConnectFailed`; `simulators.tcp.frames.FrameError`; those of
`simulators.contract`.

* `SimulatorError`
    * `OptionError`: an argument that cannot be (also a ``ValueError``)
    * `NotSeen`: what a test waited for did not happen (also a ``TimeoutError``)
    * `CloseRefused`: an application closed with what no close frame can hold
    * `SimDeadlock`: nothing can happen any more, and somebody still waits
    * `SimHorizonReached`: the simulated time is up
    * `SimStepLimit`: too much happened, or too much without the clock moving
    * `SimRefused`: real I/O, a thread or a signal under virtual time (a ``NotImplementedError``)
"""

from typing import NamedTuple

__all__ = [
    "CloseRefused",
    "NotSeen",
    "OptionError",
    "SimDeadlock",
    "SimHorizonReached",
    "SimRefused",
    "SimStepLimit",
    "SimulatorError",
    "Waiting",
]


class SimulatorError(Exception):
    """Something that a simulator was asked to do is impossible, or did not happen in time."""


class OptionError(SimulatorError, ValueError):
    """An argument that cannot be: the message names it and what it takes."""


class NotSeen(SimulatorError, TimeoutError):  # noqa: N818  # it names what happened, as asyncio's own do
    """What was waited for did not happen in time, or can no longer happen."""


class CloseRefused(SimulatorError):  # noqa: N818  # it names what happened
    """An application closed with a code or reason that cannot travel: nothing was closed by it.

    It stands for the ``websockets.exceptions.ProtocolError`` that uvicorn's default and legacy
    protocols raise then (0.54). The wsproto one cuts a reason that is too long.
    """


class Waiting(NamedTuple):
    """A task that waits: its name, and where, innermost frame of the caller's own code first."""

    task: str
    where: str

    def __str__(self) -> str:
        """Show it as one line of an error."""
        return f"{self.task} waits at {self.where}"


class _StoppedError(SimulatorError):
    """A simulation that could not go on.

    Attributes:
        time: the virtual time at which it stopped.
        waiting: the tasks that were waiting, in the order in which they were created.
    """

    def __init__(self, message: str, *, time: float, waiting: tuple[Waiting, ...]) -> None:
        self.time = time
        self.waiting = waiting
        lines = "".join(f"\n  {task}" for task in waiting) or "\n  no task waits"
        super().__init__(f"{message}{lines}")


class SimDeadlock(_StoppedError):  # noqa: N818  # it names what happened
    """Nothing is ready, no timer is set, and somebody waits: it would wait for ever."""


class SimHorizonReached(_StoppedError):  # noqa: N818  # it names what happened
    """The next thing to happen lies beyond the horizon of the simulation."""


class SimStepLimit(SimulatorError):  # noqa: N818  # it names what happened
    """More callbacks ran than were allowed.

    Attributes:
        time: the virtual time at which it stopped.
        most: what ran most often among the last callbacks, with how often.
    """

    def __init__(self, message: str, *, time: float, most: tuple[tuple[str, int], ...]) -> None:
        self.time = time
        self.most = most
        lines = "".join(f"\n  {count} times {name}" for name, count in most)
        super().__init__(f"{message}; of the last callbacks, these ran most:{lines}")


class SimRefused(SimulatorError, NotImplementedError):  # noqa: N818  # it names what happened
    """Something that would have to wait for the real world, which virtual time cannot do."""
