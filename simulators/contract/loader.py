"""From ``module:name`` on a command line to something that makes managers."""

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from simulators.contract.adapters import Subject
from simulators.errors import SimulatorError

__all__ = ["NotLoadedError", "find", "load"]


class NotLoadedError(SimulatorError):
    """``module:name`` leads to nothing that could be checked."""


def load(text: str) -> Subject:
    """Find what a text names: a class, a function that makes a manager, or a manager.

    A manager that stands in a module is made anew for each check, by running a fresh copy of its
    module; modules that it imports are not copied. The working directory is put in front of
    ``sys.path``, as ``python -m`` does.

    Args:
        text: ``package.module:name``; the name may have dots.

    Raises:
        NotLoadedError: nothing is there, or importing it fails.
    """
    module, path, found = find(text)
    if inspect.ismodule(found):
        raise NotLoadedError(
            f"{text!r} is a module: name what is in it, {found.__name__}:ConnectionManager"
        )
    if inspect.isclass(found):
        return Subject(text, found, "class")
    if inspect.isroutine(found) or (callable(found) and not _is_manager(found)):
        return Subject(text, found, "function")

    def fresh() -> Any:
        return _walk(_fresh_copy(module), path, text)

    return Subject(text, fresh, "instance")


def find(text: str) -> tuple[ModuleType, str, Any]:
    """Import what a text names.

    Raises:
        NotLoadedError: nothing is there, or importing it fails.
    """
    name, _, path = text.partition(":")
    if path.startswith("//"):
        raise NotLoadedError(
            f"{text!r} names no manager: give MODULE:NAME, or the WebSocket's address, "
            "ws://HOST:PORT/PATH"
        )
    if name.endswith(".py") or "/" in name or name.startswith("."):
        meant = name.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
        raise NotLoadedError(
            f"{name!r} is a file or a folder: give the module, as an import has it, "
            f"{meant}:{path or 'ConnectionManager'}"
        )
    if path.partition("/")[0].isdecimal():
        raise NotLoadedError(f"{text!r} names no manager: a running server is ws://{text}")
    if not name or not path:
        raise NotLoadedError(
            f"{text!r} names no manager: expected MODULE:NAME, like yourapp.ws:ConnectionManager"
        )
    module = _import(name)
    return module, path, _walk(module, path, text)


def _walk(module: ModuleType, path: str, text: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise NotLoadedError(f"{text.partition(':')[0]!r} has no {path!r}{meant}")
        found = getattr(found, part)
    return found


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109  # sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise NotLoadedError(
                f"there is no module {missing!r}, neither installed nor in {here}"
            ) from error
        raise NotLoadedError(
            f"importing {name!r} failed: {type(error).__name__}: {error}{_where(error)}"
        ) from error
    except SystemExit as error:
        raise NotLoadedError(
            f"importing {name!r} ended the program: SystemExit({error})"
        ) from error


def _where(error: Exception) -> str:
    """Return the line of a module that raised; a syntax error names its own."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ""
    own = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    return f" ({own[-1].filename}, line {own[-1].lineno})"


def _fresh_copy(module: ModuleType) -> ModuleType:
    """Run a module's code again, in a new module object that nobody else sees."""
    spec = module.__spec__
    if spec is None or spec.loader is None:
        raise NotLoadedError(f"{module.__name__!r} cannot be loaded a second time")
    copy = importlib.util.module_from_spec(spec)
    name = module.__name__
    # While it runs it must be found under its name, by dataclasses for instance.
    sys.modules[name] = copy
    try:
        spec.loader.exec_module(copy)
    finally:
        sys.modules[name] = module
    return copy


def _is_manager(found: Any) -> bool:
    return any(
        not name.startswith("_") and callable(getattr(found, name, None))
        for name in dir(found)
        if name.startswith(("broadcast", "connect", "add_", "send", "publish"))
    )
