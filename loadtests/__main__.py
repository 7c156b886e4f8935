"""``flock-ws load``, where no command is installed: ``python -m loadtests``."""

import sys

from flock_ws.cli import main

if __name__ == "__main__":
    # A record of the run holds the command that repeats it.
    sys.argv[:1] = ["flock-ws", "load"]
    sys.exit(main())
