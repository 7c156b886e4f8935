"""What can be done with any manager, whoever wrote it.

A manager has ``add_client``, ``remove_client`` and ``broadcast``, in either colour; everything
else is used where it is there, under the names that are common in the wild.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel
from starlette.websockets import WebSocket

from flock_ws.errors import FlockError

__all__ = [
    "NotAManagerError",
    "check_manager",
    "end",
    "is_full",
    "members",
    "name_of",
    "publish_through",
    "settled",
    "statistics",
    "takes",
]

_NEEDED = ("add_client", "remove_client", "broadcast")
# In the order of how sure they are to mean it: the original's first.
_POOLS = ("clients", "active_connections", "_clients", "_connections", "connections", "active")
_ENDINGS = ("shutdown", "close_all", "disconnect_all", "aclose", "stop")
_CONTAINERS = (set, frozenset, list, tuple, dict)

logger = logging.getLogger("flock_ws.foreign")


class NotAManagerError(FlockError, TypeError):
    """What was given cannot be served: it lacks methods that every manager has."""


def check_manager(manager: Any) -> None:
    """Refuse what is no manager.

    Raises:
        NotAManagerError: it lacks a method; the message names each.
    """
    if missing := [name for name in _NEEDED if not callable(getattr(manager, name, None))]:
        raise NotAManagerError(
            f"{name_of(manager)} is no manager: it lacks {', '.join(missing)}; "
            f"a manager has {', '.join(_NEEDED)}"
        )


def name_of(manager: Any) -> str:
    """Return where the manager's class is defined, as ``module:Class``."""
    kind = type(getattr(manager, "adopted", manager))
    return f"{kind.__module__}:{kind.__qualname__}"


async def settled(value: Any) -> Any:
    """Return the value, awaited if that is what it takes."""
    return await value if inspect.isawaitable(value) else value


def takes(function: Callable[..., Any], parameter: str) -> bool:
    """Whether a function names this parameter; ``**options`` do not count."""
    try:
        return parameter in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


async def publish_through(manager: Any, events: Iterable[BaseModel]) -> None:
    """Hand events to a manager, in order.

    One with a synchronous ``publish`` is not waited for; else each ``broadcast`` is awaited before
    the next begins, which is what a caller of such a manager lives with.
    """
    publish = getattr(manager, "publish", None)
    if callable(publish) and not inspect.iscoroutinefunction(publish):
        for event in events:
            publish(event)
    else:
        for event in events:
            await settled(manager.broadcast(event))


async def end(manager: Any, *, timeout: float) -> None:  # noqa: ASYNC109 - bounds one that will not stop
    """Call the manager's own ending, whatever its name; log what goes wrong.

    Does not wait longer than `timeout` seconds, even for a manager that swallows its cancellation.
    """
    name = next((name for name in _ENDINGS if callable(getattr(manager, name, None))), None)
    if name is None:
        return

    async def ending() -> None:
        await settled(getattr(manager, name)())

    task = asyncio.ensure_future(ending())
    _, late = await asyncio.wait({task}, timeout=timeout)
    if late:
        task.cancel()
        logger.warning(
            "%s.%s() took longer than %g s: going on without it", name_of(manager), name, timeout
        )
    elif not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s.%s() failed", name_of(manager), name, exc_info=error)


def is_full(manager: Any) -> bool:
    """Whether the manager is known to take nobody more: its ``limits.max_clients`` is reached."""
    most = getattr(getattr(manager, "limits", None), "max_clients", None)
    pool = _pool(manager)
    return isinstance(most, int) and pool is not None and len(pool) >= most


def members(manager: Any) -> set[int] | None:
    """Return the identities of the sockets in the pool, or None where that cannot be seen.

    Looks one level deep, for pools by room. A pool of wrapped sockets cannot be seen.
    """
    pool = _pool(manager)
    if pool is None:
        return None
    found: list[Any] = [*pool, *pool.values()] if isinstance(pool, dict) else list(pool)
    for group in [item for item in found if isinstance(item, _CONTAINERS)]:
        found.extend([*group, *group.values()] if isinstance(group, dict) else group)
    sockets = {id(item) for item in found if isinstance(item, WebSocket)}
    return sockets if sockets or not pool else None


def statistics(manager: Any, *, time: float) -> dict[str, Any]:
    """Return what ``statistics()`` offers, else the size of the pool.

    Args:
        manager: any manager.
        time: the loop's time, for a manager that does not tell it.
    """
    offered = getattr(manager, "statistics", None)
    found: Any = offered() if callable(offered) else None
    if callable(getattr(found, "as_dict", None)):
        found = found.as_dict()
    if isinstance(found, dict):
        return found
    pool = _pool(manager)
    return {"time": time, "clients": None if pool is None else len(pool)}


def _pool(manager: Any) -> Any:
    pools = (getattr(manager, name, None) for name in _POOLS)
    return next((pool for pool in pools if isinstance(pool, _CONTAINERS)), None)
