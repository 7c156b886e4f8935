"""What is said about a manager in a small TOML file.

broadcast = "send_everything(message)"
payload = "myapp.tests:make_event"
seeds = 10

[profile]
send_timeout = 2.0
history_limit = "none"

[expect]
"evict.socket_is_closed" = "known, see issue 12"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from simulators.contract.adapters import Names
from simulators.contract.loader import find
from simulators.contract.profile import Profile
from simulators.errors import OptionError

__all__ = ["Config"]

_NAMES = ("join", "leave", "broadcast", "shutdown", "history", "said", "payload")
_OUTSIDE = ("path", "publish", "say")
_TEXTS = (*_NAMES, *_OUTSIDE, "select")
_NUMBERS = ("seed", "seeds")
_TABLES = ("profile", "expect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration file.

    Attributes:
        names: what joins, leaves and broadcasts.
        outside: how an application is used from outside: ``path``, ``publish`` and ``say``.
        profile: the numbers of the promises.
        expect: ids of checks that may fail, with the reasons.
        select: which checks; all when None.
        seed: the first seed.
        seeds: how many.
    """

    names: Names = field(default_factory=Names)
    outside: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)
    expect: Mapping[str, str] = field(default_factory=dict)
    select: str | None = None
    seed: int = 0
    seeds: int = 3

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            OptionError: it is not there, is no TOML, or holds what nobody knows.
        """
        try:
            form = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise OptionError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise OptionError(f"{path} is no TOML: {error}") from error
        try:
            return cls.from_dict(form)
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read what the file holds.

        Raises:
            OptionError: a key is unknown, or a value of the wrong kind.
        """
        known = (*_TEXTS, *_NUMBERS, *_TABLES)
        if unknown := sorted(form.keys() - set(known)):
            raise OptionError(f"unknown {', '.join(unknown)}; it takes {', '.join(known)}")
        for names, kind, word in ((_TEXTS, str, "a text"), (_NUMBERS, int, "a whole number")):
            for name in names:
                if name in form and not isinstance(form[name], kind):
                    raise OptionError(f"{name} must be {word}, not {form[name]!r}")
        for name in _TABLES:
            if not isinstance(form.get(name, {}), Mapping):
                raise OptionError(f"{name} must be a table, [{name}], not {form[name]!r}")
        texts: dict[str, Any] = {name: form[name] for name in _NAMES if name in form}
        if "payload" in texts:
            texts["payload"] = find(texts["payload"])[2]
        return cls(
            names=Names(**texts),
            outside={name: form[name] for name in _OUTSIDE if name in form},
            profile=Profile.from_dict(form.get("profile", {})),
            expect=dict(form.get("expect", {})),
            select=form.get("select"),
            seed=form.get("seed", 0),
            seeds=form.get("seeds", 3),
        )
