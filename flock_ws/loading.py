"""From ``MODULE:FACTORY`` on a command line to a manager."""

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from typing import Any

from flock_ws import foreign
from flock_ws.adopted import adopt
from flock_ws.errors import FlockError

__all__ = ["ManagerNotLoadedError", "load_manager"]


class ManagerNotLoadedError(FlockError):
    """``MODULE:FACTORY`` leads to no manager; the cause is what failed on the way, if anything."""


def load_manager(text: str, *, options: Mapping[str, Any] | None = None) -> tuple[Any, list[str]]:
    """Import a manager, or what makes one, and call that.

    The working directory is put in front of ``sys.path``, as ``python -m`` does. A class or a
    function is called; an instance is taken as it is. One that says ``connect`` and ``disconnect``
    is put under our names.

    Args:
        text: ``package.module:name``; the name may have dots.
        options: keywords for the call; only those that the callee takes are passed.

    Returns:
        The manager, and the names of options that could not be passed.

    Raises:
        ManagerNotLoadedError: nothing is there, or it fails on being imported or called.
        NotAManagerError: what came of it lacks a method.
    """
    module_name, _, path = text.partition(":")
    if not module_name or not path:
        raise ManagerNotLoadedError(
            f"{text!r} names no manager: expected MODULE:FACTORY, like yourapp.ws:ConnectionManager"
        )
    found = _import(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ManagerNotLoadedError(f"{module_name!r} has no {path!r}{meant}")
        found = getattr(found, part)
    options = options or {}
    if not _is_factory(found):
        manager = adopt(found)
        foreign.check_manager(manager)
        return manager, list(options)
    taken = {name: value for name, value in options.items() if _takes(found, name)}
    try:
        manager = adopt(found(**taken))
    except Exception as error:
        arguments = ", ".join(f"{name}={value!r}" for name, value in taken.items())
        raise ManagerNotLoadedError(
            f"{text}({arguments}) failed: {type(error).__name__}: {error}"
        ) from error
    if inspect.iscoroutine(manager):
        manager.close()
        raise ManagerNotLoadedError(f"{text} is async: give a class, a plain function or a manager")
    foreign.check_manager(manager)
    return manager, [name for name in options if name not in taken]


def _import(name: str) -> Any:
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise ManagerNotLoadedError(
                f"there is no module {missing!r}, neither installed nor in {here}"
            ) from error
        raise ManagerNotLoadedError(
            f"importing {name!r} failed: {type(error).__name__}: {error}"
        ) from error


def _is_factory(found: Any) -> bool:
    return inspect.isclass(found) or (callable(found) and not hasattr(found, "add_client"))


def _takes(function: Any, name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
