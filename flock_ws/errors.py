"""The root of what this package raises on purpose.

::

    FlockError
    ├── PoolFull                                add_client() above max_clients
    ├── NotOnLoopError                          called off the manager's loop (a RuntimeError too)
    ├── flock_ws.doors.DoorError                a token or an origin that cannot be
    ├── flock_ws.foreign.NotAManagerError       it lacks a manager's methods (a TypeError too)
    ├── flock_ws.loading.ManagerNotLoadedError  MODULE:FACTORY leads to no manager
    └── flock_ws.server.ServeError              serve cannot begin: address or event loop

A value that makes no sense raises a plain ``ValueError`` which names its field. What a client's
socket raises never reaches a publisher, so it has no place here.
"""

__all__ = ["FlockError", "NotOnLoopError", "PoolFull"]


class FlockError(Exception):
    """Something that the caller can mend; its message says what was seen and what to do.

    The command line shows it as one line. A bug is never a `FlockError`.
    """


class PoolFull(FlockError):  # noqa: N818  # named like asyncio.QueueFull
    """The pool holds `Limits.max_clients` clients already.

    Attributes:
        max_clients: the limit.
    """

    def __init__(self, max_clients: int) -> None:
        super().__init__(
            f"the pool is full: it holds {max_clients} clients, as many as max_clients allows; "
            "turn the client away with a denial response or close it with code 1013"
        )
        self.max_clients = max_clients


class NotOnLoopError(FlockError, RuntimeError):
    """Called from a thread that does not run the manager's event loop."""
