"""Which managers there are: found by looking into the folders beside this file.

The folder above must be on ``sys.path``. `faulty_managers` and `designs` say what is meant to
find each fault; `correct_managers` come with the profile that they promise.
"""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from simulators.contract import CHECKS, Profile, Report

__all__ = [
    "correct_managers",
    "designs",
    "faulty_managers",
    "ids",
    "meant_for",
    "original",
    "profile_of",
    "protocol_of",
    "verdicts",
    "wild_modules",
]

_HERE = Path(__file__).parent


def faulty_managers() -> list[type]:
    """Every class in ``faulty/`` that says what kills it."""
    return [kind for module in _modules("faulty") for kind in _classes(module, "KILLED_BY")]


def correct_managers() -> list[type]:
    """Every manager in ``correct/``, and the one from which the faulty ones derive."""
    found = [kind for module in _modules("correct") for kind in _classes(module, None)]
    sound = importlib.import_module(f"{__package__}.faulty.sound").SoundManager
    return [*(kind for kind in found if kind.__name__.endswith("Manager")), sound]


def designs() -> list[type]:
    """The five designs of the field, each with its `FLAWS`."""
    return list(importlib.import_module(f"{__package__}.designs.broadcasting").DESIGNS)


def protocol_of(kind: type) -> str:
    """The WebSocket protocol of uvicorn's on which a manager's mistake shows."""
    return str(getattr(kind, "PROTOCOL", "auto"))


def wild_modules() -> list[str]:
    """The names of the modules in ``wild/``."""
    return sorted(path.stem for path in (_HERE / "wild").glob("*.py"))


def original() -> type:
    """The manager after the description of the original."""
    kind: type = importlib.import_module(f"{__package__}.original").WebSocketManager
    return kind


def profile_of(kind: type) -> Profile:
    """What a manager promises: the defaults, and what it says in ``PROFILE``."""
    said: dict[str, Any] = {}
    for part in reversed(kind.__mro__):
        said |= vars(part).get("PROFILE", {})
    return Profile(**said)


def _modules(folder: str) -> Iterator[ModuleType]:
    for path in sorted((_HERE / folder).glob("*.py")):
        yield importlib.import_module(f"{__package__}.{folder}.{path.stem}")


def _classes(module: ModuleType, attribute: str | None) -> Iterator[type]:
    for name in module.__all__:
        kind = getattr(module, name)
        if inspect.isclass(kind) and (attribute is None or vars(kind).get(attribute)):
            yield kind


def ids(kinds: list[type]) -> list[str]:
    """The names of managers, with their modules."""
    return [f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}" for kind in kinds]


def meant_for(kind: Any, tier: str) -> list[str]:
    """The checks of a tier that are meant to kill a faulty manager."""
    return [check for check in kind.KILLED_BY if CHECKS[check].tier == tier]


def verdicts(report: Report, verdict: str) -> dict[str, str]:
    """The checks that came to a verdict, with what they said."""
    return {
        result.check_id: result.message for result in report.results if result.verdict == verdict
    }
