"""The doors of ``flock-ws serve`` as options of a command line, and tokens out of its sight.

A token is never an option itself: everybody on the machine can read those with ``ps``.
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from flock_ws import arguments as words
from flock_ws.doors import DoorError, Doors, read_token_file

__all__ = ["PUBLISH_TOKEN", "READ_TOKEN", "add_door_arguments", "doors_from"]

PUBLISH_TOKEN = "FLOCK_WS_PUBLISH_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable from which the publish token is taken where no file is given."""

READ_TOKEN = "FLOCK_WS_READ_TOKEN"  # noqa: S105 - the name of a variable
"""The same for the read token."""

_DEFAULTS = Doors()


def add_door_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who may come in."""
    add = parser.add_argument_group("who may come in").add_argument
    add("--max-clients", type=words.count, metavar="N", help="turn away who comes after [no limit]")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin connect too, like https://dash.example; may be repeated "
        "[only our own; programs that are no browser are not asked]",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer under this name too; may be repeated "
        "[on loopback: localhost and IP addresses; elsewhere: any]",
    )
    add(
        "--publish-token-file",
        metavar="FILE",
        help=f"who publishes needs the token in it [that in ${PUBLISH_TOKEN}]",
    )
    add(
        "--read-token-file",
        metavar="FILE",
        help=f"who connects or looks needs the token in it [that in ${READ_TOKEN}]",
    )
    add(
        "--max-inbound-bytes",
        type=words.count,
        default=_DEFAULTS.max_inbound_bytes,
        metavar="BYTES",
        help="the largest message that a client may send [%(default)s]",
    )
    add(
        "--max-inbound-rate",
        type=words.rate,
        default=_DEFAULTS.max_inbound_rate,
        metavar="RATE",
        help="messages a second that a client may send; 0 sets no limit [%(default)g]",
    )
    add(
        "--max-body-bytes",
        type=words.count,
        default=_DEFAULTS.max_body_bytes,
        metavar="BYTES",
        help="the largest body of a request [%(default)s]",
    )
    add(
        "--handshake-timeout",
        type=words.seconds,
        default=_DEFAULTS.handshake_timeout,
        metavar="SECONDS",
        help="drop who takes longer over a request or an upgrade [%(default)g]",
    )


def doors_from(
    arguments: argparse.Namespace, *, environment: Mapping[str, str] = os.environ
) -> Doors:
    """Return the doors that the options describe.

    Args:
        arguments: what `add_door_arguments` led to.
        environment: where the tokens are looked for that no file gives.

    Raises:
        DoorError: a token or an origin that cannot be; the message never shows a token.
    """
    found: dict[str, Any] = {
        "publish_token": _token(arguments.publish_token_file, environment.get(PUBLISH_TOKEN)),
        "read_token": _token(arguments.read_token_file, environment.get(READ_TOKEN)),
    }
    try:
        return Doors(
            allowed_origins=tuple(arguments.allow_origin),
            allowed_hosts=tuple(arguments.allow_host) or None,
            max_clients=arguments.max_clients,
            max_inbound_bytes=arguments.max_inbound_bytes,
            max_inbound_rate=arguments.max_inbound_rate or None,
            max_body_bytes=arguments.max_body_bytes,
            handshake_timeout=arguments.handshake_timeout,
            **found,
        )
    except ValueError as error:
        raise DoorError(f"the doors cannot be: {error}") from error


def _token(path: str | None, variable: str | None) -> str | None:
    return variable or None if path is None else read_token_file(path)
