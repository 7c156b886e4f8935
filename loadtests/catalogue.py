"""Scenario files: those that come with the package, and anybody's own."""

import tomllib
from pathlib import Path
from typing import Any

from loadtests import bounds
from loadtests.errors import ScenarioError
from loadtests.scenario import AUTOMATIC_WINDOWS, Scenario

__all__ = ["BUILT_IN", "built_in", "find", "read", "text"]

_FOLDER = Path(__file__).with_name("scenarios")

BUILT_IN = (
    "storm",
    "isolation",
    "eviction",
    "heartbeat",
    "history",
    "reconnect",
    "capacity",
    "soak",
)
"""The scenarios that come with the package, in the order of lists."""


def built_in(name: str) -> Scenario:
    """Return a scenario that comes with the package.

    Raises:
        ScenarioError: there is none of this name; the message names those that there are.
    """
    return read(_path(name))


def find(word: str) -> Scenario:
    """Return the scenario that a word on the command line means: a name, or the path of a file.

    Raises:
        ScenarioError: there is neither, or the file is wrong; see `read`.
    """
    return read(_path(word))


def text(word: str) -> str:
    """Return the file of a scenario as it is written, with its comments.

    Raises:
        ScenarioError: there is none, or it cannot be read.
    """
    return _text(_path(word))


def read(path: Path) -> Scenario:
    """Read a scenario's file.

    Raises:
        ScenarioError: it cannot be read, is no TOML, or what it says cannot be run. The message
            names the file, the key, what was seen and what was expected.
    """
    try:
        form = tomllib.loads(_text(path))
        _check_windows(form)
        scenario = Scenario.from_json(form)
        bounds.check(scenario)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: not TOML: {error}") from None
    except ScenarioError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise ScenarioError(f"{path}: {error}") from None
    return scenario


def _check_windows(form: dict[str, Any]) -> None:
    if taken := [name for name in AUTOMATIC_WINDOWS if name in form.get("windows", ())]:
        raise ScenarioError(f"windows.{taken[0]} is there by itself: choose another name")


def _path(word: str) -> Path:
    if word in BUILT_IN:
        return _FOLDER / f"{word}.toml"
    path = Path(word)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path
    raise ScenarioError(
        f"no scenario {word!r} (there are: {', '.join(BUILT_IN)}; or the path of a .toml file)"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text: {error.reason}") from None
