"""ClientPool: the set of clients that callers see, which tells the manager of every change."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Self

__all__ = ["ClientPool"]


class ClientPool(set[Any]):
    """A plain set to whoever looks at it; who joins or leaves it joins or leaves the manager.

    Args:
        joined: called with each object that was added.
        left: called with each object that was taken away.
    """

    def __init__(self, joined: Callable[[Any], None], left: Callable[[Any], None]) -> None:
        super().__init__()
        self._joined = joined
        self._left = left

    def add(self, element: Any, /) -> None:
        """Add a client."""
        if element not in self:
            super().add(element)
            self._joined(element)

    def discard(self, element: Any, /) -> None:
        """Take a client away, if it is there."""
        if element in self:
            super().discard(element)
            self._left(element)

    def remove(self, element: Any, /) -> None:
        """Take a client away; KeyError if it is not there."""
        super().remove(element)
        self._left(element)

    def pop(self) -> Any:
        """Take some client away and return it."""
        element = super().pop()
        self._left(element)
        return element

    def clear(self) -> None:
        """Take every client away."""
        self.become(())

    def become(self, elements: Iterable[Any]) -> None:
        """Hold exactly these clients."""
        target = dict.fromkeys(elements)
        for element in [element for element in self if element not in target]:
            self.discard(element)
        for element in target:
            self.add(element)

    def update(self, *others: Iterable[Any]) -> None:
        """Add all of these clients."""
        for other in others:
            for element in other:
                self.add(element)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Take all of these clients away."""
        for other in others:
            for element in list(other):
                self.discard(element)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only clients that are in all of these."""
        self.become(self.intersection(*others))

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        """Keep clients that are here or there, not in both."""
        self.become(self.symmetric_difference(other))

    def __ior__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]  # as set does
        """Add all of these clients."""
        self.update(other)
        return self

    def __isub__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]  # as set does
        """Take all of these clients away."""
        self.difference_update(other)
        return self

    def __iand__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]  # as set does
        """Keep only clients that are in there too."""
        self.intersection_update(other)
        return self

    def __ixor__(self, other: AbstractSet[Any], /) -> Self:  # type: ignore[misc]  # as set does
        """Keep clients that are here or there, not in both."""
        self.symmetric_difference_update(other)
        return self

    def __reduce__(self) -> Any:
        """Copy and pickle as the plain set of the clients."""
        return (set, (list(self),))
