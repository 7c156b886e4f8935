"""Print the catalogue of faults as a page: ``python -m simulators.faults``."""

import sys

from simulators.faults.catalogue import page

if __name__ == "__main__":
    sys.stdout.write(page())
