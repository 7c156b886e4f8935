"""How clients get into a manager and out of it, whatever its methods are called."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from simulators.errors import OptionError

__all__ = ["Door"]

# Join and leave by name, and whether the first takes sockets that are accepted already.
_STYLES = (("add_client", "remove_client", True), ("connect", "disconnect", False))
_POOLS = ("clients", "active_connections")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The way into a manager and out of it.

    Knows the two commonest styles; whatever else there is goes through two callables.

    Attributes:
        manager: what lies behind, or None.
        join: called with a client that comes; may be asynchronous.
        leave: called with a client that has gone; may be asynchronous.
        said: called with a client and what it said, or None.
        takes_accepted: whether a client must be accepted before it joins.
    """

    manager: Any
    join: Callable[[Any], Any]
    leave: Callable[[Any], Any]
    said: Callable[[Any, str | bytes], Any] | None
    takes_accepted: bool

    @classmethod
    def of(
        cls,
        manager: Any,
        *,
        join: Callable[[Any], Any] | None = None,
        leave: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Find the door of a manager.

        Args:
            manager: has ``add_client`` and ``remove_client``, or ``connect`` and ``disconnect``.
            join: instead of the manager's own.
            leave: instead of the manager's own.

        Raises:
            OptionError: it has neither, or is a class; or only one of the two callables is given.
        """
        if (join is None) != (leave is None):
            raise OptionError("join and leave belong together: pass both, or neither")
        takes_accepted = True
        if join is None or leave is None:
            join = leave = _closed
            for joining, leaving, accepted in _STYLES:
                if isinstance(manager, type):
                    raise OptionError(
                        f"a manager is expected and not its class: manager={manager.__name__}()"
                    )
                if manager is not None and hasattr(manager, joining) and hasattr(manager, leaving):
                    join, leave = getattr(manager, joining), getattr(manager, leaving)
                    takes_accepted = accepted
                    break
            else:
                if manager is not None:
                    raise OptionError(
                        f"{type(manager).__name__} has neither add_client and remove_client nor "
                        "connect and disconnect: pass join= and leave=, each called with a client"
                    )
        said = getattr(manager, "client_said", None)
        return cls(
            manager=manager, join=join, leave=leave, said=said, takes_accepted=takes_accepted
        )

    def pool(self) -> frozenset[int] | None:
        """Return the ids of the objects in the manager's pool; None if it shows none."""
        for name in _POOLS:
            pool = getattr(self.manager, name, None)
            if isinstance(pool, Mapping):
                return frozenset(map(id, pool.values()))
            if isinstance(pool, Collection):
                return frozenset(map(id, pool))
        return None


def _closed(_: object) -> None:
    raise OptionError("this swarm has no manager: pass manager=, or join= and leave=")
