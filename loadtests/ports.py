"""A port for a process that is yet to start."""

import socket
import sys
from typing import Self

__all__ = ["ReservedPort"]


class ReservedPort:
    """A port that the system gives to nobody else until the one it is for listens there.

    One that was found free and let go may be somebody else's by the time its process has started;
    on a busy machine that happens. On Linux it is bound here without listening, and whoever binds
    it by its number with ``SO_REUSEADDR``, as servers do, gets it all the same. Elsewhere nobody
    would: there it is let go at once, and no more is promised than that it was free.

    Args:
        host: an IPv4 address of this machine.
        port: 0 is any.

    Attributes:
        port: its number.

    Raises:
        OSError: somebody has it, or this process may not have it.
        OverflowError: there is no such port.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
        except (OSError, OverflowError):
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def __enter__(self) -> Self:
        """Hold it as long as the context lasts."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()

    def close(self) -> None:
        """Let go of it, when its process has ended or listens."""
        self._socket.close()
