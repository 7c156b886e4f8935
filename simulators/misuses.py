"""What a manager does to a connection that it must not."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol

__all__ = ["HasMessages", "Misuse", "encoded_anew"]


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


class HasMessages(Protocol):
    """A client in process, as far as `encoded_anew` looks: a `FakeClient`."""

    @property
    def messages(self) -> list[str]:
        """The text messages that the peer has read."""


def encoded_anew(clients: Iterable[HasMessages]) -> bool:
    """Tell whether a manager encoded some message anew for each client.

    A text that two clients have, and never as the same object, was made twice. It looks at all
    that the clients have read: call it at the end. It says nothing of fewer than two clients, nor
    of a manager that keeps the encoded texts of each client apart on purpose.

    Example:
        >>> assert not encoded_anew(clients)
    """
    holders: defaultdict[str, list[set[int]]] = defaultdict(list)
    for client in clients:
        mine: defaultdict[str, set[int]] = defaultdict(set)
        for text in client.messages:
            mine[text].add(id(text))
        for text, objects in mine.items():
            holders[text].append(objects)
    return any(first.isdisjoint(other) for first, *others in holders.values() for other in others)
