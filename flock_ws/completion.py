"""``flock-ws completion``: a script with which a shell completes commands and options."""

import argparse
import sys
from collections.abc import Iterator

import shtab

from flock_ws import cli

__all__ = ["add_arguments", "run"]

_EPILOG = """\
It completes commands, options, the names of scenarios, and files. A command
whose extra is not installed is completed by its name only.

exit codes:
  0  written
  2  wrong usage, or a shell that is not known

examples:
  source <(flock-ws completion bash)
      in this shell, at once
  flock-ws completion bash > ~/.local/share/bash-completion/completions/flock-ws
      in each new bash (where the package bash-completion is installed)
  flock-ws completion zsh > ~/.zfunc/_flock-ws
      in each new zsh, with `fpath+=~/.zfunc; autoload -U compinit; compinit`
  flock-ws completion fish > ~/.config/fish/completions/flock-ws.fish
      in each new fish
"""

# What an option that takes a file calls its value, alone or beside something else.
_FILE = "FILE"
# Offers the words of an option and files beside them; these shells complete by a function.
_BOTH = {
    "bash": '{name}() {{ compgen -W \'{words}\' -- "$1"; compgen -f -- "$1"; }}\n',
    "zsh": "{name}() {{ compadd {words}; _files; }}\n",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws completion``."""
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that reads it")


def run(arguments: argparse.Namespace) -> int:
    """Write the script to standard output.

    A command whose extra is not installed is completed by its name only.
    """
    parser = cli.whole_parser()
    preamble = "".join(_complete_files(parser, arguments.shell))
    sys.stdout.write(shtab.complete(parser, shell=arguments.shell, preamble=preamble))
    sys.stdout.write("\n")
    return 0


def _complete_files(parser: argparse.ArgumentParser, shell: str) -> Iterator[str]:
    """Tell shtab which values are files, and yield the functions that this takes."""
    for action in parser._actions:  # noqa: SLF001  # argparse shows them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # the same
            for command in action.choices.values():
                yield from _complete_files(command, shell)
        elif _FILE in str(action.metavar).split("|"):
            by_shell = dict(shtab.FILE)
            if action.choices and shell in _BOTH:
                by_shell[shell] = name = f"_flock_ws_{action.dest}"
                yield _BOTH[shell].format(name=name, words=" ".join(action.choices))
            action.complete = by_shell  # type: ignore[attr-defined]  # shtab's own
