"""``python -m flock_ws`` is ``flock-ws``."""

import sys

from flock_ws.cli import main

if __name__ == "__main__":
    sys.exit(main())
