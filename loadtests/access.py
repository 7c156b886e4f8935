"""How one gets into a server that is there already, and where its events keep what is measured."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from loadtests.errors import LoadTestError

__all__ = ["Access", "add_arguments", "headers_of", "without_secrets"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OWN = {
    "connection",
    "content-length",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
}
_SECRET = re.compile(r"auth|cookie|token|secret|key|password", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What every client of a run says and reads beside the scenario; see `Plan` for the meanings.

    Raises:
        LoadTestError: a path into JSON, or a subprotocol, that can be none.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    sequence_path: str | None = None
    time_path: str | None = None
    ca: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        """Refuse what no server could take."""
        for option, path in (("sequence", self.sequence_path), ("time", self.time_path)):
            if path is not None and not all(path.split(".")):
                raise LoadTestError(
                    f"--{option}-path {path!r} is no path into JSON: expected names or indices"
                    " with dots between them, like data.seq or items.0.seq"
                )
        for name in self.subprotocols:
            if not _TOKEN.fullmatch(name):
                raise LoadTestError(f"--subprotocol {name!r} is no name of a subprotocol")
        if len(set(self.subprotocols)) < len(self.subprotocols):
            raise LoadTestError("--subprotocol names one twice")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Read it from a command line.

        Raises:
            LoadTestError: an option says what cannot be.
        """
        return cls(
            headers=headers_of(arguments.header),
            subprotocols=tuple(arguments.subprotocol),
            messages=tuple(arguments.message),
            sequence_path=arguments.sequence_path,
            time_path=arguments.time_path,
            ca=arguments.ca,
            insecure=arguments.insecure,
        )

    def to_plan(self) -> dict[str, Any]:
        """Return the fields of a plan."""
        return asdict(self)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for servers of other kinds."""
    group = parser.add_argument_group("servers of other kinds")
    add = group.add_argument
    add(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a further header of each handshake and request; may be repeated",
    )
    add(
        "--subprotocol",
        action="append",
        default=[],
        metavar="NAME",
        help="offered to the server; may be repeated, the preferred one first",
    )
    add(
        "--message",
        action="append",
        default=[],
        metavar="TEXT",
        help="what each client says once it is connected, to subscribe; may be repeated",
    )
    add(
        "--sequence-path",
        metavar="PATH",
        help="where its events keep their number, like data.seq or items.0.seq; then this run only"
        " listens, and the server numbers its events without holes [sequence]",
    )
    add(
        "--time-path",
        metavar="PATH",
        help="where its events keep the time they were sent at: ISO 8601, or seconds or"
        " milliseconds since 1970 [timestamp]",
    )
    add("--ca", metavar="FILE", help="certificates to trust for wss:// [the system's]")
    add("--insecure", action="store_true", help="take any certificate for wss://")


def headers_of(lines: Sequence[str]) -> dict[str, str]:
    """Read headers from ``Name: value``.

    Raises:
        LoadTestError: a line is no header, is the handshake's own, or comes twice.
    """
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        # A value may be secret: it is not repeated.
        if not colon or not _TOKEN.fullmatch(name):
            raise LoadTestError(f"--header {name!r} is no header: expected 'Name: value'")
        if not value.isprintable() or not value.isascii():
            raise LoadTestError(f"--header {name}: its value holds other than printable ASCII")
        if name.lower() == "sec-websocket-protocol":
            raise LoadTestError(f"--header {name}: use --subprotocol")
        if name.lower() in _OWN:
            raise LoadTestError(f"--header {name}: this one the handshake sets itself")
        if name.title() in headers:
            raise LoadTestError(f"--header {name} comes twice")
        headers[name.title()] = value
    return headers


def without_secrets(words: Sequence[str]) -> list[str]:
    """Return a command line in which no header shows a secret: it ends in records and reports."""
    shown: list[str] = []
    for word in words:
        if shown and shown[-1] == "--header":
            shown.append(_hidden(word))
        elif word.startswith("--header="):
            shown.append(f"--header={_hidden(word.removeprefix('--header='))}")
        else:
            shown.append(word)
    return shown


def _hidden(line: str) -> str:
    name, colon, _ = line.partition(":")
    return f"{name}: ***" if colon and _SECRET.search(name) else line
