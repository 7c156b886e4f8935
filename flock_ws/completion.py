"""``flock-ws completion``: a script with which a shell completes commands and options."""

import argparse
import sys

import shtab

from flock_ws import cli

__all__ = ["add_arguments", "run"]

_EPILOG = """\
examples:
  flock-ws completion bash > ~/.local/share/bash-completion/completions/flock-ws
  flock-ws completion zsh > "${fpath[1]}/_flock-ws"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws completion``."""
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell that reads it")


def run(arguments: argparse.Namespace) -> int:
    """Write the script to standard output.

    A command whose extra is not installed is completed by its name only.
    """
    sys.stdout.write(shtab.complete(cli.whole_parser(), shell=arguments.shell))
    sys.stdout.write("\n")
    return 0
