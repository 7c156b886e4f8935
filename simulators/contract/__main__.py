"""``flock-ws check``, where only this package is at hand: ``python -m simulators.contract``."""

import argparse
import sys

from simulators.contract.command import add_arguments, run

_INTERRUPTED = 130


def main() -> int:
    """Run the command with the words of the process."""
    parser = argparse.ArgumentParser(
        prog="flock-ws check",
        description="Tell which promises a manager keeps, whoever wrote it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
