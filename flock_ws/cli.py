"""The ``flock-ws`` command: a table of names.

Each command lives in the package that owns it and is imported when it is called, so that
``flock-ws serve`` never loads locust. Such a module offers ``add_arguments(parser)`` and
``run(arguments) -> int``, whose result is the exit code.
"""

import argparse
import contextlib
import difflib
import gc
import importlib
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import NamedTuple

from flock_ws.errors import FlockError

__all__ = ["COMMANDS", "Command", "main", "whole_parser"]

_USAGE = 2
_INTERRUPTED = 130
_OWN_PACKAGES = ("flock_ws", "simulators", "loadtests")


class Command(NamedTuple):
    """Where a command lives.

    Attributes:
        module: offers ``add_arguments`` and ``run``; imported when the command is called.
        help: one line for the list of commands.
        extra: the optional dependencies it needs, as ``flock-ws[extra]``.
    """

    module: str
    help: str
    extra: str


COMMANDS: dict[str, Command] = {
    "check": Command(
        "simulators.contract.command",
        "tell which promises a manager keeps, whoever wrote it",
        "testing",
    ),
    "serve": Command(
        "flock_ws.server", "serve a manager to real WebSocket clients, on this machine", "server"
    ),
    "events": Command(
        "simulators.feed",
        "write realistic events as JSON lines, at a rate and from a seed",
        "testing",
    ),
    "load": Command(
        "loadtests.command", "run healthy, slow, stalled and dead clients against a server", "load"
    ),
    "report": Command(
        "loadtests.reread", "show load tests that were recorded, one or two side by side", "load"
    ),
    "completion": Command(
        "flock_ws.completion", "write what your shell needs to complete options", "completion"
    ),
}

_EPILOG = """\
exit codes:
  0    every promise was kept, or what was asked for is done
  1    a promise was broken
  2    wrong usage, or something that is needed is missing
  3    a load test could not tell
  130  Ctrl-C

examples:
  flock-ws check yourapp.ws:ConnectionManager
      which promises your manager keeps, and how it breaks the others
  flock-ws serve --events 100
      the reference manager on ws://127.0.0.1:8000/ws, with 100 events a second
  flock-ws serve --manager yourapp.ws:ConnectionManager
      the same application around your own manager
  flock-ws load --scenario storm
      a server of its own, faulty clients, and a verdict in about a minute

`flock-ws COMMAND --help` tells the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process.

    Args:
        argv: the words after the program's name; those of the process when None.

    Returns:
        What the command returned; 2 for wrong usage, for a missing extra and for any `FlockError`;
        130 after Ctrl-C. Other exceptions are bugs and pass through with their traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # None of the global options takes a value, so the first bare word is the command.
    split = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
    parser = _parser()
    options = parser.parse_args(words[:split])
    if split == len(words):
        parser.print_help()
        return 0
    name, rest = words[split], words[split + 1 :]
    if name not in COMMANDS:
        return _fail(_unknown(name))
    show_traceback = options.traceback
    try:
        module = _imported(COMMANDS[name].module, to_stay=argv is None)
        arguments = _command_parser(name, module).parse_args(rest)
        show_traceback = show_traceback or arguments.traceback
        code: int = module.run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except ImportError as error:
        return _fail(_missing(name, error), show_traceback=show_traceback)
    except FlockError as error:
        return _fail(str(error), show_traceback=show_traceback)
    return code


def _imported(name: str, *, to_stay: bool) -> ModuleType:
    """Import a module while nothing looks for garbage: that took a third of the time.

    In a process of its own (`to_stay`) no later collection looks through what is there by then.
    """
    looking = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if to_stay:
            gc.freeze()
        if looking:
            gc.enable()


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {entry.help}" for name, entry in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="flock-ws",
        usage="flock-ws [--traceback] COMMAND [OPTION ...]",
        description="A reference WebSocket broadcast manager, and the test bench that proves it,\n"
        f"or anybody else's.\n\ncommands:\n{commands}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_global(parser)
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser with every command, for tools that read a parser.

    `main` does not use it: it would import everything. Of a command whose extra is not installed
    it knows the name only.
    """
    parser = argparse.ArgumentParser(prog="flock-ws", allow_abbrev=False)
    _add_global(parser)
    commands = parser.add_subparsers()
    for name, entry in COMMANDS.items():
        command = commands.add_parser(name, help=entry.help, allow_abbrev=False)
        with contextlib.suppress(ImportError):
            importlib.import_module(entry.module).add_arguments(command)
        _add_traceback(command)
    return parser


def _command_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"flock-ws {name}",
        description=f"{COMMANDS[name].help[0].upper()}{COMMANDS[name].help[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    _add_traceback(parser)
    return parser


def _add_global(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=f"flock-ws {_version()}")
    _add_traceback(parser)


def _add_traceback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="show where an error came from, not only what it says",
    )


def _version() -> str:
    try:
        return version("flock-ws")
    except PackageNotFoundError:
        return "(not installed)"


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"no command {name!r}{meant} (there are: {', '.join(COMMANDS)})"


def _missing(name: str, error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if not package or package in _OWN_PACKAGES:
        return f"the command {name!r} is not complete in this installation: {error}"
    return (
        f"the command {name!r} needs {package!r}, which is not installed: "
        f"pip install 'flock-ws[{COMMANDS[name].extra}]'"
    )


def _fail(message: str, *, show_traceback: bool = False) -> int:
    if show_traceback:
        traceback.print_exc()
    sys.stderr.write(f"flock-ws: {message}\n")
    return _USAGE
