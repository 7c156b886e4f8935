"""What a manager does to a connection that it must not."""

from typing import NamedTuple

__all__ = ["Misuse"]


class Misuse(NamedTuple):
    """Something that an application must not do with a connection.

    ``kind`` is one of

    * ``sends_overlap``: a send began while another was in flight;
    * ``send_after_close``: it had closed the connection;
    * ``send_after_failure``: an earlier send had raised;
    * ``send_after_cancel``: an earlier send was cancelled, by a timeout for instance, so that
      nobody knows whether its message arrived.

    ``time`` is the loop's.
    """

    kind: str
    time: float
    detail: str
