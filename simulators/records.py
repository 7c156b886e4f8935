"""What a fake client saw, as plain records: the same in process and over real TCP."""

from typing import NamedTuple

__all__ = ["Closed", "Received"]


class Received(NamedTuple):
    """One message that a client took. ``time`` is the loop's."""

    message: str | bytes
    time: float


class Closed(NamedTuple):
    """How the connection ended, as the client saw it.

    ``code`` is that of the close frame: 1005 when the frame had none, 1006 when the connection
    broke without a frame. ``time`` is the loop's.
    """

    code: int
    reason: str
    time: float
